"""From the trained network to the file that ships, checked against the network on the way."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from daemon.vision.cards import PictureInput
from daemon.vision.face import LANDMARKS
from daemon.vision.priors import MULTIPLE, STRIDES
from export.convert import OPSET, TOLERANCE, ParityError, save
from export.faces.model import Detector

SIZES = ((480, 640), (96, 160), (352, 64))
"""Heights and widths at which file and network are compared."""


class DetectorGraph(nn.Module):
    """The network as it ships: batch norms taken in, and pixels of 0 to 255 as they come."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = copy.deepcopy(detector).cpu().eval().fuse()
        first = self.detector.first
        with torch.no_grad():
            first.weight /= 255

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, h, w) BGR, 0 to 255, to (1, 15, cells)."""
        result: Tensor = self.detector(image)
        return result


def export(graph: DetectorGraph, path: Path, name: str, version: str, longest_side: int) -> None:
    """Write the ONNX file; it appears whole or not at all."""
    rows, columns = (torch.export.Dim(each, min=1, max=256) for each in ("rows", "columns"))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            (torch.rand(1, 3, 4 * MULTIPLE, 5 * MULTIPLE),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["cells"],
            dynamic_shapes=({2: MULTIPLE * rows, 3: MULTIPLE * columns},),
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    described = {
        "kind": "face-detector",
        "name": name,
        "version": version,
        "input": PictureInput(channels="bgr", longest_side=longest_side).model_dump(),
        "strides": list(STRIDES),
        "landmarks": list(LANDMARKS),
    }
    save(model, path, described)


def check_parity(
    graph: DetectorGraph, path: Path, sizes: Sequence[tuple[int, int]] = SIZES
) -> float:
    """Compare the file with the network at several sizes.

    Returns:
        The largest difference of scores (as probabilities) and codes.

    Raises:
        ParityError: it is above 1e-4.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for height, width in sizes:
        image = rng.integers(0, 256, (1, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            expected = graph(torch.from_numpy(image)).numpy()
        given = session.run(["cells"], {"image": image})[0]
        worst = max(worst, float(np.abs(_comparable(given) - _comparable(expected)).max()))
    if worst > TOLERANCE:
        raise ParityError(f"{path}: differs from its network by {worst:.2g}, above {TOLERANCE}")
    return worst


def _comparable(cells: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores as probabilities: far from the threshold, a logit may differ without effect."""
    cells = cells.copy()
    cells[:, 0] = 1 / (1 + np.exp(-cells[:, 0]))
    return cells
