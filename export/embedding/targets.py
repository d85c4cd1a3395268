"""From the teachers' vectors to the student's targets, and to a clean split of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.data.faces import Face, people
from export.embedding.teachers import unit

Vectors = npt.NDArray[np.float32]

CHUNK = 2048


@dataclass(frozen=True)
class Projection:
    """Brings joined vectors to the student's dimension and to length 1."""

    centre: Vectors
    """(inputs,)."""
    axes: Vectors
    """(inputs, dimension - 1)."""
    rest: float
    """What remains of the centre, as the last component."""

    def __call__(self, vectors: Vectors) -> Vectors:
        """Unit vectors (n, dimension) of (n, inputs)."""
        turned = ((vectors - self.centre) @ self.axes).astype(np.float32)
        last = np.full((len(turned), 1), self.rest, np.float32)
        return unit(np.concatenate([turned, last], axis=1))


def principal(vectors: Vectors, dimension: int, kept_centre: float, flattened: float) -> Projection:
    """The projection on principal components.

    All faces share a direction that tells nobody apart and takes up most of a unit vector; without
    it, though, bringing the rest to length 1 would throw away how pronounced a face is.

    Args:
        vectors: (n, inputs).
        dimension: of the result, at most `inputs`.
        kept_centre: how much of the shared direction stays, 0 to 1; with 1 distances are kept.
        flattened: strong components (mostly gender, age and skin) are weakened: each is divided by
            its variance to this power.
    """
    centre = vectors.mean(0).astype(np.float32)
    centred = (vectors - centre).astype(np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variances, axes = variances[::-1][: dimension - 1], axes[:, ::-1][:, : dimension - 1]
    weights = (np.maximum(variances, 1e-12) / max(variances[0], 1e-12)) ** -flattened
    rest = kept_centre * float(np.linalg.norm(centre))
    return Projection(centre, (axes * weights).astype(np.float32), rest)


def look_alikes(vectors: Vectors, held_out: Vectors, threshold: float) -> npt.NDArray[np.bool_]:
    """Which vectors are nearer than a threshold to any of the held-out ones.

    The same picture in two sets, and the same person under two names, would be both learnt and
    tested; by the teachers' measure they are found without names.

    Args:
        vectors: (n, d) of length 1.
        held_out: (m, d) of length 1.
        threshold: squared distance.

    Returns:
        (n,).
    """
    found = np.zeros(len(vectors), bool)
    for start in range(0, len(vectors), CHUNK):
        likeness = vectors[start : start + CHUNK] @ held_out.T
        found[start : start + CHUNK] = (2 - 2 * likeness).min(1, initial=4.0) < threshold
    return found


def misnamed(faces: Sequence[Face], vectors: Vectors, threshold: float) -> set[int]:
    """Places of the faces that do not look like the person whose name they bear.

    Args:
        faces: (n).
        vectors: (n, d) of length 1, by the teachers.
        threshold: a picture farther than this (squared) from the mean of its person's others is
            taken for another person's.
    """
    found: set[int] = set()
    for places in people(faces).values():
        if len(places) < 3:
            continue
        group = vectors[places]
        others = unit(group.sum(0, keepdims=True) - group)
        far = ((group - others) ** 2).sum(1)
        found |= {place for place, distance in zip(places, far) if distance > threshold}
    return found
