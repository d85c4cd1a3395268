"""Pictures with the boxes that a detector gives them, as a set to learn from: a tar and a JSON.

A picture is looked at as it is and mirrored. What both looks find is likelier to be there: the
score of an object is the mean of both, with zero for a look that missed it, and it is kept, so that
what learns from it can believe it as far as its teacher did. Boxes that people drew for some of the
classes count more than the detector's.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.errors import SourceError
from daemon.vision.boxes import overlap
from daemon.vision.frames import Image
from daemon.vision.objects.detector import ObjectDetector
from daemon.vision.objects.names import CLASSES
from daemon.vision.pictures import read_image
from export.objects.drawn import boxes_by_people

Array = npt.NDArray[np.float32]

LOOKED_FROM = 0.1
"""Score from which a single look counts."""
SAME = 0.6
"""Intersection over union from which finds of both looks are one object."""


@dataclass(frozen=True)
class Storage:
    """How pictures are kept."""

    side: int = 320
    """Pixels of the longer side, at most."""
    quality: int = 80
    """Of WebP, 1 to 100."""
    least: float = 0.2
    """Score from which an object is kept."""


def label(
    paths: Sequence[Path],
    detector: ObjectDetector,
    target: Path,
    storage: Storage,
    drawn: Mapping[int, str] | None = None,
) -> dict[str, int]:
    """Label pictures and write TARGET.tar and TARGET.json (COCO, each box with its score).

    Pictures that cannot be read, or whose boxes cannot, are skipped with a line each.

    Args:
        paths: of the pictures.
        detector: that labels them.
        target: what to write.
        storage: how pictures are kept.
        drawn: classes by their numbers in the files of boxes that people drew
            (:func:`export.objects.drawn.boxes_by_people`).

    Returns:
        How many objects of each class there are.
    """
    numbers = {number: CLASSES.index(name) for number, name in (drawn or {}).items()}
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    counts = dict.fromkeys(CLASSES, 0)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".tar.tmp")
    with tarfile.open(partial, "w") as tar:
        for path, image, people in _read(tqdm(paths, unit="picture", desc="label"), numbers):
            rows = _ours(look_twice(detector, image), detector.classes)
            rows = heed(people, rows, set(numbers.values()))
            shrunk = _shrink(image, storage.side)
            scale = shrunk.shape[1] / image.shape[1]
            number = len(images) + 1
            name = f"{number:06d}-{path.stem}.webp"
            _add(tar, name, shrunk, storage.quality)
            height, width = shrunk.shape[:2]
            images.append({"id": number, "file_name": name, "width": width, "height": height})
            for row in rows[rows[:, 4] >= storage.least]:
                counts[CLASSES[int(row[5])]] += 1
                box = [round(float(value) * scale, 1) for value in row[:4]]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": int(row[5]) + 1,
                        "bbox": box,
                        "area": round(box[2] * box[3], 1),
                        "iscrowd": 0,
                        "score": round(float(row[4]), 3),
                    }
                )
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(CLASSES)]
    target.with_suffix(".json").write_text(
        json.dumps(
            {
                "info": {"description": f"{target.stem}, labelled by {detector.card.name}"},
                "images": images,
                "annotations": annotations,
                "categories": categories,
            }
        )
    )
    partial.replace(target.with_suffix(".tar"))
    return counts


def look_twice(detector: ObjectDetector, image: Image) -> Array:
    """Finds of a picture and its mirror image together: (n, 6), as `ObjectDetector.rows`."""
    straight = detector.rows(image, LOOKED_FROM)
    mirrored = detector.rows(np.ascontiguousarray(image[:, ::-1]), LOOKED_FROM)
    mirrored[:, 0] = image.shape[1] - mirrored[:, 0] - mirrored[:, 2]
    return merge(straight, mirrored)


def merge(first: Array, second: Array) -> Array:
    """Finds of two looks at one picture as one list.

    Args:
        first: (n, 6): box, score, class.
        second: (m, 6).

    Returns:
        (k, 6), the best first: boxes weighted by their scores, scores the mean of both looks.
    """
    alike = overlap(first[:, :4], second[:, :4]) * (first[:, None, 5] == second[None, :, 5])
    merged = []
    free = np.ones(len(second), bool)
    for row, candidates in zip(first, alike, strict=True):
        partner = int((candidates * free).argmax()) if free.any() else -1
        joined = row.copy()
        if partner >= 0 and candidates[partner] * free[partner] >= SAME:
            free[partner] = False
            other = second[partner]
            weight = row[4] / (row[4] + other[4])
            joined[:4] = weight * row[:4] + (1 - weight) * other[:4]
            joined[4] += other[4]
        merged.append(joined)
    merged.extend(second[free])
    rows = np.asarray(merged, np.float32).reshape(-1, 6)
    rows[:, 4] /= 2
    return rows[np.argsort(-rows[:, 4], kind="stable")]


def heed(people: Array, found: Array, known: set[int]) -> Array:
    """Finds of a detector beside the boxes that people drew.

    Args:
        people: (n, 6), left, top, width, height, score and class.
        found: (m, 6), alike.
        known: classes that people marked; what they did not mark of these is none.

    Returns:
        (k, 6): all that people drew, and finds of other classes and of other objects; all finds
        where people drew nothing.
    """
    if not len(people):
        return found
    other = ~np.isin(found[:, 5], list(known))
    elsewhere = (overlap(found[:, :4], people[:, :4]) < SAME).all(1)
    return np.concatenate([people, found[other & elsewhere]])


def _ours(rows: Array, classes: Sequence[str]) -> Array:
    """Finds of classes that Porter has, with its numbers of them."""
    number = {place: CLASSES.index(name) for place, name in enumerate(classes) if name in CLASSES}
    ours = rows[np.isin(rows[:, 5], list(number))]
    ours[:, 5] = [number[int(each)] for each in ours[:, 5]]
    return ours


def _read(paths: Iterable[Path], numbers: Mapping[int, int]) -> Iterable[tuple[Path, Image, Array]]:
    """Pictures, and the boxes that people drew in them."""
    for path in paths:
        try:
            image = read_image(path)
            yield path, image, boxes_by_people(path, image, numbers)
        except SourceError as error:
            click.echo(f"{error}; skipped", err=True)


def _shrink(image: Image, side: int) -> Image:
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _add(tar: tarfile.TarFile, name: str, image: Image, quality: int) -> None:
    data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
