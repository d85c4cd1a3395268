"""How well day and night are told apart, by a network and by mean brightness."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image
from daemon.vision.light.classifier import LightClassifier
from daemon.vision.light.prepare import LABELS
from export.intervals import wilson

Values = npt.NDArray[np.float32]

LOOKS = 300
"""Pictures for which the time is taken."""


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """0 to 1; not a number where there are none."""
        return self.count / self.of if self.of else float("nan")

    @property
    def bounds(self) -> tuple[float, float]:
        """95 % bounds (Wilson, 1927)."""
        return wilson(self.count, self.of)

    def facts(self) -> dict[str, Any]:
        """JSON-ready, rounded."""
        low, high = self.bounds
        return {
            "accuracy": round(self.value, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "right": self.count,
            "of": self.of,
        }

    def __str__(self) -> str:
        low, high = (100 * each for each in self.bounds)
        return f"{100 * self.value:.1f} % [{low:.1f}, {high:.1f}] ({self.count} of {self.of})"


def accuracy(night: Values, labels: Values, threshold: float = 0.5) -> Share:
    """Pictures that are called what they are.

    Args:
        night: (n,) probability of night.
        labels: (n,) 1 is night.
        threshold: from which a picture is called night.
    """
    right = (night >= threshold) == (labels == 1)
    return Share(int(right.sum()), len(labels))


def measured(night: Values, labels: Values, threshold: float = 0.5) -> dict[str, Any]:
    """Accuracy of all and of each class, and the logistic loss, JSON-ready."""
    facts = accuracy(night, labels, threshold).facts()
    for number, name in enumerate(LABELS):
        own = labels == number
        facts[name] = round(accuracy(night[own], labels[own], threshold).value, 4)
    return facts | {"loss": round(logistic_loss(night, labels), 4)}


def logistic_loss(night: Values, labels: Values) -> float:
    """Mean over pictures of minus the logarithm of the probability of what they are."""
    told = np.where(labels == 1, night, 1 - night).astype(np.float64)
    return float(-np.log(np.maximum(told, 1e-6)).mean())


def brightness(images: Sequence[Image]) -> Values:
    """(n,) mean grey level of pictures, 0 to 1."""
    return np.array(
        [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY).mean() / 255 for each in images], np.float32
    )


def brightness_threshold(levels: Values, labels: Values) -> float:
    """The mean level below which calling a picture night is right most often."""
    order = np.unique(levels)
    cuts = np.concatenate([order[:1], (order[1:] + order[:-1]) / 2, order[-1:] + 1])
    right = [((levels < cut) == (labels == 1)).mean() for cut in cuts]
    return float(cuts[int(np.argmax(right))])


def timed(classifier: LightClassifier) -> dict[str, float]:
    """Median and quickest milliseconds of a look at a picture of a camera."""
    cv2.setNumThreads(1)
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    times = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        classifier.probability(picture)
        times.append(1000 * (time.perf_counter() - began))
    return {"median": round(median(times), 3), "quickest": round(min(times), 3)}
