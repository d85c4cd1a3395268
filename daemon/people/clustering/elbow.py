"""The elbow: the k from which on more groups gain little.

The inertia of k-means falls with every further group. Its knee is the k at which the curve lies
farthest below the straight line between its ends (Satopää et al., "Finding a kneedle in a
haystack", ICDCS Workshops 2011, without smoothing). With faces the bend is faint: it is for people
to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.people.clustering.kmeans import Points, kmeans

STEPS = 24
"""Values of k that are tried."""


@dataclass(frozen=True, slots=True)
class Elbow:
    """A curve and where it bends."""

    ks: tuple[int, ...]
    inertias: tuple[float, ...]
    knee: int


def tried(most: int) -> list[int]:
    """Values of k from 1 to `most`, dense where the curve bends.

    >>> tried(6)
    [1, 2, 3, 4, 5, 6]
    """
    steps = np.geomspace(1, most, STEPS) if most > STEPS else np.arange(1, most + 1)
    return sorted({round(step) for step in steps.tolist()})


def inertia(points: Points, k: int, seed: int = 0) -> float:
    """The inertia of points, (n, d), in k groups."""
    return kmeans(points, k, seed=seed, starts=2).inertia


def knee(ks: Sequence[int], values: Sequence[float]) -> int:
    """The k at which a falling curve is farthest below the line between its ends.

    >>> knee([1, 2, 3, 4, 5], [100, 50, 10, 8, 6])
    3
    """
    x, y = np.array(ks, float), np.array(values, float)
    if len(x) < 3 or y[0] <= y[-1]:
        return ks[0]
    across = (x - x[0]) / (x[-1] - x[0])
    down = (y[0] - y) / (y[0] - y[-1])
    return ks[int(np.argmax(down - across))]


def elbow(ks: Sequence[int], values: Sequence[float]) -> Elbow:
    """The curve with its knee."""
    return Elbow(tuple(ks), tuple(values), knee(ks, values))
