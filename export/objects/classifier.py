"""A SqueezeNet classifier in ONNX as a network that runs in batches while a student learns from it.

Its graph is read node by node: convolutions, rectifiers, poolings and concatenations are all there
is (arXiv:1602.07360).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from daemon.errors import ModelError

MEAN = (104.0, 117.0, 123.0)
"""Subtracted from blue, green and red of 0 to 255."""


@dataclass(frozen=True)
class _Step:
    kind: str
    inputs: list[str]
    output: str
    settings: dict[str, Any]


class Classifier(nn.Module):
    """What the graph computes, up to the logits; frozen."""

    mean: Tensor

    def __init__(self, path: Path) -> None:
        """Read the graph.

        Raises:
            ModelError: it is no ONNX graph, or computes something else.
        """
        super().__init__()
        try:
            graph = onnx.load(str(path)).graph
        except Exception as error:  # protobuf and onnx raise what they like for a damaged file
            raise ModelError(f"{path}: not an ONNX graph: {error}") from None
        weights = {each.name for each in graph.initializer}
        self._input = next(each.name for each in graph.input if each.name not in weights)
        self._steps: list[_Step] = []
        self._place = {each.name: f"w{n}" for n, each in enumerate(graph.initializer)}
        for each in graph.initializer:
            value = torch.from_numpy(numpy_helper.to_array(each).astype(np.float32))
            self.register_buffer(self._place[each.name], value)
        for node in graph.node:
            if node.op_type in ("Softmax", "Dropout"):
                alias = _Step("Identity", [node.input[0]], node.output[0], {})
                self._steps.append(alias)
                continue
            settings = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type not in _OPERATIONS:
                raise ModelError(f"{path}: {node.op_type} is not part of a SqueezeNet")
            self._steps.append(_Step(node.op_type, list(node.input), node.output[0], settings))
        self._features = [each.output for each in self._steps if each.kind == "Concat"][-1]
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What it sees.

        Args:
            images: (n, 3, h, w), BGR in 0 to 1.

        Returns:
            Features (n, 512, h / 16, w / 16) of its last fire module, and logits (n, 1000).
        """
        values: dict[str, Tensor] = {self._input: images * 255 - self.mean}
        for step in self._steps:
            given = [
                values[each] if each in values else getattr(self, self._place[each])
                for each in step.inputs
            ]
            values[step.output] = _OPERATIONS[step.kind](given, step.settings)
        return values[self._features], values[self._steps[-1].output].flatten(1)


def _conv(given: list[Tensor], settings: dict[str, Any]) -> Tensor:
    pads = settings.get("pads", [0, 0, 0, 0])
    return F.conv2d(
        given[0],
        given[1],
        given[2] if len(given) > 2 else None,
        settings.get("strides", [1, 1]),
        (pads[0], pads[1]),
    )


def _pool(given: list[Tensor], settings: dict[str, Any]) -> Tensor:
    top, left, bottom, right = settings.get("pads", [0, 0, 0, 0])
    x = F.pad(given[0], (left, right, top, bottom), value=-torch.inf)
    return F.max_pool2d(x, settings["kernel_shape"], settings["strides"])


_OPERATIONS: dict[str, Any] = {
    "Conv": _conv,
    "Relu": lambda given, _: F.relu(given[0]),
    "MaxPool": _pool,
    "Concat": lambda given, settings: torch.cat(given, settings["axis"]),
    "GlobalAveragePool": lambda given, _: given[0].mean((2, 3), keepdim=True),
    "Identity": lambda given, _: given[0],
}
