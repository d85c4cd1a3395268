"""Faces found, missed and made up, and the time of a picture, beside YuNet.

    python -m bench.face_detection

Held-out persons in held-out backgrounds, portraits of LFW's view 1 development test, and streets
and rooms in which YuNet is also the reference: there it cannot miss, and on pictures without faces
it cannot err but on animals, since it helped to choose them. Its landmarks are those of the labels.
YuNet is timed as OpenCV runs it and as ONNX Runtime runs the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import cv2
import numpy as np

from bench.common import json_option, machine, need, plain_errors, shared_option, show, table
from daemon.inference import CPU
from daemon.vision.detector import open_detector
from export.faces import report
from export.faces.calibrate import FLOOR, finder_of
from export.faces.evaluate import System
from export.faces.heldout import HEIGHT, WIDTH, Image, camera_size
from export.faces.scenes import listed
from export.faces.teacher import Teacher

YUNET = "teachers/face_detection_yunet_2026may.onnx"
YUNET_THRESHOLD = 0.9
"""What OpenCV uses if nobody says otherwise."""
ROUNDS = 60
"""Pictures timed, in turn over all detectors, so that a busy moment hits all of them."""


@click.command()
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=Path("facedetect"),
    show_default=True,
    help="Model file or name.",
)
@click.option(
    "--count", default=300, show_default=True, help="Pictures to compose, clean and worn."
)
@click.option("--accuracy/--no-accuracy", default=True, help="Only measure time.")
@click.option("--seed", default=0, show_default=True, help="Of what is composed.")
@shared_option
@json_option
def main(model: Path, count: int, accuracy: bool, seed: int, shared: Path, as_json: bool) -> None:
    """The face detector beside YuNet: recall, false faces, landmarks, time."""
    with plain_errors():
        yunet = need(shared / YUNET, "YuNet")
        data = need(shared / "data", "the shared pictures")
        facts: dict[str, Any] = {"machine": machine(), "times": _times(model, yunet, data)}
        if accuracy:
            facts["accuracy"] = _accuracy(model, yunet, data, count, seed)
    lines = [
        facts["machine"],
        table(
            ["detector", "threads", "ms a picture of 640 x 480, median", "best"],
            [
                [name, each["threads"], f"{each['median_ms']:.2f}", f"{each['best_ms']:.2f}"]
                for name, each in facts["times"].items()
            ],
        ),
    ]
    if accuracy:
        lines.append(report.text(facts["accuracy"]))
    show(facts, "\n\n".join(lines), as_json)


def _accuracy(model: Path, yunet: Path, data: Path, count: int, seed: int) -> dict[str, Any]:
    detector, teacher = open_detector(model, [CPU]), Teacher(yunet)
    systems = [
        System("Porter", finder_of(detector), detector.card.threshold),
        System("YuNet", lambda image: teacher(image, (WIDTH,), FLOOR), YUNET_THRESHOLD),
    ]
    measured = report.measure(systems, data, teacher, count, seed)
    return {each.name: report.facts(each, results) for each, results in zip(systems, measured)}


def _times(model: Path, yunet: Path, data: Path) -> dict[str, dict[str, float]]:
    """Milliseconds from the picture to the faces, of each detector with 1 and 2 threads."""
    picture = cv2.resize(camera_size(listed(data / "detection/val.tar")[0].read()), (WIDTH, HEIGHT))
    timed: dict[str, tuple[int, Callable[[Image], object]]] = {}
    for threads in (1, 2):
        detector = open_detector(model, [CPU], threads)
        teacher = Teacher(yunet, threads)
        timed[f"Porter, {threads}"] = threads, detector.detect
        timed[f"YuNet in ONNX Runtime, {threads}"] = threads, _at_full_size(teacher)
    # OpenCV has one number of threads for all: it is set for each picture.
    peer = cv2.FaceDetectorYN.create(str(yunet), "", (WIDTH, HEIGHT), YUNET_THRESHOLD)
    for threads in (1, 2):
        timed[f"YuNet in OpenCV, {threads}"] = threads, _with_threads(peer.detect, threads)
    times: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(ROUNDS + 5):
        for name, (_, detect) in timed.items():
            began = perf_counter()
            detect(np.asarray(picture, np.uint8))
            if turn >= 5:  # the first pictures allocate
                times[name].append(1_000 * (perf_counter() - began))
    return {
        name: {
            "threads": timed[name][0],
            "median_ms": round(median(each), 2),
            "best_ms": round(min(each), 2),
        }
        for name, each in times.items()
    }


def _at_full_size(teacher: Teacher) -> Callable[[Image], object]:
    return lambda image: teacher(image, (WIDTH,), YUNET_THRESHOLD)


def _with_threads(detect: Callable[[Any], object], threads: int) -> Callable[[Image], object]:
    def run(image: Image) -> object:
        cv2.setNumThreads(threads)
        return detect(image)

    return run


if __name__ == "__main__":
    main()
