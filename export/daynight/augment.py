"""Changes to training pictures that leave day day and night night, on whole batches.

They are small, for the answer hangs on brightness and colour: cross-validated, larger ones (zoom to
half, gain of a quarter, gamma, holes, mixed pictures) did worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How much pictures are changed."""

    room: float = 1.125
    """Side of the picture in sides of the window that is cut out of it, anywhere."""
    gain: float = 0.1
    """Most that a picture gets lighter or darker, as a share."""
    balance: float = 0.05
    """Most that a channel gets lighter or darker, as a share."""
    saturation: float = 0.25
    """Most that colours get stronger or weaker, as a share."""


def augment(stored: Tensor, side: int, how: Augmentation, draw: torch.Generator) -> Tensor:
    """Cut out, mirror and tone.

    Args:
        stored: (n, 3, s, s) RGB, uint8, s at least `side`.
        side: of the result.
        how: how much.
        draw: source of chance.

    Returns:
        (n, 3, side, side) RGB in [0, 1].
    """
    count = len(stored)
    x = _window(stored, side, draw).float()
    grey = x.mean(1, keepdim=True)
    colourful = _around_one((count, 1, 1, 1), how.saturation, draw)
    factor = _around_one((count, 1, 1, 1), how.gain, draw)
    factor = factor * _around_one((count, 3, 1, 1), how.balance, draw) / 255
    return torch.lerp(grey, x, colourful).mul_(factor).clamp_(0, 1)


def _around_one(shape: tuple[int, ...], most: float, draw: torch.Generator) -> Tensor:
    return 1 + most * (2 * torch.rand(shape, generator=draw) - 1)


def _window(x: Tensor, side: int, draw: torch.Generator) -> Tensor:
    """A window anywhere in each picture, half of them mirrored."""
    count = len(x)
    places = torch.arange(side)
    starts = torch.randint(x.shape[-1] - side + 1, (2, count, 1), generator=draw)
    rows, columns = starts[0] + places, starts[1] + places
    mirrored = torch.rand(count, 1, generator=draw) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    which = torch.arange(count)[:, None, None, None]
    channels = torch.arange(3)[None, :, None, None]
    return x[which, channels, rows[:, None, :, None], columns[:, None, None, :]]
