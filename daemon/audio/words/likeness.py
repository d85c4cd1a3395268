"""How alike sounds are, on a scale that means the same for every word.

Some sounds are near to everything, so that one threshold would wake for them too often. A
similarity is judged by how it compares with those to a cohort of other sounds, as the probe sees it
and as the template does: symmetric score normalisation, Kenny, "Bayesian speaker verification with
heavy-tailed priors", Odyssey 2010. (The adaptive kind, against the nearest of the cohort alone,
misses more here.)
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
        self._similar = np.zeros(len(cohort), np.float32)

    def statistics(self, vectors: Array) -> tuple[Array, Array]:
        """Mean and deviation, (n,) each, of the similarities of (n, d) to the cohort."""
        similar = vectors @ self._cohort.T
        return similar.mean(1), np.maximum(similar.std(1), LEAST_DEVIATION)

    def of(self, vector: Array) -> tuple[float, float]:
        """The same of one vector (d,), without making anything anew."""
        similar = np.dot(self._cohort, vector, out=self._similar)
        mean = float(similar.mean())
        square = float(np.dot(similar, similar)) / len(similar)
        return mean, max(max(0.0, square - mean * mean) ** 0.5, LEAST_DEVIATION)

    def likeness(self, vectors: Array, templates: Array) -> Array:
        """Normalised similarity of each of (n, d) and each of (k, d): (n, k), higher is more alike.

        In deviations of the cohort's similarities; the mean of what both sides see.
        """
        similar = vectors @ templates.T
        (mean, deviation), (own, spread) = map(self.statistics, (vectors, templates))
        seen = (similar - mean[:, None]) / deviation[:, None] + (similar - own) / spread
        return np.asarray(seen / 2, np.float32)

    def score(self, likeness: npt.ArrayLike, out: Array | None = None) -> Array:
        """A likeness of any shape as a score from 0 to 1: a logistic curve."""
        scores = np.zeros(np.shape(likeness), np.float32) if out is None else out
        np.subtract(self._offset, likeness, out=scores)
        np.multiply(scores, self._slope, out=scores)
        np.clip(scores, -60.0, 60.0, out=scores)
        np.exp(scores, out=scores)
        np.add(scores, 1.0, out=scores)
        return np.reciprocal(scores, out=scores)
