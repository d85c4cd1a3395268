"""The threshold of a face detector, from pictures without faces that it did not learn from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from daemon.vision.detector import FaceDetector
from export.faces.composition import Material, pasted
from export.faces.evaluate import Finder, System, judge, threshold_for
from export.faces.heldout import FULL_FRAME, WIDTH, Shot, as_shot, empty

FLOOR = 0.05
"""Lowest score that an evaluation looks at."""
LIMITS = (0.2, 0.95)
"""Of a threshold, whatever the pictures say."""


def finder_of(detector: FaceDetector, floor: float = FLOOR) -> Finder:
    """A detector as an evaluation asks it: everything from a low score on."""
    detector.threshold = floor
    return detector.rows


def calibrate(
    checking: Material, detector: FaceDetector, false_per_hundred: float, composed: int, seed: int
) -> dict[str, Any]:
    """Choose the threshold on pictures of the calibration part, and say what it does there.

    Args:
        checking: the calibration part.
        detector: with all that looks at its finds.
        false_per_hundred: false faces in a hundred pictures without faces at the threshold.
        composed: pictures to compose, on which the recall is measured.
        seed: of those.

    Returns:
        What the card says of it, with `threshold`.
    """
    system = System(detector.card.name, finder_of(detector), detector.card.threshold)
    (nothing,) = judge([system], empty(checking.backgrounds))
    threshold = round(math.ceil(100 * threshold_for(nothing, false_per_hundred)) / 100, 2)
    threshold = min(max(threshold, LIMITS[0]), LIMITS[1])
    (faces,) = judge([system], _composed(checking, composed, seed))
    found = faces.recall(threshold)
    return {
        "threshold": threshold,
        "false_per_hundred": round(nothing.false_per_hundred(threshold), 2),
        "pictures_without_faces": len(nothing.pictures),
        "recall_composed": round(found.value, 4),
        "faces": found.of,
        "landmark_error": round(faces.landmark_error(threshold), 4),
    }


def _composed(checking: Material, count: int, seed: int) -> Iterator[Shot]:
    for number in range(count):
        rng = np.random.default_rng([seed, 11, number])
        yield as_shot(str(number), pasted(checking, WIDTH, rng, FULL_FRAME))
