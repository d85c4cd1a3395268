"""Whole pictures, with the faces that a teacher sees in them: streets, rooms, animals, things.

A picture without a face is a background; what the teacher is in doubt about is neither learnt as a
face nor as background.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.errors import ModelError, SourceError
from daemon.inference import CPU
from daemon.vision.face import COLUMNS
from daemon.vision.objects.detector import open_object_detector
from export import keys
from export.data.faces import PICTURES, Part, archive_index, part_of
from export.faces.teacher import DOUBTFUL, SURE, Teacher

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

LARGEST_SIDE = 960
"""Longest side at which a picture is searched for small faces; a small picture is enlarged to half
as much again."""
SMALLEST_SIDE = 256
"""Longest side at which it is searched for faces that fill it."""
PERSON = 0.2
"""Score from which a detector of objects has seen somebody, if only to be careful."""
THUMB = 16
"""Side of the tiny picture that tells whether two pictures are the same."""


@dataclass(frozen=True)
class Scene:
    """A picture and what is known of the faces in it."""

    source: str
    """Name of the folder or archive."""
    name: str
    """Path inside it."""
    file: Path
    offset: int
    size: int
    """Where it lies in the file, in bytes; -1 is all of the file."""
    finds: Array
    """(n, 15) in pixels: everything that the teacher thinks might be a face."""
    hard: Array
    """(m, 4) x, y, w, h of places that a network before took for faces."""

    @property
    def part(self) -> Part:
        """Which part of the work may see it, from a hash of its name."""
        return part_of(f"{self.source}/{self.name}")

    @property
    def faces(self) -> Array:
        """(n, 14) boxes and landmarks of what is a face for sure."""
        return self.finds[self.finds[:, 14] >= SURE, :14]

    @property
    def doubtful(self) -> Array:
        """(n, 4) boxes of what might be one."""
        return self.finds[self.finds[:, 14] < SURE, :4]

    def read(self) -> Image:
        """Decode the picture.

        Raises:
            SourceError: it is not readable as a picture.
        """
        coded = np.fromfile(self.file, np.uint8, self.size, offset=self.offset)
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR) if len(coded) else None
        if image is None:
            raise SourceError(f"{self.file}: {self.name}: not a picture, or damaged")
        return np.asarray(image, np.uint8)


def listed(place: Path) -> list[Scene]:
    """The pictures of a folder or an uncompressed tar, not yet looked at.

    Raises:
        SourceError: there are none.
    """
    nothing = np.zeros((0, COLUMNS), np.float32), np.zeros((0, 4), np.float32)
    if place.is_dir():
        files = sorted(path for path in place.rglob("*") if path.suffix.lower() in PICTURES)
        found = [
            Scene(place.name, path.relative_to(place).as_posix(), path, 0, -1, *nothing)
            for path in files
        ]
    else:
        try:
            index = archive_index(place)
        except (OSError, tarfile.TarError) as error:
            raise SourceError(f"{place}: neither a folder nor a tar: {error}") from None
        found = [
            Scene(place.stem, name, place, offset, size, *nothing)
            for name, (offset, size) in index.items()
            if Path(name).suffix.lower() in PICTURES
        ]
    if not found:
        raise SourceError(f"{place}: no pictures in it; give a folder or tar of pictures")
    return found


def label(scenes: Sequence[Scene], teacher: Teacher, cache: Path) -> list[Scene]:
    """Have the teacher look at every picture, once: what it found is kept in a folder."""
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{keys.key_of_pictures(scenes, teacher.mark)}.npz"
    if not kept.exists():
        bar = tqdm(scenes, desc=f"teacher sees {scenes[0].source}", unit="picture")
        finds = [look(scene.read(), teacher) for scene in bar]
        partial = kept.with_suffix(".tmp.npz")
        np.savez(
            partial,
            counts=np.array([len(each) for each in finds]),
            finds=np.concatenate(finds),
        )
        partial.replace(kept)
    with np.load(kept) as saved:
        ends = np.cumsum(saved["counts"])
        parts = np.split(saved["finds"].astype(np.float32), ends[:-1])
    return [replace(scene, finds=each) for scene, each in zip(scenes, parts, strict=True)]


def with_persons(scenes: Sequence[Scene], model: str | Path, cache: Path) -> list[bool]:
    """Whether a detector of objects sees a person in each picture, kept in a folder.

    A teacher misses faces that are turned away, masked or dark; that somebody is there shows, all
    the same, and then nobody knows that there is no face.

    Raises:
        ModelError: the detector cannot be read, or knows no persons.
    """
    if not scenes:
        return []
    detector = open_object_detector(model, [CPU], names=("person",))
    if not detector.classes:
        raise ModelError(f"{model}: knows no person; name a detector that does")
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{keys.key_of_pictures(scenes, detector.card.sha256, PERSON)}.npy"
    if not kept.exists():
        bar = tqdm(scenes, desc=f"persons in {scenes[0].source}", unit="picture")
        seen = [len(detector.rows(scene.read(), PERSON)) > 0 for scene in bar]
        partial = kept.with_suffix(".tmp.npy")
        np.save(partial, np.array(seen, bool))
        partial.replace(kept)
    result: list[bool] = np.load(kept).tolist()
    return result


class Stored(keys.Stored, Protocol):
    """A picture that lies in a file: a scene, or a crop of a face."""

    def read(self) -> Image: ...  # noqa: D102


def look(image: Image, teacher: Teacher, score: float = DOUBTFUL) -> Array:
    """What a teacher finds in a whole picture: (n, 15)."""
    longest = max(image.shape[:2])
    return teacher(image, (min(LARGEST_SIDE, longest * 3 // 2), SMALLEST_SIDE), score)


def thumbs(images: Sequence[Image]) -> Array:
    """Tiny grey pictures of mean 0 and length 1, (n, 256): their product is a correlation."""
    small = np.stack(
        [
            cv2.resize(
                cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
                (THUMB, THUMB),
                interpolation=cv2.INTER_AREA,
            ).reshape(-1)
            for image in images
        ]
    ).astype(np.float32)
    small -= small.mean(1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True) + 1e-6
    return small


def alike(candidates: Array, kept_out: Array, limit: float) -> npt.NDArray[np.bool_]:
    """Which pictures are (nearly) some of those that they are kept apart from, by :func:`thumbs`.

    Args:
        candidates: (n, 256).
        kept_out: (m, 256).
        limit: correlation above which two pictures are one.

    Returns:
        (n,) bool.
    """
    if not len(kept_out):
        return np.zeros(len(candidates), bool)
    result: npt.NDArray[np.bool_] = (candidates @ kept_out.T).max(1) > limit
    return result
