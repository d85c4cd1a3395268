"""How well detectors find what people marked: average precision as COCO defines it, and time."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.errors import SourceError
from daemon.vision.frames import Image
from daemon.vision.objects.detector import ObjectDetector
from daemon.vision.objects.names import CLASSES

Array = npt.NDArray[np.float64]

FLOOR = 0.01
"""Score from which a find enters the curves."""
SHOWN = ("person", "car", "bicycle", "backpack", "handbag")
"""Classes with figures of their own; of the others there are too few boxes."""
RECALLS = 101
"""Points of a curve, from recall 0 to 1."""


@dataclass(frozen=True)
class Marked:
    """Pictures with boxes that people drew."""

    images: list[tuple[int, Image]]
    """Number and picture."""
    truth: dict[str, Any]
    """In COCO's form, with the twelve classes numbered from 1."""

    def boxes(self, name: str) -> int:
        """How many boxes of a class there are."""
        number = CLASSES.index(name) + 1
        return sum(each["category_id"] == number for each in self.truth["annotations"])


@dataclass(frozen=True)
class Result:
    """What a detector reached."""

    name: str
    ap50: dict[str, float]
    """Average precision at an overlap of a half, of every class that has boxes."""
    ap: dict[str, float]
    """Mean of the average precisions at overlaps of 0.5 to 0.95."""
    curves: dict[str, Array]
    """Precision at recalls 0, 0.01 to 1, at an overlap of a half: (101,)."""
    milliseconds: list[float]
    """Of each picture, with all that belongs to it."""

    @property
    def map50(self) -> float:
        """Mean of `ap50` over the classes."""
        return float(np.mean(list(self.ap50.values())))

    @property
    def map(self) -> float:
        """Mean of `ap` over the classes."""
        return float(np.mean(list(self.ap.values())))

    @property
    def median_milliseconds(self) -> float:
        """Median time of a picture."""
        return float(np.median(self.milliseconds))


def read_marked(path: Path) -> Marked:
    """Read a tar of pictures and the JSON of its name beside it.

    Raises:
        SourceError: one of both is missing or damaged.
    """
    try:
        truth = json.loads(path.with_suffix(".json").read_text())
        names = {each["id"]: each["name"] for each in truth["categories"]}
        known = {each["file_name"]: each["id"] for each in truth["images"]}
        annotations = [
            each | {"category_id": CLASSES.index(names[each["category_id"]]) + 1}
            for each in truth["annotations"]
            if names[each["category_id"]] in CLASSES
        ]
        images = []
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.name in known else None
                if file is not None:
                    image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
                    images.append((known[member.name], np.asarray(image, np.uint8)))
    except (OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
        raise SourceError(f"{path}: not a set of labelled pictures: {error}") from None
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(CLASSES)]
    return Marked(images, truth | {"annotations": annotations, "categories": categories})


def measure(detectors: Sequence[ObjectDetector], marked: Marked) -> list[Result]:
    """Let detectors look at the same pictures, in turn, and compare with what was marked.

    In turn, because the processor is not equally fast at all times.
    """
    found: list[list[dict[str, Any]]] = [[] for _ in detectors]
    times: list[list[float]] = [[] for _ in detectors]
    for number, image in tqdm(marked.images, unit="picture", desc="evaluate"):
        for place, detector in enumerate(detectors):
            rows = detector.rows(image, FLOOR, every_class=True)
            began = time.perf_counter()
            detector.rows(image)
            times[place].append(1000 * (time.perf_counter() - began))
            found[place] += _as_coco(rows, number, detector.classes)
    return [
        _judge(detector.card.name, marked, finds, spent)
        for detector, finds, spent in zip(detectors, found, times, strict=True)
    ]


def _as_coco(rows: npt.NDArray[np.float32], image: int, names: Sequence[str]) -> list[Any]:
    return [
        {
            "image_id": image,
            "category_id": CLASSES.index(names[int(row[5])]) + 1,
            "bbox": [float(value) for value in row[:4]],
            "score": float(row[4]),
        }
        for row in rows
    ]


def _judge(name: str, marked: Marked, found: list[Any], times: list[float]) -> Result:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):  # it prints what it does
        truth = COCO()
        truth.dataset = marked.truth
        truth.createIndex()
        if not found:
            nothing = np.zeros(RECALLS)
            known = [each for each in CLASSES if marked.boxes(each)]
            zero = dict.fromkeys(known, 0.0)
            return Result(name, zero, dict(zero), dict.fromkeys(known, nothing), times)
        judged = COCOeval(truth, truth.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
    # (overlaps, recalls, classes, sizes, most finds), -1 where there is no box.
    precision = judged.eval["precision"][:, :, :, 0, -1]
    has = [place for place in range(len(CLASSES)) if (precision[:, :, place] > -1).any()]
    return Result(
        name,
        {CLASSES[place]: float(precision[0, :, place].mean()) for place in has},
        {CLASSES[place]: float(precision[:, :, place].mean()) for place in has},
        {CLASSES[place]: precision[0, :, place] for place in has},
        times,
    )
