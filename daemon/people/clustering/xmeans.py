"""X-means: k-means that finds out k by itself.

Pelleg and Moore, "X-means: extending k-means with efficient estimation of the number of clusters",
ICML 2000. From a few groups on, each is cut in two by 2-means, and the halves stay if the Bayesian
information criterion (section 3.2) prefers them to the whole; then k-means goes over all of it.

    BIC(M) = l(D) - p / 2 log R,   p = K (d + 1):  K - 1 shares, K d coordinates, one variance
    s²     = 1 / (d (R - K)) sum |x_i - m_(i)|²
    l(D)   = sum over groups n of R_n log(R_n / R)
             - R d / 2 log(2 pi s²) - d (R - K) / 2

This is the likelihood of spherical Gaussians with one variance per coordinate; the formula as
printed leaves out the factor d of the variance.
"""

from __future__ import annotations

from math import log, pi

import numpy as np

from daemon.people.clustering.kmeans import Labels, Points, improve, kmeans

VARIANCE_KEPT = 0.95
"""Share of the variance that the principal components hold in which faces are clustered."""
LEAST_COMPONENTS = 32
"""As far as there are so many: of few faces, two or three hold nearly all, and in those the little
that is left of each person looks like more people."""
INDEPENDENT = 0.65
"""Share of those components that counts in the likelihood. Pictures of a person do not lie in a
sphere: they spread along some directions (pose, light) more than along others, so that their
coordinates say less than as many independent ones. Without this a person falls into parts.
`bench/clustering.py --choose` compares shares on people who are not in the test."""
LEAST_VARIANCE = 1e-12
"""Equal points have none."""


def bic(points: Points, labels: Labels, independent: float = 1.0) -> float:
    """Bayesian information criterion of a division; higher is better.

    Args:
        points: (n, d).
        labels: (n,) number of each point's group, 0 to k - 1, each with a member.
        independent: share of the d coordinates that counts in the likelihood.

    Returns:
        Minus infinity when there are as many groups as points: then there is no variance to judge.
    """
    rows, dimension = points.shape
    counts = np.bincount(labels)
    groups = len(counts)
    if rows <= groups:
        return -np.inf
    means = np.stack([points[labels == group].mean(0) for group in range(groups)])
    scatter = float(((points - means[labels]) ** 2).sum())
    variance = max(scatter / (dimension * (rows - groups)), LEAST_VARIANCE)
    counted = independent * dimension
    likelihood = (
        float((counts * np.log(counts / rows)).sum())
        - rows * counted / 2 * log(2 * pi * variance)
        - counted * (rows - groups) / 2
    )
    return float(likelihood - groups * (dimension + 1) / 2 * log(rows))


def xmeans(
    points: Points, *, k_max: int | None = None, independent: float = 1.0, seed: int = 0
) -> Labels:
    """Divide points into as many groups as the criterion prefers.

    It starts from one group and once more from the square root of n, since among very many groups
    the first cut alone gains nothing; the better end counts.

    Args:
        points: (n, d).
        k_max: most groups; None is n.
        independent: share of the coordinates that counts in the likelihood.
        seed: of k-means.

    Returns:
        (n,) number of each point's group, from 0.
    """
    most = min(len(points), k_max or len(points))
    starts = dict.fromkeys((1, min(most, round(len(points) ** 0.5))))
    ends = [_grow(points, start, most, independent, seed) for start in starts]
    return max(ends, key=lambda labels: bic(points, labels, independent))


def components(vectors: Points) -> Points:
    """The principal components of vectors, (n, d), that hold most of their variance, (n, m)."""
    centred = vectors - vectors.mean(0)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    held = np.cumsum(strengths**2) / max(float((strengths**2).sum()), LEAST_VARIANCE)
    count = max(int((held < VARIANCE_KEPT).sum()) + 1, LEAST_COMPONENTS)
    return np.asarray(centred @ axes[:count].T)


def _grow(points: Points, start: int, most: int, independent: float, seed: int) -> Labels:
    labels = kmeans(points, start, seed=seed).labels
    while True:
        centres: list[Points] = []
        count = int(labels.max()) + 1
        room = most - count
        for group in range(count):
            halves = _halves(points[labels == group], independent, seed) if room else None
            if halves is None:
                centres.append(points[labels == group].mean(0, keepdims=True))
            else:
                centres.append(halves)
                room -= 1
        wanted = np.concatenate(centres)
        if len(wanted) == count:
            return labels
        labels = improve(points, wanted).labels
        if int(labels.max()) + 1 == count:
            return labels


def _halves(points: Points, independent: float, seed: int) -> Points | None:
    """The centres of two halves, (2, d), if they are better than the whole."""
    if len(points) < 3:
        return None
    cut = kmeans(points, 2, seed=seed)
    whole = np.zeros(len(points), np.intp)
    if len(cut.centres) < 2:
        return None
    better = bic(points, cut.labels, independent) > bic(points, whole, independent)
    return cut.centres if better else None
