"""Chinese whispers: faces that are alike are linked, and links agree on groups.

Biemann, "Chinese whispers: an efficient graph clustering algorithm and its application to natural
language processing problems", TextGraphs 2006. Each node begins in a group of its own; in random
order each takes the group that its links are strongest to, until none changes. Nobody has to know
how many groups there are, and a face that is linked to nobody stays alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daemon.people.clustering.kmeans import Labels
from daemon.people.clustering.scores import Vectors, score_at, score_rows
from daemon.vision.cards import EncoderCard

LINK_FMR = 2.5e-3
"""Share of pairs of strangers that are linked: laxer than a door, since one wrong link among many
right ones decides nothing. `bench/clustering.py --choose` compares shares on people who are not in
the test."""
MOST_ROUNDS = 50

Links = list[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]
"""Of each node: the nodes that it is linked to, and how strongly."""


def link(vectors: Vectors, card: EncoderCard, fmr: float = LINK_FMR) -> Links:
    """Link faces whose score is low enough; the lower, the stronger.

    Args:
        vectors: (n, d) of length 1.
        card: of their encoder.
        fmr: share of pairs of strangers that may be linked.

    Raises:
        ConfigError: the card has no operating points.
        ModelError: the encoder's cohort is damaged.
    """
    limit = score_at(card, fmr)
    links: Links = []
    for start, scores in score_rows(vectors, card):
        for row, values in enumerate(scores, start):
            values[row] = np.inf
            near = np.flatnonzero(values < limit)
            links.append((near, limit - values[near]))
    return links


def whisper(links: Links, seed: int = 0) -> Labels:
    """Group linked nodes; (n,) number of each node's group, from 0."""
    rng = np.random.default_rng(seed)
    labels = np.arange(len(links))
    for _ in range(MOST_ROUNDS):
        changed = False
        for node in rng.permutation(len(links)):
            near, strengths = links[node]
            if not len(near):
                continue
            heard = np.bincount(labels[near], strengths)
            loudest = int(heard.argmax())
            if heard[loudest] > (heard[labels[node]] if labels[node] < len(heard) else 0):
                labels[node] = loudest
                changed = True
        if not changed:
            break
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)
