"""YOLOX in PyTorch, with the weights of its ONNX file: a teacher's features on the device.

Ge et al., "YOLOX" (arXiv:2107.08430). The file is the one that its authors publish: a picture of
BGR in 0 to 255, and one output whose rows come from three heads.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import NodeProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from daemon.errors import ModelError

SIDE = 416
"""Pixels of the sides of the pictures that it was trained for."""


class Yolox(nn.Module):
    """The part of the network before its heads part into classes and boxes.

    Args:
        path: of the ONNX file.

    Raises:
        ModelError: it is missing, or not of YOLOX's form.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            graph = onnx.load(str(path)).graph
        except Exception as error:  # protobuf's errors have no common base
            raise ModelError(f"{path}: not an ONNX file: {error}") from None
        self._input = graph.input[0].name
        self._stems = _stems(graph.node)
        if len(self._stems) != 3:
            raise ModelError(f"{path}: not a YOLOX: {len(self._stems)} heads instead of 3")
        self._nodes = _needed(graph.node, self._stems)
        unknown = {each.op_type for each in self._nodes} - set(_OPERATORS)
        if unknown:
            raise ModelError(f"{path}: not a YOLOX: it uses {', '.join(sorted(unknown))}")
        self._places: dict[str, str] = {}
        self._steps: dict[str, Tensor] = {}
        for each in graph.initializer:
            values = torch.from_numpy(np.array(numpy_helper.to_array(each)))
            if values.is_floating_point():
                self._places[each.name] = f"w{len(self._places)}"
                self.register_buffer(self._places[each.name], values)
            else:  # of slices: these stay where they can be read without waiting for the device
                self._steps[each.name] = values

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features that the heads begin with.

        Args:
            images: (n, 3, h, w), BGR in 0 to 255; h and w multiples of 32.

        Returns:
            Three maps, at strides 8, 16 and 32.
        """
        known = {self._input: images}

        def value(name: str) -> Tensor:
            if name in known:
                return known[name]
            if name in self._steps:
                return self._steps[name]
            weight = getattr(self, self._places[name])
            assert isinstance(weight, Tensor)
            return weight

        for node in self._nodes:
            given = [value(name) for name in node.input if name]
            known[node.output[0]] = _OPERATORS[node.op_type](node, given)
        at8, at16, at32 = (known[name] for name in self._stems)
        return at8, at16, at32


def _stems(nodes: list[NodeProto]) -> list[str]:
    """Names of the values from which each head's branches start, at strides 8, 16 and 32."""
    made_by = {each.output[0]: each for each in nodes}
    readers: dict[str, int] = {}
    for node in nodes:
        if node.op_type == "Conv":
            readers[node.input[0]] = readers.get(node.input[0], 0) + 1
    stems = []
    for node in nodes:
        if node.op_type != "Reshape":
            continue
        name = node.input[0]
        # Past the two convolutions of boxes and objectness, which read one value, to the fork.
        crossed = 0
        while name in made_by and crossed < 2:
            name = made_by[name].input[0]
            crossed += readers.get(name, 0) > 1
        stems.append(name)
    return stems


def _needed(nodes: list[NodeProto], wanted: list[str]) -> list[NodeProto]:
    """Nodes that the wanted values depend on, in their order."""
    names = set(wanted)
    kept = []
    for node in reversed(nodes):
        if names & set(node.output):
            kept.append(node)
            names.update(node.input)
    return kept[::-1]


def _attribute(node: NodeProto, name: str, default: list[int]) -> list[int]:
    for each in node.attribute:
        if each.name == name:
            found = helper.get_attribute_value(each)
            return list(found) if isinstance(found, list) else [int(found)]
    return default


def _conv(node: NodeProto, given: list[Tensor]) -> Tensor:
    x, weight, *bias = given
    top, left, bottom, right = _attribute(node, "pads", [0, 0, 0, 0])
    assert (top, left) == (bottom, right)
    return F.conv2d(
        x, weight, bias[0] if bias else None,
        _attribute(node, "strides", [1, 1]), [top, left],
        groups=_attribute(node, "group", [1])[0],
    )  # fmt: skip


def _slice(_: NodeProto, given: list[Tensor]) -> Tensor:
    x, starts, ends, axes, steps = given
    for start, end, axis, step in zip(*(v.tolist() for v in (starts, ends, axes, steps)),
                                      strict=True):  # fmt: skip
        cut = [slice(None)] * x.ndim
        cut[axis] = slice(start, end, step)
        x = x[tuple(cut)]
    return x


def _max_pool(node: NodeProto, given: list[Tensor]) -> Tensor:
    size = _attribute(node, "kernel_shape", [])
    return F.max_pool2d(given[0], size, 1, [each // 2 for each in size])


_OPERATORS: dict[str, Callable[[NodeProto, list[Tensor]], Tensor]] = {
    "Add": lambda _, given: given[0] + given[1],
    "Concat": lambda _, given: torch.cat(given, 1),
    "Conv": _conv,
    "MaxPool": _max_pool,
    "Mul": lambda _, given: given[0] * given[1],
    "Resize": lambda _, given: F.interpolate(given[0], scale_factor=2.0),
    "Sigmoid": lambda _, given: given[0].sigmoid(),
    "Slice": _slice,
}
