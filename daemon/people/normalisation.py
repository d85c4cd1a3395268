"""Scores that mean the same for everyone: distances seen against those to strangers.

Some faces are near to everybody, so that one threshold lets in more strangers for them than for
others. Adaptive symmetric score normalisation measures each face against a cohort of strangers and
judges a distance by how it compares with those to the nearest of them: Matějka et al., "Analysis of
score normalization in multilingual speaker recognition", Interspeech 2017, equation 3 (there on
similarities, here on distances, so lower remains more alike).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.errors import ModelError
from daemon.vision.cards import EncoderCard

Vectors = npt.NDArray[np.floating]
Array = npt.NDArray[np.float32]
Statistics = tuple[Array, Array]
"""Mean and deviation, (n,) each, of the squared distances of faces to their nearest strangers."""

UNRELATED = 1.2
"""Squared distance for encoders that say nothing of strangers: well below that of vectors that have
nothing to do with each other (2)."""
LEAST_DEVIATION = 1e-3
"""A cohort of equal distances says nothing; it must not divide by nothing either."""


class CohortNorm:
    """A cohort of strangers."""

    def __init__(self, cohort: Vectors, nearest: int) -> None:
        """Keep the cohort.

        Args:
            cohort: (m, d) of length 1.
            nearest: how many of the nearest strangers give mean and deviation; at most m.
        """
        self.cohort = np.ascontiguousarray(cohort, np.float32)
        self.nearest = min(nearest, len(cohort))

    def statistics(self, vectors: Vectors) -> Statistics:
        """How near strangers are to faces; of a template it is computed once and kept.

        Args:
            vectors: (n, d) of length 1.

        Returns:
            Mean and standard deviation, (n,) each.
        """
        distances = 2 - 2 * (np.asarray(vectors, np.float32) @ self.cohort.T)
        if self.nearest < distances.shape[1]:
            distances = np.partition(distances, self.nearest - 1, axis=1)[:, : self.nearest]
        return distances.mean(1), np.maximum(distances.std(1), LEAST_DEVIATION)

    def scores(
        self, distances: npt.NDArray[np.floating], probe: Statistics, templates: Statistics
    ) -> Array:
        """Normalised distances, in deviations from the nearest strangers; lower is more alike.

        Args:
            distances: (...) squared distances of probes and templates.
            probe: statistics of the probes, broadcast to the distances.
            templates: statistics of the templates, broadcast to the distances.

        Returns:
            (...): the mean of the distance as the probe sees it and as the template sees it.
        """
        seen = [(distances - mean) / deviation for mean, deviation in (probe, templates)]
        return np.asarray((seen[0] + seen[1]) / 2, np.float32)


def make_norm(card: EncoderCard) -> CohortNorm | None:
    """What normalises the scores of an encoder; None where they are distances.

    Raises:
        ModelError: the cohort is damaged.
    """
    if not card.normalise or card.cohort is None:
        return None
    return CohortNorm(load_cohort(card.beside(card.cohort.file)), card.cohort.nearest)


def stranger_distance(card: EncoderCard, share: float) -> float:
    """Squared distance that so small a share of pairs of strangers is below, for an encoder.

    Args:
        card: of the encoder; without a cohort the answer is :data:`UNRELATED`.
        share: 0 to 1.

    Raises:
        ModelError: the cohort is damaged.
    """
    if card.cohort is None:
        return UNRELATED
    return _nearness(card.beside(card.cohort.file), card.cohort.sha256, share)


@lru_cache(maxsize=8)
def _nearness(path: Path, sha256: str, share: float) -> float:
    """As above, for a cohort's file, known by its hash.

    It is asked for with every change of the gallery: once is enough.
    """
    cohort = load_cohort(path)
    distances = 2 - 2 * (cohort @ cohort.T)
    return float(np.quantile(distances[np.triu_indices(len(cohort), 1)], share))


def load_cohort(path: Path) -> npt.NDArray[np.float32]:
    """Read the cohort of a model, (m, d) of length 1.

    Raises:
        ModelError: it is no array of vectors.
    """
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise ModelError(f"{path}: no cohort: {error}; copy the model's files again") from None
    if not isinstance(stored, np.ndarray) or stored.ndim != 2 or not len(stored):
        raise ModelError(f"{path}: no cohort: must be an array of vectors; copy it again")
    vectors = stored.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
