"""The network that says where the landmarks are in a face that was cut out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from daemon.vision.landmarks import EYES, SIDE, TEMPLATE
from export.faces.model import fuse_all, halving


@dataclass(frozen=True)
class LandmarkWidths:
    """Channels of the network."""

    stages: tuple[int, ...] = (16, 32, 64, 96)
    """At strides 2, 4, 8 and 16."""
    hidden: int = 128


class LandmarkNet(nn.Module):
    """Convolutions that halve, and two dense layers."""

    def __init__(self, widths: LandmarkWidths | None = None) -> None:
        super().__init__()
        self.widths = widths = widths or LandmarkWidths()
        self.features = halving(widths.stages)
        cells = (SIDE // 2 ** len(widths.stages)) ** 2
        self.hidden = nn.Linear(cells * widths.stages[-1], widths.hidden)
        self.offsets = nn.Linear(widths.hidden, 10)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)

    def forward(self, face: Tensor) -> Tensor:
        """(n, 3, SIDE, SIDE) BGR, 0 to 1, to offsets from the template, (n, 5, 2) eye distances."""
        return self.placed(self.features(face))

    def placed(self, maps: Tensor) -> Tensor:
        """What :attr:`features` gives, to offsets as :meth:`forward` gives them."""
        x = torch.relu(self.hidden(maps.flatten(1)))
        result: Tensor = self.offsets(x).reshape(-1, 5, 2)
        return result

    def fuse(self) -> LandmarkNet:
        """Take all batch norms into their convolutions, for a network that only runs."""
        fuse_all(self.features)
        return self


class LandmarkGraph(nn.Module):
    """The network as it ships: pixels of 0 to 255 in, pixels of the cut out."""

    def __init__(self, network: LandmarkNet) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("template", torch.tensor(TEMPLATE, dtype=torch.float32))

    def forward(self, face: Tensor) -> Tensor:
        """(1, 3, SIDE, SIDE) BGR, 0 to 255, to (1, 5, 2) x, y."""
        result: Tensor = self.template + EYES * self.network(face / 255)
        return result
