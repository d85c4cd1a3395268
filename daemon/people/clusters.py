"""A pile of pictures by person: faces in clusters, and names from the gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daemon.people.clustering.grouping import Method, group
from daemon.people.clustering.scores import Vectors
from daemon.people.matching import Matcher
from daemon.vision.cards import EncoderCard
from daemon.vision.examination import Examined, Examiner
from daemon.vision.frames import Image
from daemon.vision.thumbnail import thumbnail

NAMED_SHARE = 0.5
"""Share of a cluster's faces that must match a person for the cluster to have their name. A single
face of a stranger matches somebody now and then; half of them do not."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A face in a picture of the pile."""

    photo: Path
    thumbnail: bytes
    """JPEG of the face alone."""
    examined: Examined

    def facts(self) -> dict[str, Any]:
        """Where it is, and how sure that it is a face; for JSON."""
        face = self.examined.face
        return {
            "picture": str(self.photo),
            "box": [round(float(each), 1) for each in face.box],
            "detection": round(face.score, 4),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Faces that seem to be of one person."""

    person: str | None
    """Name in the gallery, if most of the faces match somebody."""
    faces: Sequence[Seen]
    matching: int
    """How many of them match the person."""


@dataclass(frozen=True, slots=True, eq=False)
class Pile:
    """All faces of a pile, by person."""

    method: Method
    clusters: Sequence[Cluster]
    """The largest first."""
    groups: int
    """How many the method made; those of one known person became one cluster."""
    left_out: Sequence[Seen]
    """Faces that are not good enough to be compared."""


def look(
    pictures: Iterable[tuple[Path, Image]], examiner: Examiner, faceless: Callable[[Path], None]
) -> list[Seen]:
    """Find and embed all faces of pictures, in their order.

    Args:
        pictures: with their paths.
        examiner: finds and embeds.
        faceless: is told of each picture that shows no face.
    """
    found = []
    for photo, image in pictures:
        faces = examiner.examine(image)
        found += [Seen(photo, thumbnail(image, each.face.box), each) for each in faces]
        if not faces:
            faceless(photo)
    return found


def vectors_of(faces: Sequence[Seen], dimension: int) -> Vectors:
    """(n, dimension)."""
    found = [each.examined.vector for each in faces]
    return np.stack(found) if found else np.zeros((0, dimension), np.float32)


def sort_by_person(
    faces: Sequence[Seen], card: EncoderCard, matcher: Matcher, method: Method | None, k: int | None
) -> Pile:
    """Put faces into clusters, and name those whom the gallery knows, as the door would.

    Clusters that are of the same known person become one.

    Args:
        faces: all that were found.
        card: of the encoder.
        matcher: of the people who are known.
        method: as for :func:`daemon.people.clustering.grouping.group`.
        k: the same.

    Raises:
        ConfigError: the card has no operating points, and the method needs them.
        ModelError: the encoder's cohort is damaged.
    """
    good = [each for each in faces if each.examined.fault is None]
    grouping = group(vectors_of(good, card.dimension), card, method, k)
    members: list[list[Seen]] = [[] for _ in range(grouping.count)]
    for each, label in zip(good, grouping.labels):
        members[label].append(each)
    known: dict[str, list[Cluster]] = {}
    clusters: list[Cluster] = []
    for those in members:
        named = _name(those, matcher)
        if named.person is None:
            clusters.append(named)
        else:
            known.setdefault(named.person, []).append(named)
    for person, same in known.items():
        joined = [each for cluster in same for each in cluster.faces]
        clusters.append(Cluster(person, joined, sum(each.matching for each in same)))
    clusters.sort(key=lambda each: -len(each.faces))
    poor = [each for each in faces if each.examined.fault is not None]
    return Pile(grouping.method, clusters, grouping.count, poor)


def _name(faces: Sequence[Seen], matcher: Matcher) -> Cluster:
    found = Counter(matcher.identify(each.examined.vector).person for each in faces)
    found.pop(None, None)
    for person, count in found.most_common(1):
        if count >= NAMED_SHARE * len(faces):
            return Cluster(person, faces, count)
    return Cluster(None, faces, 0)
