"""The shallow network of the lecture: a few convolutions, a sigmoid, the logistic loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CENTRE, SPREAD = 0.4, 0.28
"""Mean and deviation of pixels in [0, 1], roughly: the first convolution likes them removed."""


class DayNight(nn.Module):
    """Three convolutions that halve the picture, then mean and maximum of each channel.

    Pooled over the whole picture, the same layers serve every resolution, and a sky counts wherever
    it is. The maximum sees a lamp that the mean overlooks.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64), dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *widths), widths):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * widths[-1], 1)

    def describe(self, image: Tensor) -> Tensor:
        """What is seen in pictures (n, 3, side, side), RGB in [0, 1]: (n, 2 * channels)."""
        x = self.layers((image - CENTRE) / SPREAD)
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)

    def decide(self, described: Tensor) -> Tensor:
        """Logit of night, (n,)."""
        logit: Tensor = self.head(self.dropout(described))[:, 0]
        return logit

    def forward(self, image: Tensor) -> Tensor:
        """Logit of night, (n,), of pictures (n, 3, side, side), RGB in [0, 1]."""
        return self.decide(self.describe(image))
