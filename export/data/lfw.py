"""Labeled Faces in the Wild, view 1: pairs of pictures to choose models by, never to learn from."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.errors import SourceError
from export.data.faces import Face, Image, archive_index


class Finder(Protocol):
    """Finds the face in the middle of a picture, as :class:`export.data.faces.FaceFinder` does."""

    def find(self, image: Image) -> npt.NDArray[np.float32] | None:
        """(15,): see :data:`daemon.vision.face.COLUMNS`."""


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their places in a list of faces."""

    first: int
    second: int
    same: bool


def read_pairs(archive: Path, pairs: Path, finder: Finder) -> tuple[list[Face], list[Pair]]:
    """Read a file of pairs (`pairsDevTest.txt`) and find the faces of its pictures.

    Args:
        archive: uncompressed tar of `lfw/NAME/NAME_0001.jpg`.
        pairs: lines of a name and two numbers, or of two names with a number each.
        finder: finds the landmarks of the face in the middle.

    Raises:
        SourceError: a file is missing or not what it should be, or a picture shows no face.
    """
    try:
        lines = [line.split() for line in pairs.read_text().splitlines()[1:]]
        places = archive_index(archive)
    except (OSError, tarfile.TarError) as error:
        raise SourceError(
            f"{error.filename if isinstance(error, OSError) else archive}: {error}"
        ) from None
    named: dict[str, int] = {}
    found: list[Pair] = []
    for fields in lines:
        match fields:
            case [name, one, other]:
                ends = (_member(name, one), _member(name, other))
            case [name, one, second, other]:
                ends = (_member(name, one), _member(second, other))
            case _:
                continue
        for member in ends:
            if member not in places:
                raise SourceError(f"{archive}: {member} is missing, which {pairs.name} names")
            named.setdefault(member, len(named))
        found.append(Pair(named[ends[0]], named[ends[1]], len(fields) == 3))
    faces = [
        _face(archive, member, places[member], finder)
        for member in tqdm(named, desc="faces of pairs", unit="picture")
    ]
    return faces, found


def _member(name: str, number: str) -> str:
    return f"lfw/{name}/{name}_{int(number):04d}.jpg"


def _face(archive: Path, member: str, place: tuple[int, int], finder: Finder) -> Face:
    blank = Face("lfw", member, None, (0, 0, 0, 0), np.zeros((5, 2), np.float32), archive, *place)
    values = finder.find(blank.read())
    if values is None:
        raise SourceError(f"{archive}: {member}: no face found")
    return Face(
        source="lfw",
        name=member,
        identity=f"lfw/{member.split('/')[1]}",
        box=(float(values[0]), float(values[1]), float(values[2]), float(values[3])),
        landmarks=values[4:14].reshape(5, 2),
        file=archive,
        offset=place[0],
        size=place[1],
        score=float(values[14]),
    )
