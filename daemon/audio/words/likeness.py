"""How alike sounds are, on a scale that means the same for every word.

Some words are near to many sounds, so that one threshold would wake for them too often. A
similarity is judged by how it compares with the template's to a cohort of other sounds: zero
normalisation, Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent
speaker verification systems", Digital Signal Processing 10, 2000. (The symmetric kind, which looks
from the probe's side, too, misses more here, and costs a comparison with the whole cohort at every
step.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

LEAST_DEVIATION = 1e-3
"""Similarities that are all equal say nothing; they must not divide by nothing either."""


class Scale:
    """The scale of one encoder: its cohort of other sounds, and where a score is one half."""

    def __init__(self, cohort: Array, offset: float = 0.0, slope: float = 1.0) -> None:
        """Take the cohort, (m, dimension) of length 1, and the logistic curve of the scores."""
        self._cohort = np.ascontiguousarray(cohort, np.float32)
        self._offset, self._slope = offset, slope

    def statistics(self, templates: Array) -> tuple[Array, Array]:
        """Mean and deviation, (k,) each, of the similarities of (k, d) to the cohort."""
        similar = templates @ self._cohort.T
        return similar.mean(1), np.maximum(similar.std(1), LEAST_DEVIATION)

    def likeness(self, vectors: Array, templates: Array) -> Array:
        """Normalised similarity of each of (n, d) and each of (k, d): (n, k), higher is more alike.

        In deviations of the similarities of the template to the cohort.
        """
        mean, deviation = self.statistics(templates)
        return np.asarray((vectors @ templates.T - mean) / deviation, np.float32)

    def score(self, likeness: npt.ArrayLike, out: Array | None = None) -> Array:
        """A likeness of any shape as a score from 0 to 1: a logistic curve."""
        scores = np.zeros(np.shape(likeness), np.float32) if out is None else out
        np.subtract(self._offset, likeness, out=scores)
        np.multiply(scores, self._slope, out=scores)
        np.clip(scores, -60.0, 60.0, out=scores)
        np.exp(scores, out=scores)
        np.add(scores, 1.0, out=scores)
        return np.reciprocal(scores, out=scores)
