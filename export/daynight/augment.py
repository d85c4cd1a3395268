"""Changes to training pictures that leave day day and night night, on whole batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """How much pictures are changed."""

    smallest: float = 0.55
    """Side of the smallest crop, in sides of the picture."""
    gain: float = 0.25
    """Most that a picture gets lighter or darker, as a share."""
    gamma: float = 0.3
    """Most that its exponent differs from 1, as a natural logarithm."""
    balance: float = 0.12
    """Most that a channel gets lighter or darker, as a share."""
    saturation: float = 0.5
    grey: float = 0.05
    """Share of pictures without colour."""
    hole: float = 0.4
    """Side of the largest hole, in sides of the picture (DeVries, Taylor, "Cutout", 2017)."""
    mixup: float = 0.2
    """Parameter of the Beta distribution that mixes two pictures (Zhang et al., 2018); 0: none."""


def augment(
    stored: Tensor, targets: Tensor, side: int, how: Augmentation, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Crop, mirror, tone, cut and mix.

    Args:
        stored: (n, 3, s, s) RGB in [0, 1], s at least `side`.
        targets: (n,) probability of night.
        side: of the result.
        how: how much.
        draw: source of chance.

    Returns:
        (n, 3, side, side) and (n,).
    """
    x = _crop(stored, side, how, draw)
    x = _tone(x, how, draw)
    x = _cut(x, how, draw)
    if not how.mixup:
        return x, targets
    # The larger weight stays with the picture itself.
    share = _beta(len(x), how.mixup, draw)
    other = torch.randperm(len(x), generator=draw)
    mixed = share[:, None, None, None] * x + (1 - share)[:, None, None, None] * x[other]
    return mixed, share * targets + (1 - share) * targets[other]


def _uniform(count: int, low: float, high: float, draw: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=draw)


def _beta(count: int, parameter: float, draw: torch.Generator) -> Tensor:
    """The larger part of Beta(a, a), by Jöhnk's rule for small a with a gamma of uniforms."""
    first = torch.rand(count, generator=draw).clamp_min(1e-6) ** (1 / parameter)
    second = torch.rand(count, generator=draw).clamp_min(1e-6) ** (1 / parameter)
    share = first / (first + second).clamp_min(1e-12)
    return torch.maximum(share, 1 - share)


def _crop(x: Tensor, side: int, how: Augmentation, draw: torch.Generator) -> Tensor:
    count = len(x)
    wide = _uniform(count, how.smallest, 1.0, draw)
    high = (wide * torch.exp(_uniform(count, -0.2, 0.2, draw))).clamp(how.smallest, 1.0)
    mirrored = torch.where(torch.rand(count, generator=draw) < 0.5, -1.0, 1.0)
    turn = torch.zeros(count, 2, 3)
    turn[:, 0, 0], turn[:, 1, 1] = wide * mirrored, high
    turn[:, 0, 2] = (1 - wide) * _uniform(count, -1, 1, draw)
    turn[:, 1, 2] = (1 - high) * _uniform(count, -1, 1, draw)
    grid = functional.affine_grid(turn, [count, 3, side, side], align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _tone(x: Tensor, how: Augmentation, draw: torch.Generator) -> Tensor:
    count = len(x)
    grey = x.mean(1, keepdim=True)
    colourful = _uniform(count, 1 - how.saturation, 1 + how.saturation, draw)
    colourful = torch.where(torch.rand(count, generator=draw) < how.grey, 0.0, colourful)
    x = grey + (x - grey) * colourful[:, None, None, None]
    gain = _uniform(count, 1 - how.gain, 1 + how.gain, draw)[:, None]
    balance = 1 + how.balance * (2 * torch.rand(count, 3, generator=draw) - 1)
    x = (x * (gain * balance)[:, :, None, None]).clamp(1e-4, 1.0)
    gamma = torch.exp(_uniform(count, -how.gamma, how.gamma, draw))
    return x ** gamma[:, None, None, None]


def _cut(x: Tensor, how: Augmentation, draw: torch.Generator) -> Tensor:
    """Fill a rectangle of each picture with the picture's mean."""
    count, _, height, width = x.shape
    half = _uniform(count, 0, how.hole / 2, draw)[:, None]
    middle = torch.rand(2, count, 1, generator=draw)
    rows = ((torch.arange(height) + 0.5) / height - middle[0]).abs() < half
    columns = ((torch.arange(width) + 0.5) / width - middle[1]).abs() < half
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(hole, x.mean((2, 3), keepdim=True), x)
