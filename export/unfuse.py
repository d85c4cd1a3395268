"""From a file that ships back to a network that learns: its batch norms are put in again.

A file holds convolutions with the batch norms taken in. Each gets a norm again, with the mean and
variance that its output has over some pictures, and the scale and shift that undo them: the network
gives what the file gives, and learns on as if it had never been exported.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from daemon.errors import ModelError

WHOLE = "_quantized"
"""Ends the names of weights in whole numbers."""
STEP = "_scale"
"""Ends the names of the steps of these."""
ZERO = "_zero_point"
"""Ends the names of their zeros, which are 0 for weights."""


def weights_of(path: Path, prefix: str) -> dict[str, Tensor]:
    """Weights in a file by their names in the network, in floating point.

    Args:
        path: the ONNX file.
        prefix: of the names in the file, which they lose.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        stored = onnx.load(path).graph.initializer
    except Exception as error:  # protobuf's errors have no common base
        raise ModelError(f"{path}: not readable as ONNX: {error}") from None
    values = {each.name: numpy_helper.to_array(each) for each in stored}
    weights = {}
    for name, value in values.items():
        plain = name.removeprefix(prefix)
        if plain == name or name.endswith((STEP, ZERO)):
            continue
        if not name.endswith(WHOLE):
            weights[plain] = torch.from_numpy(value.copy())
            continue
        whole = name.removesuffix(WHOLE)
        step = values.get(f"{whole}{STEP}", values.get(f"{name}{STEP}"))
        if step is None:
            raise ModelError(f"{path}: has {name}, but no step beside it")
        shape = (-1, *(1,) * (value.ndim - 1)) if step.size > 1 else ()
        given = value.astype(np.float32) * step.reshape(shape)
        weights[plain.removesuffix(WHOLE)] = torch.from_numpy(given)
    return weights


def norm_by_output(given: nn.Conv2d, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """When the convolution of a file runs, let another do the same with a norm of its own."""
    assert given.bias is not None
    bias = given.bias

    def measured(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        conv.weight.copy_(given.weight)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(output.mean((0, 2, 3)) - bias)
        norm.running_var.copy_(output.var((0, 2, 3)))
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(output.mean((0, 2, 3)))

    given.register_forward_hook(measured)
