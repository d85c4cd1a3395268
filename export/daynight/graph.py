"""From the trained network to the file that ships, checked against the network."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from daemon.vision.light.prepare import LABELS
from export.convert import OPSET, TOLERANCE, ParityError, save
from export.daynight.model import DayNight

KIND = "daynight"


class DayNightGraph(nn.Module):
    """The network as it ships: batch norms taken into the convolutions, a sigmoid at the end."""

    def __init__(self, network: DayNight) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().float().eval()
        self.network.layers = nn.Sequential(*_fused(list(self.network.layers)))

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, side, side) RGB in [0, 1] to the probability of night, (n,)."""
        return torch.sigmoid(self.network(image))


def export(graph: DayNightGraph, path: Path, name: str, version: str, side: int) -> dict[str, Any]:
    """Write the ONNX file, whole or not at all; returns what it says about itself."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            (torch.rand(2, 3, side, side),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["night"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=4096)},),
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    described = {
        "kind": KIND,
        "name": name,
        "version": version,
        "input": {"channels": "rgb", "side": side},
        "labels": list(LABELS),
    }
    save(model, path, described)
    return described


def check_parity(network: DayNight, path: Path, side: int) -> float:
    """Compare the file with the network as it was trained, one picture and many at a time.

    Returns:
        The largest difference of a probability.

    Raises:
        ParityError: it is above 1e-4.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in (1, 17):
        image = np.random.default_rng(count).random((count, 3, side, side), np.float32)
        with torch.inference_mode():
            expected = torch.sigmoid(network.eval()(torch.from_numpy(image))).numpy()
        given = session.run(["night"], {"image": image})[0]
        worst = max(worst, float(np.abs(given - expected).max()))
    if worst > TOLERANCE:
        raise ParityError(f"{path}: differs from its network by {worst:.2g}, above {TOLERANCE}")
    return worst


def _fused(layers: list[nn.Module]) -> list[nn.Module]:
    result: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            before = result.pop()
            assert isinstance(before, nn.Conv2d)
            layer = fuse_conv_bn_eval(before, layer)
        result.append(layer)
    return result
