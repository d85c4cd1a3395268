"""The network that says whether a find is a face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from daemon.vision.confirmation import SIDE
from export.faces.model import fuse_all, halving


@dataclass(frozen=True)
class ConfirmerWidths:
    """Channels of the network."""

    stages: tuple[int, ...] = (16, 32, 64, 96)
    """At strides 2, 4, 8 and 16."""
    hidden: int = 96
    dropout: float = 0.2


class Confirmer(nn.Module):
    """Convolutions that halve, and two dense layers."""

    def __init__(self, widths: ConfirmerWidths | None = None) -> None:
        super().__init__()
        widths = widths or ConfirmerWidths()
        self.features = halving(widths.stages)
        cells = (SIDE // 2 ** len(widths.stages)) ** 2
        self.hidden = nn.Linear(cells * widths.stages[-1], widths.hidden)
        self.face = nn.Linear(widths.hidden, 1)
        self.drop = nn.Dropout(widths.dropout)

    def forward(self, cut: Tensor) -> Tensor:
        """(n, 3, SIDE, SIDE) BGR, 0 to 1, to log-odds (n, 1) that it is a face."""
        x = torch.relu(self.hidden(self.drop(self.features(cut).flatten(1))))
        result: Tensor = self.face(self.drop(x))
        return result

    def fuse(self) -> Confirmer:
        """Take all batch norms into their convolutions, for a network that only runs."""
        fuse_all(self.features)
        return self


class ConfirmerGraph(nn.Module):
    """The network as it ships: pixels of 0 to 255 in, what to add to a detector's log-odds out."""

    def __init__(self, network: Confirmer, weight: float, bias: float) -> None:
        super().__init__()
        self.network = network
        self.weight, self.bias = weight, bias

    def forward(self, face: Tensor) -> Tensor:
        """(1, 3, SIDE, SIDE) BGR, 0 to 255, to (1, 1) evidence."""
        result: Tensor = self.weight * self.network(face / 255) + self.bias
        return result
