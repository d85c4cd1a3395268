"""Gathers faces and has them labelled: what the second look learns from, and what checks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import SourceError
from export.data import faces as face_sets
from export.data.faces import FaceFinder, Part
from export.faces import sketches
from export.faces.material import SETS, kept_apart, unlike_faces
from export.faces.teacher import Teacher
from export.landmarks.consensus import label
from export.landmarks.examples import Labelled, trusted

Groups = Sequence[Sequence[Labelled]]
"""Faces by source: each source is drawn as often as every other, however many faces it has."""


@dataclass(frozen=True)
class Sources:
    """Where faces come from."""

    faces: Path | None
    """Folder of the prepared sets."""
    more_faces: tuple[Path, ...]
    """Folders of more crops."""
    teacher: Path
    """Looks at each many times."""

    def told(self) -> list[str]:
        """What the faces are, for a card."""
        sets = [] if self.faces is None else [f"the set {name} (research only)" for name in SETS]
        return [*sets, *(folder.name for folder in self.more_faces)]


def gather(sources: Sources, part: Part, work: Path) -> Groups:
    """Faces of one part, with the landmarks that the teacher's looks agree on.

    Args:
        sources: what to read.
        part: whose people.
        work: folder where labels are kept.

    Raises:
        ModelError: the teacher cannot be read.
        SourceError: a set or folder cannot be read, or has no face of this part.
    """
    teacher = Teacher(sources.teacher)
    groups = []
    if sources.faces is not None:
        groups = [face_sets.read_set(sources.faces, name) for name in SETS]
    tested = kept_apart(groups)
    for folder in sources.more_faces:
        groups.append(face_sets.read_folder(folder, FaceFinder(sources.teacher), work / "faces"))
    chosen = [face_sets.select(group, part) for group in groups]
    if part == "train":
        chosen = [unlike_faces(own, tested, work) for own in chosen]
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


def drawn(seed: int, count: int = 300) -> Groups:
    """Drawn faces, for a smoke test; another seed gives others."""
    faces = [sketches.Sketch(1_000_000 * seed + number) for number in range(count)]
    return [[Labelled(face, face.landmarks, 1.0) for face in faces]]
