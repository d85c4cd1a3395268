"""Gathers faces and has them labelled: what the second look learns from, and what checks it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from daemon.errors import SourceError
from export.data import faces as face_sets
from export.data.faces import Face, FaceFinder, Part
from export.faces import sketches
from export.faces.material import SETS, Sources, kept_apart, labelled_scenes, unlike_faces
from export.faces.reduction import reduce
from export.faces.scenes import Image, Scene
from export.faces.teacher import Teacher
from export.keys import key_of_pictures
from export.landmarks.consensus import label
from export.landmarks.examples import Labelled, trusted

Groups = Sequence[Sequence[Labelled]]
"""Faces by source: each source is drawn as often as every other, however many faces it has."""

SMALLEST = 16.0
"""Width in pixels from which a face in a whole picture is cut out of it and labelled."""
LARGEST = 160.0
"""Width in pixels to which such a face is reduced: a look at it needs no more."""
AROUND = 0.9
"""What is kept of the picture on each side of such a face, in widths of it."""


def told_of(sources: Sources) -> list[str]:
    """What the faces are, for a card."""
    sets = [] if sources.faces is None else [f"the set {name} (research only)" for name in SETS]
    return [*sets, *(folder.name for folder in (*sources.more_faces, *sources.scenes))]


def gather(sources: Sources, part: Part, work: Path) -> Groups:
    """Faces of one part, with the landmarks that the teacher's looks agree on.

    Args:
        sources: what to read; needs a teacher. Of whole pictures, the faces in them count.
        part: whose people.
        work: folder where labels are kept.

    Raises:
        ModelError: the teacher cannot be read.
        SourceError: a set or folder cannot be read, or has no face of this part.
    """
    assert sources.teacher is not None
    teacher = Teacher(sources.teacher)
    groups: list[Sequence[Face]] = []
    if sources.faces is not None:
        groups = [face_sets.read_set(sources.faces, name) for name in SETS]
    tested = kept_apart(groups)
    for folder in sources.more_faces:
        groups.append(face_sets.read_folder(folder, FaceFinder(sources.teacher), work / "faces"))
    chosen = [face_sets.select(group, part) for group in groups]
    if part == "train":
        chosen = [unlike_faces(own, tested, work) for own in chosen]
    scenes = [each for each in labelled_scenes(sources, teacher, work) if each.part == part]
    chosen.append(cut_faces(scenes, work / "cut"))
    labelled = [
        [
            Labelled(face, seen.landmarks, trusted(seen.spread))
            for face, seen in zip(group, label(group, teacher, work / "looks"), strict=True)
            if seen is not None
        ]
        for group in chosen
        if group
    ]
    if not any(labelled):
        raise SourceError(
            f"the {part} part has no face with landmarks; a hash of the names says who is in it: "
            "give more people"
        )
    return [group for group in labelled if group]


def cut_faces(scenes: Sequence[Scene], cache: Path) -> list[Face]:
    """Faces of whole pictures as small pictures of their own, kept in a folder.

    All faces of a picture belong to the part of the picture.
    """
    seen = [each for each in scenes if (each.faces[:, 2] >= SMALLEST).any()]
    if not seen:
        return []
    folder = cache / key_of_pictures(seen, [each.finds for each in seen], SMALLEST, LARGEST, AROUND)
    folder.mkdir(parents=True, exist_ok=True)
    faces = []
    for number, scene in enumerate(tqdm(seen, desc="faces in whole pictures", unit="picture")):
        rows = scene.faces[scene.faces[:, 2] >= SMALLEST]
        paths = [folder / f"{number}-{place}.jpg" for place in range(len(rows))]
        image = None if all(path.exists() for path in paths) else scene.read()
        for row, path in zip(rows, paths, strict=True):
            factor = min(1.0, LARGEST / float(row[2]))
            left, top = (max(0, int(low - AROUND * row[2])) for low in row[:2])
            if image is not None:
                right, bottom = (int(each) for each in row[:2] + row[2:4] + AROUND * row[2])
                _write(path, reduce(image[top:bottom, left:right], factor)[0])
            box, landmarks = row[:4] * factor, row[4:14].reshape(5, 2) * factor
            shift = np.array([left, top], np.float32) * factor
            x, y, width, height = (float(each) for each in (*(box[:2] - shift), *box[2:]))
            faces.append(
                Face(
                    source=f"faces of {scene.source}",
                    name=path.name,
                    identity=f"{scene.source}/{scene.name}",
                    box=(x, y, width, height),
                    landmarks=landmarks - shift,
                    file=path,
                )
            )
    return faces


def _write(path: Path, image: Image) -> None:
    partial = path.with_suffix(".tmp.jpg")
    cv2.imwrite(str(partial), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    partial.replace(path)


def drawn(seed: int, count: int = 300) -> Groups:
    """Drawn faces, for a smoke test; another seed gives others."""
    faces = [sketches.Sketch(1_000_000 * seed + number) for number in range(count)]
    return [[Labelled(face, face.landmarks, 1.0) for face in faces]]
