"""Gathers what training pictures are made of, and keeps out what a test will show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from daemon.errors import SourceError
from export.data import faces as face_sets
from export.data.faces import Face
from export.faces import scenes as pictures
from export.faces.composition import Material
from export.faces.scenes import Scene
from export.faces.teacher import Teacher
from export.keys import key_of_pictures

SETS = ("celeba", "utkface")
"""Prepared sets of crops that are read where they exist."""
SAME_SCENE = 0.9
"""Correlation of tiny pictures above which two scenes are one, or neighbours in a film."""
SAME_FACE = 0.985
"""Likewise of crops, which are all alike."""
ANIMAL = 0.9
"""Score of the teacher below which its find in a picture of an animal is the animal: of those that
were looked at, nineteen of twenty."""
ANIMAL_DOUBT = 0.5
"""Score from which such a find is worth a lesson."""


@dataclass(frozen=True)
class Sources:
    """Where a run takes its pictures from."""

    faces: Path | None = None
    """Folder of the prepared sets."""
    more_faces: tuple[Path, ...] = ()
    """Folders of more crops."""
    scenes: tuple[Path, ...] = ()
    """Folders and tars of whole pictures."""
    animals: tuple[Path, ...] = ()
    """Likewise of animals: what the teacher takes for a face there is a hard negative."""
    keep_out: tuple[Path, ...] = ()
    """Folders and tars of whole pictures that a test shows: nothing like them is learnt."""
    keep_out_part: tuple[Path, ...] = ()
    """Likewise, but only the test part of each is shown."""
    teacher: Path | None = None
    persons: Path | None = None
    """Card of a detector of objects: a picture in which it sees a person is no picture without
    faces, whatever the teacher says."""


@dataclass(frozen=True)
class Gathered:
    """What a run learns from, and what it chooses its threshold on."""

    learning: Material
    checking: Material


def gather(sources: Sources, cache: Path) -> Gathered:
    """Read, label and sort everything.

    Needs a teacher for folders of crops and for whole pictures.

    Raises:
        SourceError: a folder or tar cannot be read, or there is nothing to learn from or to choose
            the threshold on.
        ModelError: the teacher cannot be read.
    """
    sets = [] if sources.faces is None else [face_sets.read_set(sources.faces, n) for n in SETS]
    tested = kept_apart(sets)
    learnt = [unlike_faces(face_sets.select(each, "train"), tested, cache) for each in sets]
    checked = [face_sets.select(each, "calibration") for each in sets]
    known: list[Scene] = []
    if sources.teacher is not None:
        for folder in sources.more_faces:
            finder = face_sets.FaceFinder(sources.teacher)
            found = face_sets.read_folder(folder, finder, cache / "faces")
            if sources.faces is None:
                checked.append(face_sets.select(found, "calibration"))
                found = face_sets.select(found, "train", "test")
            learnt.append(unlike_faces(found, tested, cache))
            if not learnt[-1]:
                raise SourceError(f"{folder}: no face of it is to be learnt from; add people")
        known = labelled_scenes(sources, Teacher(sources.teacher), cache)
    learning = [each for each in known if each.part != "calibration"]
    # Among the finds in pictures of animals are a few people: too many to choose a threshold on.
    checking = [each for each in known if each.part == "calibration" and not len(each.hard)]
    # The next picture of a film or of a fixed camera tells nothing of places that are new.
    checking = _unlike_scenes(checking, learning, cache)
    gathered = Gathered(
        _sorted(learnt, learning, sources, cache), _sorted(checked, checking, sources, cache)
    )
    for part, own in ("train", gathered.learning), ("calibration", gathered.checking):
        for kind, there in ("faces", own.crops), ("pictures without faces", own.backgrounds):
            if not there:
                raise SourceError(
                    f"the {part} part has no {kind}; a hash of the names says what is in it: give "
                    "more"
                )
    return gathered


def told_of(sources: Sources | None, learning: Material) -> list[str]:
    """What a model was trained on, for its card; None: drawn pictures."""
    if sources is None:
        return ["drawn faces and textures: a smoke test, not a model"]
    names = [] if sources.faces is None else [f"the set {name}, train part" for name in SETS]
    names += [folder.name for folder in sources.more_faces]
    lines = [
        *(f"{len(own)} crops of faces: {name}" for name, own in zip(names, learning.crops)),
        f"{len(learning.people)} pictures with people, {len(learning.backgrounds)} without: "
        + ", ".join(place.name for place in (*sources.scenes, *sources.animals)),
    ]
    if sources.teacher is not None:
        lines.append(
            "boxes and landmarks were labelled by YuNet (libfacedetection, MIT), not by people"
        )
    if sources.persons is not None:
        lines.append(
            f"without faces are pictures in which neither YuNet sees one nor "
            f"{sources.persons.stem} a person"
        )
    return lines


def labelled_scenes(sources: Sources, teacher: Teacher, cache: Path) -> list[Scene]:
    """Whole pictures with what the teacher finds in them, without those that a test shows.

    Raises:
        SourceError: a folder or tar cannot be read.
    """
    kept_out = [each for place in sources.keep_out for each in pictures.listed(place)]
    kept_out += [
        each
        for place in sources.keep_out_part
        for each in pictures.listed(place)
        if each.part == "test"
    ]
    result = []
    for place in (*sources.scenes, *sources.animals):
        known = pictures.label(pictures.listed(place), teacher, cache / "scenes")
        known = _unlike_scenes(known, kept_out, cache)
        if place in sources.animals:
            known = [_animal(each) for each in known if not (each.finds[:, 14] >= ANIMAL).any()]
        result += known
    return result


def _sorted(
    crops: Sequence[Sequence[Face]], scenes: Sequence[Scene], sources: Sources, cache: Path
) -> Material:
    people = [each for each in scenes if len(each.faces)]
    bare = [each for each in scenes if not len(each.finds)]
    if sources.persons is not None:
        seen = pictures.with_persons(bare, sources.persons, cache / "persons")
        bare = [each for each, somebody in zip(bare, seen, strict=True) if not somebody]
    return Material([each for each in crops if each], people, bare)


def _animal(scene: Scene) -> Scene:
    hard = scene.finds[scene.finds[:, 14] >= ANIMAL_DOUBT, :4]
    return replace(scene, finds=scene.finds[:0], hard=hard)


def _unlike_scenes(known: Sequence[Scene], kept_out: Sequence[Scene], cache: Path) -> list[Scene]:
    twins = pictures.alike(_thumbs(known, cache), _thumbs(kept_out, cache), SAME_SCENE)
    return [each for each, twin in zip(known, twins) if not twin]


def kept_apart(sets: Iterable[Sequence[Face]]) -> list[Face]:
    """Faces of prepared sets that are not learnt from."""
    return [face for each in sets for face in face_sets.select(each, "test", "calibration")]


def unlike_faces(found: Sequence[Face], tested: Sequence[Face], cache: Path) -> list[Face]:
    """Those faces of which no other picture, or a copy, is among those kept apart."""
    twins = pictures.alike(_thumbs(found, cache), _thumbs(tested, cache), SAME_FACE)
    return [each for each, twin in zip(found, twins) if not twin]


def _thumbs(things: Sequence[pictures.Stored], cache: Path) -> pictures.Array:
    """Thumbs of pictures, made once and kept in a folder."""
    if not things:
        return np.zeros((0, pictures.THUMB**2), np.float32)
    kept = cache / "thumbs" / f"{key_of_pictures(things)}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        bar = tqdm(things, desc=f"thumbs in {things[0].file.parent.name}", unit="picture")
        partial = kept.with_suffix(".tmp.npy")
        np.save(partial, np.concatenate([pictures.thumbs([each.read()]) for each in bar]))
        partial.replace(kept)
    result: pictures.Array = np.load(kept)
    return result
