"""The network that compares words: a second of the trunk's hypercolumns to one unit vector.

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


class WordEncoder(nn.Module):
    """Windows of hypercolumns to unit vectors; the same word lies near, however it was said."""

    def __init__(self, width: int, window: int, features: int, hidden: int) -> None:
        super().__init__()
        self.width, self.window, self.dimension = width, window, window * features
        self.linear = nn.Linear(width, features)
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, features, bias=False)
        nn.init.zeros_(self.outer.weight)

    def forward(self, windows: Tensor) -> Tensor:
        """(n, window, width), oldest step first, to (n, window * features) of length 1."""
        return functional.normalize(torch.flatten(self.features(windows), 1))

    def features(self, columns: Tensor) -> Tensor:
        """(..., width) to (..., features): what each step says of a word."""
        bent: Tensor = self.outer(functional.leaky_relu(self.inner(columns), 0.2))
        described: Tensor = self.linear(columns) + bent
        return described

    def start_from(
        self, projection: npt.NDArray[np.floating], centre: npt.NDArray[np.floating]
    ) -> None:
        """Begin with a linear map (width, features) of columns less their centre (width,)."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(projection.T))
            self.linear.bias.copy_(torch.from_numpy(-(centre @ projection)))
