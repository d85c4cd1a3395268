"""Measures encoders side by side: on labelled pairs, and on all pairs of a set of faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.people.normalisation import CohortNorm, load_cohort
from daemon.vision.encoder import Encoder
from export.data.faces import Face
from export.data.lfw import Pair
from export.embedding.comparisons import Comparisons, compare
from export.embedding.groups import Group, by_group
from export.embedding.material import LOOK_ALIKE
from export.embedding.teachers import Teacher, VectorStore, together, unit
from export.embedding.verification import Verification, at_rate, measure

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]

RATES = (1e-2, 1e-3, 1e-4)
"""False match rates at which misses are stated."""


@dataclass(frozen=True)
class System:
    """Something that says how alike two faces are."""

    name: str
    encoders: tuple[Teacher, ...]
    """One, or several whose squared distances are summed by weight."""
    mirrored: bool = False
    """Whether each picture's mirror image is embedded, too, and the two vectors are averaged."""
    norm: CohortNorm | None = None
    shipped: bool = False
    """Whether the operating points of its card are about these scores."""

    def vectors(self, store: VectorStore, faces: Sequence[Face]) -> Vectors:
        """Unit vectors of faces, (n, d)."""
        if len(self.encoders) > 1:
            return together(self.encoders, store, faces)
        encoder = self.encoders[0].encoder
        if self.mirrored:
            return store.averaged(encoder, faces)
        return store.vectors(encoder, faces)


def as_shipped(encoder: Encoder) -> System:
    """An encoder as the daemon uses it: one look, and the score that its card says."""
    card = encoder.card
    norm = None
    if card.normalise and card.cohort is not None:
        norm = CohortNorm(load_cohort(card.beside(card.cohort.file)), card.cohort.nearest)
    return System(card.name, (Teacher(encoder),), norm=norm, shipped=True)


def peers(teachers: Sequence[Teacher]) -> list[System]:
    """Each teacher, and all of them together; with mirror images, as they are usually measured."""
    alone = [System(f"{each.name}, mirrored", (each,), mirrored=True) for each in teachers]
    if len(teachers) < 2:
        return alone
    names = " + ".join(each.name for each in teachers)
    return [*alone, System(f"{names}, mirrored", tuple(teachers), mirrored=True)]


def pair_scores(vectors: Vectors, pairs: Sequence[Pair], norm: CohortNorm | None) -> Scores:
    """Scores of labelled pairs, (n,); lower is more alike."""
    first = [pair.first for pair in pairs]
    second = [pair.second for pair in pairs]
    distances: Scores = ((vectors[first] - vectors[second]) ** 2).sum(1)
    if norm is None:
        return distances
    mean, deviation = norm.statistics(vectors)
    return norm.scores(
        distances, (mean[first], deviation[first]), (mean[second], deviation[second])
    )


def verify(scores: Scores, pairs: Sequence[Pair]) -> Verification:
    """Accuracy and TAR of labelled pairs."""
    return measure(scores, np.array([pair.same for pair in pairs]))


@dataclass(frozen=True)
class HeldOut:
    """What all pairs of held-out faces say about a system."""

    comparisons: Comparisons
    fnmr: Mapping[float, float]
    """Misses by false match rate, at the threshold with that rate on these very pairs."""
    groups: list[Group]
    """At the threshold for the lowest of the rates."""


def held_out(faces: Sequence[Face], vectors: Vectors, norm: CohortNorm | None = None) -> HeldOut:
    """Compare all pairs of faces.

    Args:
        faces: (n).
        vectors: (n, d) of length 1.
        norm: normalises distances; None leaves them.
    """
    comparisons = compare(faces, vectors, norm)
    impostor, genuine = comparisons.impostor, comparisons.genuine
    thresholds = {rate: at_rate(impostor, rate) for rate in RATES if rate * len(impostor) >= 1}
    misses = {rate: float(np.mean(genuine > each)) for rate, each in thresholds.items()}
    strictest = thresholds[min(thresholds)] if thresholds else 0.0
    return HeldOut(comparisons, misses, by_group(faces, comparisons, strictest))


def without_copies(faces: Sequence[Face], vectors: Vectors) -> list[int]:
    """Places of the faces that are no second picture of somebody unnamed.

    Sets of unnamed pictures hold some people twice; taken for strangers, they would be counted as
    false matches. An unnamed face that the teachers together find all but equal to an earlier one
    is left out.

    Args:
        faces: (n).
        vectors: (n, d) of length 1, by the teachers together.
    """
    likeness = unit(vectors) @ unit(vectors).T
    earlier = np.tril(2 - 2 * likeness < LOOK_ALIKE, -1)
    return [
        place
        for place, face in enumerate(faces)
        if face.identity is not None or not earlier[place].any()
    ]
