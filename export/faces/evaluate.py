"""What a face detector finds, misses and makes up, over pictures with known faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daemon.vision.alignment import align
from daemon.vision.boxes import inside, overlap
from daemon.vision.face import Face
from daemon.vision.quality import fault, measure
from daemon.vision.settings import QualityConfig
from export.faces.heldout import Image, Shot
from export.intervals import wilson

Array = npt.NDArray[np.float32]
Finder = Callable[[Image], Array]
"""A detector: a picture to finds (n, 15), with all that score above some low threshold."""

MATCH = 0.5
"""Intersection over union from which a find is the face."""
EYES_APART = 0.25
"""Of the width of the box: with eyes nearer than this, a face is in profile and the distance of
eyes is no measure of the error of landmarks."""


@dataclass(frozen=True)
class Judged:
    """What a detector said about a picture, and what is true."""

    name: str
    """Of the picture."""
    faces: Array
    """(faces, 14) to be found."""
    found: Array
    """(n, 15)."""
    scores: Array
    """(faces,) score of the find of each face, 0 where there is none at any threshold."""
    errors: Array
    """(faces,) mean distance of its landmarks, in eye distances; NaN where it has none."""
    false: npt.NDArray[np.bool_]
    """(n,): finds that are no face."""
    comparable: npt.NDArray[np.bool_]
    """(faces,) whether the door would compare it, as :func:`comparable` says."""
    image: Image | None
    """The picture, if something in it is missed or false at the detector's own threshold."""


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval (Wilson, 1927)."""

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share; 0 of nothing is 0."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class Measured:
    """All pictures of one set, judged."""

    pictures: Sequence[Judged]

    def recall(self, threshold: float, at_least: float = 0, below: float = math.inf) -> Rate:
        """Faces found at a threshold, of those with such a width in pixels."""
        scores = np.concatenate(
            [
                each.scores[(each.faces[:, 2] >= at_least) & (each.faces[:, 2] < below)]
                for each in self.pictures
            ]
        )
        return rate(int((scores >= threshold).sum()), len(scores))

    def false_per_hundred(self, threshold: float) -> float:
        """False faces in a hundred pictures."""
        return 100 * int((self.false_scores() >= threshold).sum()) / max(1, len(self.pictures))

    def false_scores(self) -> Array:
        """Scores of all false faces."""
        return np.concatenate([each.found[each.false, 14] for each in self.pictures])

    def landmark_error(self, threshold: float) -> float:
        """Mean error of landmarks of the faces found at a threshold, in eye distances."""
        errors = np.concatenate([each.errors[each.scores >= threshold] for each in self.pictures])
        return float(np.nanmean(errors)) if np.isfinite(errors).any() else math.nan

    @property
    def compared(self) -> Measured:
        """The same for those faces alone that the door would compare."""
        return Measured(
            [
                replace(
                    each,
                    faces=each.faces[each.comparable],
                    scores=each.scores[each.comparable],
                    errors=each.errors[each.comparable],
                    comparable=each.comparable[each.comparable],
                )
                for each in self.pictures
            ]
        )

    @property
    def faces(self) -> int:
        """How many there are to be found."""
        return sum(len(each.scores) for each in self.pictures)


@dataclass(frozen=True)
class System:
    """A detector under test."""

    name: str
    finder: Finder
    threshold: float
    """At which it is used."""


def judge(systems: Sequence[System], shots: Iterable[Shot]) -> list[Measured]:
    """Show every picture to every detector; one result for each."""
    judged: list[list[Judged]] = [[] for _ in systems]
    for shot in shots:
        good = comparable(shot)
        for system, results in zip(systems, judged):
            results.append(_judge(shot, good, system.finder(shot.image), system.threshold))
    return [Measured(results) for results in judged]


def comparable(shot: Shot) -> npt.NDArray[np.bool_]:
    """Which faces of a picture are large, near enough to the front, bright and sharp enough.

    The door's own rule (:func:`daemon.vision.quality.fault`) with its default settings, on the true
    box and landmarks. A face whose landmarks nobody knows counts as such.
    """
    height, width = shot.image.shape[:2]
    result = np.ones(len(shot.faces), bool)
    for place, row in enumerate(shot.faces):
        if row[4:].any():
            face = Face(row[:4], row[4:].reshape(5, 2), 1.0)
            quality = measure(face, align(shot.image, face.landmarks))
            result[place] = fault(face, quality, width, height, QualityConfig()) is None
    return result


def _judge(shot: Shot, good: npt.NDArray[np.bool_], found: Array, threshold: float) -> Judged:
    overlaps = overlap(shot.faces[:, :4], found[:, :4])
    scores = np.zeros(len(shot.faces), np.float32)
    errors = np.full(len(shot.faces), np.nan, np.float32)
    taken = np.zeros(len(found), bool)
    for find in np.argsort(-found[:, 14], kind="stable"):
        free = np.where(scores == 0, overlaps[:, find], 0)
        if not len(free) or free.max() < MATCH:
            continue
        face = int(free.argmax())
        scores[face], taken[find] = found[find, 14], True
        errors[face] = landmark_error(found[find, 4:14], shot.faces[face])
    excused = np.asarray((overlap(found[:, :4], shot.open) > 0.25).any(1), bool)
    excused |= inside(found, shot.open)
    false = ~taken & ~excused
    wrong = (scores < threshold).any() or (found[false, 14] >= threshold).any()
    image = shot.image if wrong else None
    return Judged(shot.name, shot.faces, found, scores, errors, false, good, image)


def landmark_error(points: Array, face: Array) -> float:
    """Mean distance of five points (10,) from those of a face (14,), in its eye distances.

    NaN where the face has no landmarks or is in profile.
    """
    truth = face[4:].reshape(5, 2)
    eyes = float(np.linalg.norm(truth[1] - truth[0]))
    if eyes < EYES_APART * face[2]:
        return math.nan
    return float(np.linalg.norm(points.reshape(5, 2) - truth, axis=1).mean()) / eyes


def rate(count: int, of: int) -> Rate:
    """A share with its interval."""
    return Rate(count, of, *wilson(count, of))


def threshold_for(empty: Measured, per_hundred: float) -> float:
    """Lowest threshold with at most so many false faces in a hundred pictures without faces."""
    allowed = int(per_hundred * len(empty.pictures) / 100)
    scores = np.sort(empty.false_scores())[::-1]
    return float(np.nextafter(scores[allowed], np.float32(1))) if len(scores) > allowed else 0.0
