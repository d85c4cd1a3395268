"""Which face belongs to whom, when nobody says: one way to ask each method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from daemon.people.clustering.density import dense
from daemon.people.clustering.elbow import elbow, inertia, tried
from daemon.people.clustering.graph import link, whisper
from daemon.people.clustering.kmeans import Labels, kmeans
from daemon.people.clustering.scores import Vectors
from daemon.people.clustering.xmeans import INDEPENDENT, components, xmeans
from daemon.vision.cards import EncoderCard

Method = Literal["graph", "xmeans", "density", "kmeans"]
BEST: Method = "graph"
"""Where the number of people is not known (`bench/clustering.py`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Faces in groups."""

    method: Method
    labels: Labels
    """(n,) number of each face's group, from 0; the larger a group, the lower its number."""

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.labels.max(initial=-1)) + 1


def group(
    vectors: Vectors, card: EncoderCard, method: Method | None = None, k: int | None = None
) -> Grouping:
    """Group faces by person.

    Args:
        vectors: (n, d) of length 1.
        card: of their encoder.
        method: None is k-means where k is given, else the best without it.
        k: how many people, for k-means; None takes the knee of its inertia.

    Raises:
        ConfigError: the card has no operating points, and the method needs them.
        ModelError: the encoder's cohort is damaged.
    """
    chosen = method or ("kmeans" if k else BEST)
    if not len(vectors):
        return Grouping(chosen, np.zeros(0, np.intp))
    if chosen == "kmeans":
        labels = kmeans(vectors, min(k or _knee(vectors), len(vectors))).labels
    elif chosen == "xmeans":
        labels = xmeans(components(vectors), independent=INDEPENDENT)
    elif chosen == "density":
        labels = dense(vectors, card)
    else:
        labels = whisper(link(vectors, card))
    return Grouping(chosen, _by_size(labels))


def _knee(vectors: Vectors) -> int:
    ks = tried(len(vectors))
    return elbow(ks, [inertia(vectors, k) for k in ks]).knee


def _by_size(labels: Labels) -> Labels:
    """The same groups, numbered from the largest on; of equal ones the first comes first."""
    _, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    return places[labels]
