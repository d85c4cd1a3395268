"""k-means: the k groups whose members lie nearest to their means.

Lloyd's algorithm ("Least squares quantization in PCM", IEEE Transactions on Information Theory 28,
1982), started by k-means++ (Arthur and Vassilvitskii, SODA 2007), as scikit-learn has them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.floating]
Labels = npt.NDArray[np.intp]

STARTS = 4
"""Of k-means++; the best of them counts."""


class Groups(NamedTuple):
    """What k-means came to."""

    labels: Labels
    """(n,) number of the group of each point, 0 to k - 1, each with a member."""
    centres: Points
    """(k, d)."""
    inertia: float
    """Sum of the squared distances of all points to the centre of their group."""


def kmeans(points: Points, k: int, *, seed: int = 0, starts: int = STARTS) -> Groups:
    """Divide points into k groups.

    Args:
        points: (n, d), n at least k.
        k: how many groups.
        seed: of the starts.
        starts: how many are tried.
    """
    from sklearn.cluster import KMeans

    return _groups(KMeans(k, n_init=starts, random_state=seed), points)


def improve(points: Points, centres: Points) -> Groups:
    """Go on from given centres, (k, d)."""
    from sklearn.cluster import KMeans

    return _groups(KMeans(len(centres), init=centres, n_init=1), points)


def _groups(model: object, points: Points) -> Groups:
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    assert isinstance(model, KMeans)
    with warnings.catch_warnings():
        # Fewer different points than groups: the empty ones are left out below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    used, labels = np.unique(model.labels_, return_inverse=True)
    return Groups(labels.astype(np.intp), model.cluster_centers_[used], float(model.inertia_))
