"""Labelled pictures in memory: read once, then every batch is cut from them on the device."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from daemon.errors import SourceError
from daemon.vision.objects.names import CLASSES

GREY = 114
"""Level beside a picture."""
MOST_BOXES = 40
"""In one picture; of more, the surest count."""
SURE = 0.5
"""Score from which a box makes a picture one with a rare class: of a teacher's doubtful finds of
what is rare most are something else, such as handbags that it takes for suitcases."""


@dataclass
class Marks:
    """What n pictures in the upper left corners of squares show."""

    sizes: Tensor
    """(n, 2) float, width and height of the picture in the square."""
    boxes: Tensor
    """(n, m, 4) float, left, top, right, bottom in pixels of the square."""
    labels: Tensor
    """(n, m) numbers of classes."""
    scores: Tensor
    """(n, m): how sure the label is; 0 where there is no box."""


@dataclass
class Pictures(Marks):
    """Pictures, and what they show."""

    images: Tensor
    """(n, 3, side, side) uint8, BGR; as OpenCV has pictures, with a pixel's channels side by side
    in memory."""

    def __post_init__(self) -> None:
        self.images = self.images.contiguous(memory_format=torch.channels_last)

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Pictures:
        """The same on a device."""
        return Pictures(**{name: each.to(device) for name, each in vars(self).items()})

    def marks(self, chosen: Tensor) -> Marks:
        """What some of them show, by their numbers."""
        return Marks(*(each[chosen] for each in (self.sizes, self.boxes, self.labels, self.scores)))


def read(sets: Sequence[Path], side: int, most: int | None = None) -> Pictures:
    """Read sets of labelled pictures.

    Args:
        sets: tars, each with a JSON of the same name beside it (COCO; `score` of a box if it has
            one).
        side: pixels of the square to which pictures are reduced.
        most: pictures that are read, evenly from all; all of them if None.

    Raises:
        SourceError: a set is missing or damaged, or no picture is left.
    """
    pairs = [pair for each in sets for pair in _read_set(each)]
    if most is not None:
        pairs = pairs[:: max(1, -(-len(pairs) // most))]
    # Written where they stay: stacked at the end, they would be in memory twice.
    shape = len(pairs), 3, side, side
    images = torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last)

    def decode(place: int) -> tuple[Tensor, ...] | None:
        return _decode(pairs[place], images[place])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = list(pool.map(decode, range(len(pairs))))
    kept = [place for place, each in enumerate(decoded) if each is not None]
    if not kept:
        raise SourceError("no labelled picture could be read")
    for target, source in enumerate(kept):
        if target != source:
            images[target] = images[source]
    rest = [each for each in decoded if each is not None]
    sizes, boxes, labels, scores = (torch.stack(each) for each in zip(*rest, strict=True))
    return Pictures(sizes, boxes, labels, scores, images[: len(kept)])


def weights(pictures: Pictures, power: float, most: float, common: float = 0.1) -> Tensor:
    """How often each picture shall be drawn: those with rare classes more often (arXiv:1908.03195).

    Args:
        pictures: n of them.
        power: of a class's rarity with which its pictures are drawn more often; that paper's is a
            half.
        most: times as often, at most.
        common: share of pictures from which a class counts as common.

    Returns:
        (n,) relative frequencies, 1 for pictures with common classes alone, a half for those in
        which nothing is sure.
    """
    present = torch.zeros(len(pictures), len(CLASSES), device=pictures.boxes.device)
    present.scatter_reduce_(1, pictures.labels, (pictures.scores >= SURE).float(), "amax")
    share = present.mean(0).clamp(min=1e-6)
    factor = (common / share).pow(power).clamp(1, most)
    best: Tensor = (present * factor).amax(1)
    return torch.where(best > 0, best, torch.full_like(best, 0.5))


def _read_set(path: Path) -> Iterator[tuple[bytes, list[dict[str, Any]], float]]:
    """Bytes, annotations with the names of their classes, and the width that these refer to."""
    try:
        described = json.loads(path.with_suffix(".json").read_text())
        names = {each["id"]: each["name"] for each in described["categories"]}
        of: dict[int, list[dict[str, Any]]] = {}
        for each in described["annotations"]:
            of.setdefault(each["image_id"], []).append(each | {"name": names[each["category_id"]]})
        known = {each["file_name"]: each for each in described["images"]}
        with tarfile.open(path) as tar:
            for member in tar:
                entry = known.get(member.name)
                file = tar.extractfile(member) if entry else None
                if entry is not None and file is not None:
                    yield file.read(), of.get(entry["id"], []), float(entry["width"])
    except (OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
        raise SourceError(f"{path}: not a set of labelled pictures: {error}") from None


def _decode(
    pair: tuple[bytes, list[dict[str, Any]], float], into: Tensor
) -> tuple[Tensor, ...] | None:
    """Decode a picture into (3, side, side); returns the other fields of :class:`Pictures`."""
    side = into.shape[-1]
    data, annotations, said_width = pair
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        return None
    shrink = min(1.0, side / max(image.shape[:2]))
    if shrink < 1:
        size = (max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    height, width = image.shape[:2]
    into.fill_(GREY)
    into[:, :height, :width] = torch.from_numpy(image).permute(2, 0, 1)
    usable = [each for each in annotations if each["name"] in CLASSES and not each.get("iscrowd")]
    usable.sort(key=lambda each: -float(each.get("score", 1)))
    boxes = torch.zeros(MOST_BOXES, 4)
    labels = torch.zeros(MOST_BOXES, dtype=torch.long)
    scores = torch.zeros(MOST_BOXES)
    scale = width / said_width
    for place, each in enumerate(usable[:MOST_BOXES]):
        x, y, w, h = (float(value) * scale for value in each["bbox"])
        boxes[place] = torch.tensor([x, y, x + w, y + h])
        labels[place] = CLASSES.index(each["name"])
        scores[place] = float(each.get("score", 1))
    return torch.tensor([float(width), float(height)]), boxes, labels, scores
