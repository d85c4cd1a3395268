"""How alike faces are, as the door counts it: the score of the encoder's card, for many faces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from daemon.errors import ConfigError
from daemon.people.normalisation import make_norm
from daemon.vision.cards import EncoderCard

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]

_CHUNK = 512
"""Faces that are compared with all others at a time."""


def score_rows(vectors: Vectors, card: EncoderCard) -> Iterator[tuple[int, Scores]]:
    """The scores of faces with all faces, some rows at a time.

    Args:
        vectors: (n, d) of length 1.
        card: of their encoder.

    Yields:
        Number of the first row, and (m, n) scores; lower is more alike.

    Raises:
        ModelError: the encoder's cohort is damaged.
    """
    norm = make_norm(card)
    parts = range(0, len(vectors), _CHUNK)
    if norm is not None:
        found = [norm.statistics(vectors[start : start + _CHUNK]) for start in parts]
        mean, deviation = (np.concatenate(each) for each in zip(*found))
    for start in parts:
        rows = slice(start, start + _CHUNK)
        distances = np.maximum(2 - 2 * vectors[rows] @ vectors.T, 0)
        if norm is not None:
            own = mean[rows, None], deviation[rows, None]
            distances = norm.scores(distances, own, (mean, deviation))
        yield start, np.asarray(distances, np.float32)


def score_at(card: EncoderCard, fmr: float) -> float:
    """The score below which so small a share of pairs of strangers lies, 0 to 1.

    Between the operating points of the card it is interpolated over the logarithm of the rate;
    beyond them the nearest point counts.

    Raises:
        ConfigError: the card has no operating point.
    """
    known = [
        (each.fmr, each.threshold) for each in card.operating_points if each.threshold is not None
    ]
    if not known:
        raise ConfigError(
            f"faces.encoder: the card of {card.name} has no operating points, which tell faces of "
            "one person from strangers; choose another encoder, or give the number of people: --k N"
        )
    rates, thresholds = zip(*sorted(known))
    return float(np.interp(np.log(fmr), np.log(rates), thresholds))
