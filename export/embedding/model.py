"""The network of the face encoder.

A plain residual network: 3x3 convolutions, batch norm and ReLU, nothing else. Depthwise networks
such as MobileFaceNet count fewer multiplications, but take longer (measured on one core: 11 to
14 ms a face against 8, and five times as long to train). The head weighs each place of the last map
by itself (global depthwise convolution; Chen et al., "MobileFaceNets", 2018).
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

Filters = npt.NDArray[np.float32]

WIDTHS = (32, 64, 128, 192)
BLOCKS = (0, 2, 3, 1)
DIMENSION = 128


class EncoderNet(nn.Module):
    """Aligned faces to unit vectors."""

    def __init__(
        self,
        widths: tuple[int, ...] = WIDTHS,
        blocks: tuple[int, ...] = BLOCKS,
        dimension: int = DIMENSION,
    ) -> None:
        """Make the network.

        Args:
            widths: channels of each stage; each halves the picture, from 112 to 7 pixels in four.
            blocks: residual blocks of each stage.
            dimension: of the vectors.
        """
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, count in zip(widths, blocks, strict=True):
            layers += [Unit(inputs, width, 2), *(Block(width) for _ in range(count))]
            inputs = width
        self.body = nn.Sequential(*layers)
        side = 112 // 2 ** len(widths)
        self.pool = Unit(inputs, inputs, 1, kernel=side, padding=0, groups=inputs, act=False)
        self.head = nn.Linear(inputs, dimension)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def features(self, faces: Tensor) -> Tensor:
        """Vectors before they are brought to length 1.

        Args:
            faces: (n, 3, 112, 112) RGB, (x - 127.5) / 127.5.

        Returns:
            (n, dimension).
        """
        pooled = self.pool(self.body(faces)).flatten(1)
        # The last step in full precision: it is cheap, and all of the vector hangs on it.
        with torch.autocast(faces.device.type, enabled=False):
            vectors: Tensor = self.head(pooled.float())
        return vectors

    def forward(self, faces: Tensor) -> Tensor:
        """Unit vectors, (n, dimension)."""
        return functional.normalize(self.features(faces))


class Unit(nn.Module):
    """Convolution, batch norm, and ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        kernel: int = 3,
        padding: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        y: Tensor = self.norm(self.conv(x))
        return functional.relu(y, inplace=True) if self.act else y


class Block(nn.Module):
    """Two units and the way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Unit(width, width)
        self.second = Unit(width, width, act=False)
        # Each block starts as the identity, so that early steps train a shallow network.
        assert isinstance(self.second.norm, nn.BatchNorm2d)
        nn.init.zeros_(self.second.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        return functional.relu(x + self.second(self.first(x)), inplace=True)


HALVED = 256
"""Weights with at least as many numbers are stored in 16 bits; the few others in 32."""
QUANTISED = 4096
"""Filters with at least as many numbers are stored in 8 bits, with a scale for each output."""


def deployed(net: nn.Module) -> nn.Module:
    """A copy as it ships: batch norm folded into the convolutions, weights as they are stored."""
    shipped = copy.deepcopy(net).cpu().eval()
    for module in shipped.modules():
        if isinstance(module, Unit):
            assert isinstance(module.norm, nn.BatchNorm2d)
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    for parameter in shipped.parameters():
        values = parameter.data.contiguous()
        if parameter.ndim == 4 and parameter.numel() >= QUANTISED:
            whole, scale = quantised(values.numpy())
            parameter.data = torch.from_numpy(whole.astype(np.float32) * scale)
        elif parameter.numel() >= HALVED:
            parameter.data = values.half().float()
    return shipped


def quantised(filters: Filters) -> tuple[npt.NDArray[np.int8], Filters]:
    """Filters in 8 bits.

    Args:
        filters: (outputs, inputs, height, width).

    Returns:
        Whole numbers from -127 to 127, and the scale of each output, (outputs, 1, 1, 1): their
        product is nearest to the filters.
    """
    largest = np.abs(filters).max((1, 2, 3), keepdims=True)
    scale = (np.maximum(largest, 1e-12) / 127).astype(np.float32)
    return np.rint(filters / scale).astype(np.int8), scale
