"""A feed-forward network that paints in one style.

Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer" (2016), half as wide;
with instance norm (Ulyanov et al., 2016), and with enlarging before a convolution instead of
strided ones, which leave a chequerboard (Odena et al., 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

MULTIPLE = 4
"""What the sides of a picture must be multiples of."""


@dataclass(frozen=True)
class Shape:
    """Channels and depth."""

    widths: tuple[int, int, int] = (16, 32, 64)
    """At strides 1, 2 and 4."""
    blocks: int = 5


class Painter(nn.Module):
    """Picture to painting."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        shape = shape or Shape()
        full, half, quarter = shape.widths
        self.layers = nn.Sequential(
            _unit(3, full, 9),
            _unit(full, half, 3, 2),
            _unit(half, quarter, 3, 2),
            *(_Residual(quarter) for _ in range(shape.blocks)),
            nn.Upsample(scale_factor=2, mode="nearest"),
            _unit(quarter, half, 3),
            nn.Upsample(scale_factor=2, mode="nearest"),
            _unit(half, full, 3),
            nn.ReflectionPad2d(4),
            nn.Conv2d(full, 3, 9),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, h, w) RGB of 0 to 1, h and w multiples of 4, to the same."""
        return torch.sigmoid(self.layers(image - 0.5))


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(inputs, outputs, kernel, stride, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.ReLU(),
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _unit(channels, channels, 3),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result
