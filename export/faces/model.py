"""The network of the face detector: anchor-free, fully convolutional, three strides.

Convolutions that are dense where channels are few and separable where they are many (Howard et al.,
"MobileNets", 2017), a top-down pyramid (Lin et al., "Feature Pyramid Networks", 2017), and heads as
small as YuNet's (Wu et al., 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from daemon.vision.priors import CHANNELS

PRIOR = 0.01
"""Share of faces among the cells at the start (Lin et al., "Focal Loss", 2017)."""


@dataclass(frozen=True)
class Widths:
    """Channels and depth of the network."""

    stem: tuple[int, int] = (16, 32)
    """At strides 2 and 4."""
    stages: tuple[int, int, int] = (48, 64, 96)
    """At strides 8, 16 and 32."""
    depths: tuple[int, int, int] = (2, 3, 2)
    """Blocks after the convolution that strides."""
    pyramid: int = 48


class Unit(nn.Module):
    """Convolution, batch norm, and a ReLU if wanted."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.conv: nn.Conv2d = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.active = nn.ReLU() if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        result: Tensor = self.active(self.norm(self.conv(x)))
        return result

    def fuse(self) -> None:
        """Take the batch norm into the convolution."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


def halving(stages: Sequence[int]) -> nn.Sequential:
    """Units that look at a cut: (n, 3, s, s) to (n, stages[-1], s / 2^k, s / 2^k), k stages.

    Every second one strides; dense layers behind it see where a feature is, which pooling forgets.
    """
    units = [Unit(3, stages[0], 3, 2)]
    for before, after in pairwise(stages):
        units += [Unit(before, after, 3, 2), Unit(after, after, 3)]
    return nn.Sequential(*units)


def fuse_all(units: nn.Sequential) -> None:
    """Take the batch norms of units into their convolutions."""
    for unit in units:
        assert isinstance(unit, Unit)
        unit.fuse()


class Separable(nn.Module):
    """Depthwise and pointwise convolution with a way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depth = Unit(channels, channels, 3, groups=channels, active=False)
        self.point = Unit(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the same."""
        result: Tensor = x + self.point(self.depth(x))
        return result


class Detector(nn.Module):
    """Picture to predictions of every cell."""

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        self.widths = widths = widths or Widths()
        half, quarter = widths.stem
        self.stem = nn.Sequential(Unit(3, half, 3, 2), Unit(half, quarter, 3, 2))
        before = (quarter, *widths.stages[:2])
        self.stages = nn.ModuleList(
            nn.Sequential(Unit(inputs, outputs, 3, 2), *(Separable(outputs) for _ in range(depth)))
            for inputs, outputs, depth in zip(before, widths.stages, widths.depths)
        )
        self.lateral = nn.ModuleList(
            Unit(outputs, widths.pyramid, 1, active=False) for outputs in widths.stages
        )
        self.smooth = nn.ModuleList(Separable(widths.pyramid) for _ in range(3))
        self.heads = nn.ModuleList(nn.Conv2d(widths.pyramid, CHANNELS, 1) for _ in range(3))
        for head in self.heads:
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            nn.init.constant_(head.bias[:1], -torch.log(torch.tensor((1 - PRIOR) / PRIOR)).item())

    def forward(self, image: Tensor) -> Tensor:
        """Logits and codes of every cell.

        Args:
            image: (n, 3, h, w) BGR in [0, 1]; h and w multiples of 32.

        Returns:
            (n, 15, cells): see :mod:`daemon.vision.priors`.
        """
        x = self.stem(image)
        levels = []
        for stage, lateral in zip(self.stages, self.lateral):
            x = stage(x)
            levels.append(lateral(x))
        upper = levels[-1]
        merged = [upper]
        for level in reversed(levels[:-1]):
            upper = level + nn.functional.interpolate(upper, scale_factor=2.0, mode="nearest")
            merged.insert(0, upper)
        flat = [
            head(smooth(torch.relu(level))).flatten(2)
            for level, smooth, head in zip(merged, self.smooth, self.heads)
        ]
        return torch.cat(flat, 2)

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that sees the picture."""
        unit = self.stem[0]
        assert isinstance(unit, Unit)
        return unit.conv

    def fuse(self) -> Detector:
        """Take all batch norms into their convolutions, for a network that only runs."""
        for part in self.modules():
            if isinstance(part, Unit):
                part.fuse()
        return self
