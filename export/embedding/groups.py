"""Does one threshold mean the same for everyone? False matches by gender, age and origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from export.data.faces import Face
from export.embedding.comparisons import Comparisons

AGES = ((0, 12), (13, 24), (25, 39), (40, 59), (60, 120))


@dataclass(frozen=True)
class Group:
    """Pairs of strangers who have something in common."""

    kind: str
    name: str
    faces: int
    pairs: int
    false_matches: int

    @property
    def fmr(self) -> float:
        """False match rate among them."""
        return self.false_matches / max(1, self.pairs)


def age_band(face: Face) -> str | None:
    """The band that an age lies in, such as `25-39`."""
    if face.age is None:
        return None
    return next((f"{low}-{high}" for low, high in AGES if low <= face.age <= high), None)


KINDS: dict[str, Callable[[Face], str | None]] = {
    "gender": lambda face: face.gender,
    "age": age_band,
    "ethnicity": lambda face: face.ethnicity,
}


def by_group(faces: Sequence[Face], comparisons: Comparisons, threshold: float) -> list[Group]:
    """False matches at a threshold among strangers of one gender, age band or ethnicity.

    Strangers of one group are more alike than any two, so each rate is above the overall one; what
    matters is how far the groups lie apart. People who are twice among the unnamed faces count as
    false matches here.
    """
    different = ~comparisons.same
    accepted = comparisons.scores <= threshold
    found = []
    for kind, of in KINDS.items():
        values = [of(face) for face in faces]
        for name in sorted({value for value in values if value is not None}):
            inside = np.array([value == name for value in values])
            pairs = inside[comparisons.first] & inside[comparisons.second] & different
            found.append(
                Group(
                    kind,
                    name,
                    int(inside.sum()),
                    int(pairs.sum()),
                    int((pairs & accepted).sum()),
                )
            )
    return found


def worst(groups: Sequence[Group], least_faces: int = 50) -> Group | None:
    """The group with the highest false match rate, of those with enough faces to say so."""
    return max(
        (group for group in groups if group.faces >= least_faces),
        key=lambda group: group.fmr,
        default=None,
    )
