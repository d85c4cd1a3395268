"""HDBSCAN: groups are where faces lie dense, each at its own density.

Campello, Moulavi and Sander, "Density-based clustering based on hierarchical density estimates",
PAKDD 2013, as scikit-learn has it, over the scores of all pairs. It needs memory for all of them.
"""

from __future__ import annotations

import numpy as np

from daemon.people.clustering.kmeans import Labels
from daemon.people.clustering.scores import Vectors, score_rows
from daemon.vision.cards import EncoderCard

LEAST_FACES = 3
"""Of a group; fewer are noise, and stay alone."""
NEIGHBOURS = 2
"""Whose distance says how dense it is around a face."""


def dense(vectors: Vectors, card: EncoderCard) -> Labels:
    """Group faces; (n,) number of each face's group, from 0; noise is a group of its own each.

    Args:
        vectors: (n, d) of length 1.
        card: of their encoder.

    Raises:
        ModelError: the encoder's cohort is damaged.
    """
    from sklearn.cluster import HDBSCAN

    if len(vectors) < LEAST_FACES:
        return np.arange(len(vectors))
    scores = np.concatenate([rows for _, rows in score_rows(vectors, card)]).astype(np.float64)
    scores = (scores + scores.T) / 2
    scores -= scores.min()
    np.fill_diagonal(scores, 0)
    model = HDBSCAN(LEAST_FACES, min_samples=NEIGHBOURS, metric="precomputed", copy=False)
    labels = model.fit_predict(scores)
    noise = np.flatnonzero(labels < 0)
    labels[noise] = labels.max() + 1 + np.arange(len(noise))
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)
