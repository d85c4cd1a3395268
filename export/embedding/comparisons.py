"""Every face of a set against every other: scores, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.people.normalisation import CohortNorm
from export.data.faces import Face

Vectors = npt.NDArray[np.float32]
Array = npt.NDArray[np.float32]

CHILD = 12
"""Years up to which a face is a child's."""


@dataclass(frozen=True)
class Comparisons:
    """All pairs of n faces. A face without a name is a person of its own."""

    scores: Array
    """(pairs,) lower is more alike."""
    first: npt.NDArray[np.intp]
    """(pairs,) place of the first face."""
    second: npt.NDArray[np.intp]
    person: npt.NDArray[np.intp]
    """(n,) number of each face's person."""
    named: npt.NDArray[np.bool_]
    """(n,) whether it is known whose face it is."""
    grown: npt.NDArray[np.bool_]
    """(n,) False for a child, :data:`CHILD` or younger."""

    @property
    def same(self) -> npt.NDArray[np.bool_]:
        """(pairs,) whether both faces bear one name."""
        return np.asarray(self.person[self.first] == self.person[self.second])

    @property
    def strangers(self) -> npt.NDArray[np.bool_]:
        """(pairs,) whether two people are compared, of whom rates can be told.

        Two unnamed faces may be one person's: at least one has a name. And no child: to every
        network here small children are all but one person, so that they alone would decide.
        """
        known = self.named[self.first] | self.named[self.second]
        grown = self.grown[self.first] & self.grown[self.second]
        return ~self.same & known & grown

    @property
    def impostor(self) -> Array:
        """Scores of strangers."""
        return self.scores[self.strangers]

    @property
    def genuine(self) -> Array:
        """Scores of one person."""
        return self.scores[self.same]


def compare(faces: Sequence[Face], vectors: Vectors, norm: CohortNorm | None = None) -> Comparisons:
    """Compare all pairs.

    Args:
        faces: (n).
        vectors: (n, d) of length 1.
        norm: normalises the distances; None leaves them squared distances.
    """
    first, second = np.triu_indices(len(faces), 1)
    scores = np.maximum(2 - 2 * vectors @ vectors.T, 0)
    if norm is not None:
        mean, deviation = norm.statistics(vectors)
        across, down = (mean[:, None], deviation[:, None]), (mean[None], deviation[None])
        scores = norm.scores(scores, across, down)
    known: dict[str, int] = {}
    person = [
        known.setdefault(face.identity or f"{face.source}/{face.name}", len(known))
        for face in faces
    ]
    return Comparisons(
        np.asarray(scores[first, second], np.float32),
        first,
        second,
        np.array(person, np.intp),
        np.array([face.identity is not None for face in faces], bool),
        np.array([face.age is None or face.age > CHILD for face in faces], bool),
    )
