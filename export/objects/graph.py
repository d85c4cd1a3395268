"""From a trained network to the file that ships, checked against the network on the way."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from daemon.vision.objects.card import ObjectInput, ObjectOutput
from daemon.vision.objects.names import CLASSES
from export.convert import OPSET, TOLERANCE, ParityError, save
from export.objects.convert import describe
from export.objects.model import (
    BOXES,
    STRIDES,
    Conv,
    MultiScale,
    SingleGrid,
    boxes_of,
    v1_corners,
)

MULTIPLE = 32
Network = TypeVar("Network", bound=nn.Module)


class MultiScaleGraph(nn.Module):
    """The second variant as it ships: pixels of 0 to 255 as they come, scores of 0 to 1."""

    output = ObjectOutput(boxes="distances", strides=list(STRIDES), columns=True)

    def __init__(self, network: MultiScale, side: int) -> None:
        super().__init__()
        self.into = ObjectInput(
            width=side, height=side, multiple=MULTIPLE, channels="bgr", mean=[0.0] * 3, scale=1.0
        )
        self.network = fused(network)
        self.network.out = nn.ModuleList(_as_product(each) for each in self.network.out)

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, h, w) BGR, 0 to 255, to (1, 4 + classes, cells)."""
        network = self.network
        mixed = network.mixed(network.features(image))
        # Channels innermost, as convolutions in whole numbers leave them in memory.
        rows = [
            out(each.permute(0, 2, 3, 1).flatten(0, 2))
            for out, each in zip(network.out, mixed, strict=True)
        ]
        reach, logits = network.parts(torch.cat(rows).t()[None])
        return torch.cat([reach, logits.sigmoid()], 1)


def _as_product(out: nn.Module) -> nn.Linear:
    """A convolution of single places as a product of matrices."""
    assert isinstance(out, nn.Conv2d)
    assert out.bias is not None
    product = nn.Linear(out.in_channels, out.out_channels)
    product.weight.data, product.bias.data = out.weight.data.flatten(1), out.bias.data
    return product


class SingleGridGraph(nn.Module):
    """The first variant as it ships: what a box scores is its confidence times its cell's class."""

    output = ObjectOutput(boxes="corners")

    def __init__(self, network: SingleGrid, side: int) -> None:
        super().__init__()
        self.into = ObjectInput(width=side, height=side, channels="bgr", mean=[0.0] * 3, scale=1.0)
        self.network = fused(network)

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, side, side) BGR, 0 to 255, to (1, cells x 2, 4 + classes)."""
        predicted: Tensor = self.network(image)
        boxes = v1_corners(predicted, *image.shape[2:])
        confidence = boxes_of(predicted)[..., 4:]
        scores = (confidence * predicted[..., None, 5 * BOXES :]).clamp(0, 1)
        return torch.cat([boxes, scores], -1).flatten(1, 3)


Graph = MultiScaleGraph | SingleGridGraph


def graph_of(network: nn.Module, side: int) -> Graph:
    """A trained network as it ships.

    Args:
        network: of either variant.
        side: pixels of the sides of the first one's input, of the longer side of the second's.
    """
    if isinstance(network, MultiScale):
        return MultiScaleGraph(network, side).eval()
    assert isinstance(network, SingleGrid)
    return SingleGridGraph(network, side).eval()


def fused(network: Network) -> Network:
    """A copy with its batch norms taken into the convolutions, and 1/255 into the first."""
    network = copy.deepcopy(network).cpu().float().eval()
    convolutions = [each for each in network.modules() if isinstance(each, Conv)]
    with torch.no_grad():
        for each in convolutions:
            assert isinstance(each.norm, nn.BatchNorm2d)
            each.conv = nn.utils.fuse_conv_bn_eval(each.conv, each.norm)
            each.norm = nn.Identity()
        convolutions[0].conv.weight /= 255
    return network


def export(graph: Graph, path: Path, name: str, version: str) -> dict[str, object]:
    """Write the ONNX file, whole or not at all; returns what it says about itself."""
    rows, columns = (torch.export.Dim(each, min=1, max=64) for each in ("rows", "columns"))
    free = graph.into.multiple is not None
    shapes = ({2: MULTIPLE * rows, 3: MULTIPLE * columns},) if free else None
    sides = (4 * MULTIPLE, 5 * MULTIPLE) if free else (graph.into.height, graph.into.width)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (torch.rand(1, 3, *sides),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["objects"],
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    described = describe(name, version, graph.into, graph.output, CLASSES)
    save(model, path, described)
    return described


def check_parity(
    graph: Graph, path: Path, sizes: Sequence[tuple[int, int]] = ((320, 320), (256, 320), (320, 96))
) -> float:
    """Compare the file with the network.

    Returns:
        The largest difference of scores, and of boxes as shares of the input.

    Raises:
        ParityError: it is above 1e-4.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    square = graph.into.height, graph.into.width
    for height, width in sizes if graph.into.multiple else [square]:
        image = rng.integers(0, 256, (1, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            expected = graph(torch.from_numpy(image)).numpy()
        off = np.abs(session.run(None, {"image": image})[0] - expected)
        unit = graph.into.width if graph.output.boxes == "corners" else 1
        worst = max(worst, float(off[..., :4].max()) / unit, float(off[..., 4:].max()))
    if worst > TOLERANCE:
        raise ParityError(f"{path}: differs from its network by {worst:.2g}, above {TOLERANCE}")
    return worst
