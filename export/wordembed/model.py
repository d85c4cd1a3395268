"""The network that compares words: a second of the trunk's embeddings to one unit vector.

Every step is turned into a few features by the same small network, and the features of all steps
are the vector: a word is its sounds in their order. What is learnt is how sounds differ, which does
not depend on the words that it was learnt from.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.trunk.model import EMBEDDING


class WordEncoder(nn.Module):
    """Windows of embeddings to unit vectors; the same word lies near, however it was said."""

    def __init__(self, window: int = 13, features: int = 48, hidden: int = 128) -> None:
        super().__init__()
        self.window, self.dimension = window, window * features
        self.linear = nn.Linear(EMBEDDING, features)
        self.inner = nn.Linear(EMBEDDING, hidden)
        self.outer = nn.Linear(hidden, features, bias=False)
        nn.init.zeros_(self.outer.weight)

    def forward(self, windows: Tensor) -> Tensor:
        """(n, window, 96) embeddings, oldest first, to (n, window * features) of length 1."""
        bent = self.outer(functional.leaky_relu(self.inner(windows), 0.2))
        return functional.normalize(torch.flatten(self.linear(windows) + bent, 1))

    def start_from(
        self, projection: npt.NDArray[np.floating], centre: npt.NDArray[np.floating]
    ) -> None:
        """Begin with a linear map (96, features) of embeddings less their centre (96,)."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(projection.T))
            self.linear.bias.copy_(torch.from_numpy(-(centre @ projection)))
