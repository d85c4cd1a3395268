"""Chooses the operating point of a word, on clips that neither training nor any test has heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.audio.decision import Rule, decide
from daemon.audio.features import STEP_SECONDS

SMOOTHING = 3
REFRACTORY = 1.0
CANDIDATES = tuple(round(float(t), 3) for t in np.linspace(0.2, 0.98, 79))


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it does to the calibration clips."""

    threshold: float
    miss_rate: float
    false_accepts_per_hour: float
    delay: float
    """Median seconds from the end of a word to the crossing."""


def calibrate(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int8],
    false_accepts_per_hour: float,
) -> OperatingPoint:
    """The lowest threshold with at most so many false accepts an hour of calibration clips.

    Args:
        probabilities: (clips, steps) of one word.
        labels: (clips, steps): runs of 1 start with the first step that has heard the whole word.
        false_accepts_per_hour: what may be accepted; the mixtures are far denser in rival words
            than a day at a door.
    """
    points = [operating_point(probabilities, labels, t) for t in CANDIDATES]
    good = [p for p in points if p.false_accepts_per_hour <= false_accepts_per_hour]
    return good[0] if good else points[-1]


def operating_point(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int8], threshold: float
) -> OperatingPoint:
    """Misses and false accepts of the daemon's own decision rule at a threshold."""
    rule = Rule(threshold, SMOOTHING, REFRACTORY)
    hits, words, false, delays = 0, 0, 0, []
    for clip, marks in zip(probabilities, labels, strict=True):
        fired = [firing.step for firing in decide(clip, rule)]
        starts = np.flatnonzero((marks == 1) & (np.roll(marks, 1) != 1))
        words += len(starts)
        for start in starts:
            # A word may be heard a little early, while its last sound still rings.
            near = [step for step in fired if start - 4 <= step <= start + 10]
            if near:
                hits += 1
                delays.append((near[0] - start + 0.5) * STEP_SECONDS)
                fired = [step for step in fired if step not in near]
        false += len(fired)
    hours = probabilities.size * STEP_SECONDS / 3600
    return OperatingPoint(
        threshold,
        1 - hits / max(1, words),
        false / hours,
        round(float(np.median(delays)), 3) if delays else 0.1,
    )
