"""The loss of style transfer in PyTorch: the same terms as those of the gradient graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from export.features.model import Features, Seen, gram


@dataclass(frozen=True)
class Target:
    """What a picture shall be like."""

    content: Tensor
    """(n, channels, h, w) features of the content layer."""
    grams: list[Tensor]
    """(n or 1, channels, channels) of each style layer."""


@dataclass(frozen=True)
class Losses:
    """Unweighted terms: scalars."""

    content: Tensor
    style: Tensor
    variation: Tensor
    excess: Tensor

    def total(self, content: float, style: float, variation: float, excess: float = 0.0) -> Tensor:
        """The weighted sum."""
        seen = content * self.content + style * self.style
        return seen + variation * self.variation + excess * self.excess


def losses(features: Features, image: Tensor, target: Target) -> Losses:
    """Compare (n, 3, h, w) pictures, RGB of 0 to 1, with what they shall be like."""
    return compared(features(image), image, target)


def compared(seen: Seen, image: Tensor, target: Target) -> Losses:
    """As :func:`losses`, of what a feature network saw in the pictures."""
    off = [
        _share(found, wanted.expand_as(found))
        for found, wanted in zip(map(gram, seen.styles), target.grams, strict=True)
    ]
    down = (image[:, :, 1:] - image[:, :, :-1]).square().sum()
    across = (image[:, :, :, 1:] - image[:, :, :, :-1]).square().sum()
    return Losses(
        _share(seen.content.float(), target.content.float()),
        torch.stack(off).mean(),
        (down + across) / image.numel(),
        (image - image.clamp(0, 1)).square().mean(),
    )


def _share(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared difference over what is wanted, squared."""
    return (found - wanted).square().sum() / wanted.square().sum()
