"""A detector that learns, beside its objects, what a teacher's features are.

Cao et al., "PKD" (arXiv:2207.02039): each channel of both is brought to mean 0 and variance 1
first, so that what is compared is their correlation, and sizes do not matter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.objects.model import MultiScale
from export.objects.yolox import SIDE, Yolox


class Apprentice(nn.Module):
    """A detector, and what turns its features into those of its teacher."""

    def __init__(self, detector: MultiScale, pyramid: int, channels: list[int]) -> None:
        super().__init__()
        self.detector = detector
        self.adapters = nn.ModuleList([nn.Conv2d(pyramid, each, 1) for each in channels])

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Codes of pictures, and three maps that the teacher's shall be like."""
        features = self.detector.features(x)
        alike = (turn(each) for turn, each in zip(self.adapters, features, strict=True))
        return self.detector.codes(features), tuple(alike)


class Teacher:
    """What a YOLOX sees in pictures.

    On a GPU it sees them at the size that it was trained for, else as they are: its time would be
    most of a step's.
    """

    def __init__(self, network: Yolox, device: torch.device, precision: torch.dtype) -> None:
        self._device = device
        self._dtype = precision
        self._enlarges = device.type == "cuda"
        self._network = network.to(device, self._dtype).eval()

    def channels(self, side: int) -> list[int]:
        """Of its three maps, for pictures of so many pixels."""
        nothing = torch.zeros(1, 3, side, side, device=self._device)
        return [each.shape[1] for each in self.features(nothing)]

    @torch.no_grad()
    def features(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of (n, 3, h, w), BGR in 0 to 1: three maps."""
        if self._enlarges:
            images = F.interpolate(images, (SIDE, SIDE), mode="bilinear")
        pixels = (images * 255).to(self._dtype, memory_format=torch.channels_last)
        features: tuple[Tensor, Tensor, Tensor] = self._network(pixels)
        return features


def difference(own: Tensor, teacher: Tensor) -> Tensor:
    """1 less the correlation of each channel over pictures and places, averaged.

    Args:
        own: (n, channels, h, w).
        teacher: (n, channels, h', w'), resized to the former.
    """
    teacher = F.interpolate(teacher.float(), own.shape[2:], mode="bilinear")
    return (_standard(own.float()) - _standard(teacher)).square().mean() / 2


def _standard(x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, (0, 2, 3), keepdim=True)
    return (x - mean) * (variance + 1e-6).rsqrt()
