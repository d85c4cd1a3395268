"""How far a training run is, by steps or by time, and the learning rate that goes with it."""

from __future__ import annotations

import math
import time

RISE = 0.05
"""Share of a run in which the rate rises."""


class Clock:
    """How much of a run is over."""

    def __init__(self, steps: int, minutes: float | None = None) -> None:
        """By steps; by time, whatever the number of steps, if minutes are given."""
        self._steps = steps
        self._seconds = minutes * 60 if minutes is not None else None
        self._began = time.monotonic()

    def share(self, step: int) -> float:
        """0 at the start, 1 or more at the end."""
        if self._seconds is None:
            return step / self._steps
        return (time.monotonic() - self._began) / self._seconds


def rate_at(share: float, peak: float) -> float:
    """Learning rate: a short rise, then half a cosine down to a hundredth."""
    if share < RISE:
        return peak * (0.02 + 0.98 * share / RISE)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))
