"""Gathers what a run of the face encoder learns from, and what is kept apart to measure it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from daemon.errors import PorterError
from export.data import faces as pictures
from export.data.faces import Face, FaceFinder, Part, people
from export.embedding.comparisons import compare
from export.embedding.targets import look_alikes, misnamed
from export.embedding.teachers import Teacher, VectorStore, together

Vectors = npt.NDArray[np.float32]

LOOK_ALIKE = 0.10
"""Squared distance, by the teachers together, at which two pictures are one, or of one person.

Between strangers one pair of 100,000 is nearer than 0.17; below 0.08 lie copies of one picture.
"""
MISNAMED = 0.25
"""Squared distance from the mean of a person's other pictures; the median is 0.10."""


LEAST_STRANGERS = 100
"""Pairs of the calibration part with which a rate of 1 %, the highest, can be told at all."""


class MaterialError(PorterError):
    """There is too little to learn from, or an option does not fit."""

    exit_code = 2
    """Of wrong usage."""


@dataclass(frozen=True)
class Sources:
    """Where pictures come from."""

    prepared: Path | None = None
    """Folder of prepared sets."""
    sets: tuple[str, ...] = ()
    """`NAME` or `NAME:PART,...` of those."""
    folders: tuple[Path, ...] = ()
    """A sub-folder for each person; divided into parts by person."""
    more: tuple[Path, ...] = ()
    """Unnamed pictures, all to learn from."""
    finder: Path | None = None
    """YuNet, for the landmarks of the folders."""


@dataclass(frozen=True)
class Material:
    """Pictures of a run."""

    train: list[Face]
    calibration: list[Face]
    test: list[Face]
    taught: Vectors | None
    """What the teachers together make of `train`, (n, inputs) of length 1; None without any."""
    notes: dict[str, Any]
    """What was counted and what was left out, for the card."""
    prepared: bool
    """Whether there are pictures of prepared sets among them, which are for research."""


def read(sources: Sources, cache: Path) -> tuple[list[Face], list[Face]]:
    """The faces that are divided into parts, and those that are only learnt from.

    Raises:
        MaterialError: an option does not fit.
        SourceError: something cannot be read.
    """
    faces: list[Face] = []
    for each in sources.sets:
        name, _, parts = each.partition(":")
        if sources.prepared is None:
            raise MaterialError("--set needs --data, the folder of prepared sets")
        known = get_args(Part)
        chosen = parts.split(",") if parts else list(known)
        for part in chosen:
            if part not in known:
                raise MaterialError(f"--set {each}: no part {part!r}; known: {', '.join(known)}")
        faces += [face for face in pictures.read_set(sources.prepared, name) if face.part in chosen]
    if not sources.folders and not sources.more:
        return faces, []
    finder = finder_of(sources.finder)
    for folder in sources.folders:
        faces += pictures.read_folder(folder, finder, cache / "landmarks")
    # Folders may sort them by album or by year, which says nothing of who they are.
    more = [
        replace(face, identity=None)
        for folder in sources.more
        for face in pictures.read_folder(folder, finder, cache / "landmarks")
    ]
    return faces, more


def finder_of(path: Path | None) -> FaceFinder:
    """The finder of landmarks.

    Raises:
        MaterialError: none is given, though pictures without landmarks are.
    """
    if path is None:
        raise MaterialError("these pictures need --finder: a YuNet file finds the landmarks")
    return FaceFinder(path)


def gather(
    sources: Sources, teachers: Sequence[Teacher], store: VectorStore, cache: Path
) -> Material:
    """Read the pictures, divide them, keep the parts clean of each other, and ask the teachers.

    Raises:
        MaterialError: too few people or pictures are left to learn from.
        SourceError: something cannot be read.
    """
    faces, more = read(sources, cache)
    train = pictures.select(faces, "train") + more
    calibration = pictures.select(faces, "calibration")
    test = pictures.select(faces, "test")
    notes: dict[str, Any] = {}
    taught = None
    if teachers:
        joined = together(teachers, store, train)
        held_out = together(teachers, store, calibration + test)
        seen = look_alikes(joined, held_out, LOOK_ALIKE)
        joined = joined[~seen]
        train = [face for face, out in zip(train, seen) if not out]
        wrong = misnamed(train, joined, MISNAMED)
        train = [
            replace(face, identity=None) if place in wrong else face
            for place, face in enumerate(train)
        ]
        taught = joined
        notes |= {
            "left_out_like_held_out": int(seen.sum()),
            "names_not_trusted": len(wrong),
        }
    named = [places for places in people(train).values() if len(places) >= 2]
    if len(train) < 2 or (taught is None and len(named) < 2):
        raise MaterialError(
            f"too little to learn from: {len(train)} pictures, {len(named)} people with at least "
            "two; give more pictures, or teachers, who need no names"
        )
    check_enough(calibration, test)
    counts = {
        "train": _counts(train),
        "calibration": _counts(calibration),
        "test": _counts(test),
    }
    named_sources = [*sources.sets, *(each.name for each in (*sources.folders, *sources.more))]
    told = {"sources": named_sources} | counts | notes
    return Material(train, calibration, test, taught, told, bool(sources.sets))


def check_enough(calibration: Sequence[Face], test: Sequence[Face]) -> None:
    """Whether thresholds can be set on the one part, and rates measured on the other.

    Raises:
        MaterialError: there are too few people or pictures.
    """
    _enough("calibration", calibration, LEAST_STRANGERS)
    _enough("test", test, 1)


def _enough(part: str, faces: Sequence[Face], least: int) -> None:
    pairs = compare(faces, np.zeros((len(faces), 1), np.float32))
    strangers, same = int(pairs.strangers.sum()), int(pairs.same.sum())
    if strangers < least or not same:
        raise MaterialError(
            f"too little to measure by: in the {part} part are {len(faces)} pictures of "
            f"{len(people(faces))} people, {strangers} pairs of strangers and {same} of one "
            f"person, of {least} and 1 that it needs; a hash of the names says who is in it: give "
            "more people"
        )


def _counts(faces: Sequence[Face]) -> dict[str, int]:
    return {"pictures": len(faces), "named_people": len(people(faces))}
