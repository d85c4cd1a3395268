"""What a detector takes for faces, with the truth: all that the second opinion learns from.

Pictures with faces are composed as for the detector; those without are looked at as a camera shows
them, and once more smaller and worn. Finds that only half cover a face are neither. Of a picture
with people nobody knows all the faces: there, only what touches a known one can be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.inference import CPU, open_session
from daemon.vision.alignment import align
from daemon.vision.boxes import inside, overlap
from daemon.vision.cards import DetectorCard
from daemon.vision.confirmation import SIDE, log_odds, template
from daemon.vision.detector import FaceDetector
from export.faces.composition import Material, Picture, Sample, compose, settle
from export.faces.degrade import degrade
from export.faces.evaluate import MATCH
from export.faces.heldout import WIDTH, camera_size

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
Generator = np.random.Generator

MARGIN = 6
"""Pixels around a cut that are kept, so that it can be shifted while it is learnt from."""
COMPOSED = 384
"""Side in pixels of a composed picture."""
APART = 0.3
"""Intersection over union with a face below which a find is none."""
UNSURE = 0.2
"""The same with a place of which nobody knows whether it is a face: such finds are left out."""
TOUCHING = 0.02
"""The same with a known face, from which a find in a picture with people is a wrong one."""
MOST = 4
"""False finds of one picture that are kept: the surest."""
SMALLEST_VIEW = 0.4
"""Of the camera's size, to which a picture without faces is reduced at most."""


@dataclass(frozen=True)
class Candidates:
    """Finds, cut out."""

    cuts: Image
    """(n, SIDE + 2 MARGIN, SIDE + 2 MARGIN, 3)."""
    is_face: npt.NDArray[np.bool_]
    """(n,)."""
    odds: Array
    """(n,) log-odds that the detector gives each."""


@dataclass(frozen=True)
class Task:
    """A picture to be looked at."""

    kind: str
    """`composed`, `people`, `crowd`, `bare` or `worn`."""
    number: int


def tasks(material: Material, composed: int) -> list[Task]:
    """Every picture of the material as it is, and so many that are made of them."""
    bare = range(len(material.backgrounds))
    return [
        *(Task("composed", number) for number in range(composed)),
        *(Task("crowd", number) for number in range(composed // 2 if material.people else 0)),
        *(Task("people", number) for number in range(len(material.people))),
        *(Task("bare", number) for number in bare),
        *(Task("worn", number) for number in bare),
    ]


def gather(
    material: Material, card: DetectorCard, least: float, composed: int, seed: int, workers: int
) -> Candidates:
    """Show pictures to a detector and keep what it finds.

    Args:
        material: what pictures are made of.
        card: of the detector.
        least: score from which its finds are kept.
        composed: pictures to compose.
        seed: of those, and of how others are worn.
        workers: processes; 0: this one.
    """
    todo = tasks(material, composed)
    looked = _looked(Looker(material, card, least, seed), todo, workers)
    bar = tqdm(looked, desc="finds to be judged", total=len(todo), unit="picture")
    found = [find for finds in bar for find in finds]
    side = SIDE + 2 * MARGIN
    cuts = np.stack([cut for cut, _, _ in found]) if found else np.zeros((0, side, side, 3))
    return Candidates(
        cuts.astype(np.uint8, copy=False),
        np.array([is_face for _, is_face, _ in found], bool),
        np.array([odds for _, _, odds in found], np.float32),
    )


Found = list[tuple[Image, bool, float]]
_lookers: list[Looker] = []
"""Of this process: sent with every task, the material would take longer than looking."""


def _looked(looker: Looker, todo: Sequence[Task], workers: int) -> Iterator[Found]:
    if not workers:
        yield from map(looker, todo)
        return
    # A forked process cannot end threads that OpenCV may have begun here.
    cv2.setNumThreads(1)
    with get_context("fork").Pool(workers, _lookers.append, (looker,)) as pool:
        yield from pool.imap(_look, todo, chunksize=32)


def _look(task: Task) -> Found:
    return _lookers[0](task)


class Looker:
    """Looks at pictures; each process opens the detector for itself."""

    def __init__(self, material: Material, card: DetectorCard, least: float, seed: int) -> None:
        self._material, self._card = material, card
        self._least, self._seed = least, seed
        self._detector: FaceDetector | None = None

    def __call__(self, task: Task) -> Found:
        """The finds of a picture, cut out, with the truth about each and its log-odds."""
        if self._detector is None:
            self._detector = FaceDetector(open_session(self._card.path, [CPU]), self._card)
        rng = np.random.default_rng([self._seed, task.number, len(task.kind)])
        sample = self._sample(task, rng)
        finds = self._detector.rows(sample.image, least=self._least)
        is_face, known = judged(sample, finds)
        if task.kind in ("crowd", "people"):
            known &= is_face | _touches(sample.faces, finds)
        false = np.flatnonzero(known & ~is_face)
        known[false[MOST:]] = False
        odds = log_odds(finds[:, 14])
        return [
            (cut_out(sample.image, finds[place]), bool(is_face[place]), float(odds[place]))
            for place in np.flatnonzero(known)
        ]

    def _sample(self, task: Task, rng: Generator) -> Sample:
        if task.kind == "composed":
            return compose(self._material, COMPOSED, rng, tiled=0.25, whole=0.0)
        if task.kind == "crowd":
            return compose(self._material, COMPOSED, rng, tiled=0.0, whole=1.0)
        if task.kind == "people":
            return as_shown(self._material.people[task.number])
        image = camera_size(self._material.backgrounds[task.number].read())
        return Sample(image if task.kind == "bare" else _worn(image, rng))


def as_shown(picture: Picture) -> Sample:
    """A picture with people as a camera shows it; faces that are too small are left open."""
    image = picture.read()
    factor = WIDTH / max(image.shape[:2])
    faces = (picture.faces * factor).astype(np.float32)
    doubtful = (picture.doubtful * factor).astype(np.float32)
    return settle(Sample(camera_size(image), faces, doubtful))


def _worn(image: Image, rng: Generator) -> Image:
    factor = float(np.exp(rng.uniform(np.log(SMALLEST_VIEW), 0)))
    high, wide = (max(32, int(factor * length)) for length in image.shape[:2])
    seen = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        seen = np.ascontiguousarray(seen[:, ::-1])
    return degrade(np.asarray(seen, np.uint8), float(rng.uniform(12, 80)), rng)


def judged(sample: Sample, finds: Array) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which finds (n, 15) of a picture are faces, and of which it is known: (n,) each."""
    best = np.zeros(len(finds), np.float32)
    if len(sample.faces) and len(finds):
        best = overlap(sample.faces[:, :4], finds[:, :4]).max(0)
    is_face = best >= MATCH
    known = is_face | (best < APART)
    if len(sample.open) and len(finds):
        unsure = (overlap(finds[:, :4], sample.open) > UNSURE).any(1) | inside(finds, sample.open)
        known &= is_face | ~unsure
    return is_face, known


def _touches(faces: Array, finds: Array) -> npt.NDArray[np.bool_]:
    """Which finds (n, 15) share something with a face: an eye, or a head with its shoulders."""
    if not len(faces) or not len(finds):
        return np.zeros(len(finds), bool)
    return np.asarray((overlap(faces[:, :4], finds[:, :4]) > TOUCHING).any(0), bool)


def cut_out(image: Image, find: Array) -> Image:
    """A find (15,) with the margin around it, as :class:`FaceConfirmer` cuts it out."""
    side = SIDE + 2 * MARGIN
    return align(image, find[4:14].reshape(5, 2), template(side), (side, side))
