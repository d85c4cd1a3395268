"""dlib's face recognition network in PyTorch, with the weights of dlib's own file.

The network is `dnn_face_recognition_ex.cpp` of dlib (Davis King; network and weights CC0): a
ResNet with 29 convolutions, trained with a loss on pairs. The file is dlib's serialisation: an
integer is a byte with its length (and sign) and then its bytes, lowest first; a text is its length
and its bytes; a tensor is its version 2, four dimensions and its floats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from daemon.errors import ModelError

Floats = npt.NDArray[np.float32]

SIZE = 150
MEAN = (122.782, 117.001, 104.298)
"""Of red, green and blue, as dlib's input layer subtracts it."""
SCALE = 256.0
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels, blocks, and whether the first block halves the picture."""


class DlibNet(nn.Module):
    """Face chips to 128-D vectors, which dlib leaves unnormalised."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, 32, 7, 2, 0)
        blocks: list[nn.Module] = []
        channels = 32
        for width, count, halve in STAGES:
            for index in range(count):
                blocks.append(_Block(channels, width, halve and index == 0))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, 128, bias=False)

    def forward(self, chips: Tensor) -> Tensor:
        """Embed.

        Args:
            chips: (n, 3, 150, 150) RGB, (x - MEAN) / 256.

        Returns:
            (n, 128).
        """
        x = functional.max_pool2d(self.stem(chips).relu(), 3, 2)
        vectors: Tensor = self.head(self.blocks(x).mean((2, 3)))
        return vectors


class Unit(nn.Module):
    """A convolution; the scale and shift behind it, which replace batch norm, are folded in."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(inputs, outputs, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        y: Tensor = self.conv(x)
        return y


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        # dlib pads a convolution only if its stride is 1.
        self.first = Unit(inputs, outputs, 3, 2 if halve else 1, 0 if halve else 1)
        self.second = Unit(outputs, outputs, 3, 1, 1)
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x).relu())
        if self.halve:
            x = functional.avg_pool2d(x, 2, 2)
        return _add(y, x).relu()


def _add(a: Tensor, b: Tensor) -> Tensor:
    """Sum of two tensors as dlib's `add_prev`: what one lacks in size or channels counts as 0."""
    shape = [max(pair) for pair in zip(a.shape[1:], b.shape[1:])]
    return _padded(a, shape) + _padded(b, shape)


def _padded(x: Tensor, shape: list[int]) -> Tensor:
    channels, height, width = (want - have for want, have in zip(shape, x.shape[1:]))
    if not channels and not height and not width:
        return x
    return functional.pad(x, (0, width, 0, height, 0, channels))


def load(path: Path) -> DlibNet:
    """The network with the weights of `dlib_face_recognition_resnet_model_v1.dat`.

    Raises:
        ModelError: the file cannot be read or holds another network.
    """
    try:
        layers = list(_layers(path.read_bytes()))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    except (IndexError, ValueError):
        raise ModelError(f"{path}: not dlib's network, or cut off; copy it again") from None
    net = DlibNet()
    units = [module for module in net.modules() if isinstance(module, Unit)]
    if [tag for tag, _ in layers] != [b"con_4", b"affine_"] * len(units) + [b"fc_2"]:
        raise ModelError(f"{path}: not dlib's face recognition network: it has other layers")
    try:
        for unit, (_, weights), (_, affine) in zip(units, layers[0::2], layers[1::2]):
            _fill(unit.conv, weights, affine)
        net.head.weight.data = torch.from_numpy(layers[-1][1].reshape(-1, 128).T.copy())
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: not dlib's face recognition network: {error}") from None
    return net.eval()


def _fill(conv: nn.Module, weights: Floats, affine: Floats) -> None:
    """Weights of a convolution, with the scale and shift behind it folded in."""
    assert isinstance(conv, nn.Conv2d)
    filters, biases = weights[: conv.weight.numel()], weights[conv.weight.numel() :]
    scale, shift = affine.reshape(2, -1)
    shaped = filters.reshape(conv.weight.shape) * scale[:, None, None, None]
    assert conv.bias is not None
    conv.weight.data = torch.from_numpy(shaped)
    conv.bias.data = torch.from_numpy(biases * scale + shift)


def _layers(data: bytes) -> Iterator[tuple[bytes, Floats]]:
    """Tag and parameters of each layer that has any, from the input to the output.

    Only what precedes the parameters is read: a layer's tag, and two whole numbers in a fully
    connected one.
    """
    for found in re.finditer(rb"\x05con_4|\x07affine_|\x04fc_2", data):
        tag, place = found.group()[1:], found.end()
        if tag == b"fc_2":
            _, place = _integer(data, place)
            _, place = _integer(data, place)
        yield tag, _tensor(data, place)


def _tensor(data: bytes, place: int) -> Floats:
    version, place = _integer(data, place)
    if version != 2:
        return np.zeros(0, np.float32)
    count = 1
    for _ in range(4):
        size, place = _integer(data, place)
        count *= size
    return np.frombuffer(data, "<f4", count, place).astype(np.float32)


def _integer(data: bytes, place: int) -> tuple[int, int]:
    length, negative = data[place] & 0x7F, data[place] & 0x80
    end = place + 1 + length
    value = int.from_bytes(data[place + 1 : end], "little")
    return (-value if negative else value), end
