"""Whether anything moves in front of the camera, and whether it can see at all."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image
from daemon.vision.settings import MotionConfig

Reason = Literal["black", "frozen"]

STRIDE = 8
"""Every so many pixels, one is looked at."""
NOISE_LEVELS = 18.0
"""Change of a pixel that the noise of a sensor does not make, of 255."""
ADAPTION = 0.05
"""How fast the background follows what is seen, a picture; twenty pictures make two thirds."""
BLACK_LEVELS = 12
"""A picture whose brightest hundredth is below this is black."""


class MotionGate:
    """Opens when the picture differs from the background, and stays open for a while.

    The background is an exponential mean of a grid of pixels, so that a lamp that goes on opens
    the gate once and not for ever. Nothing is allocated after the first picture.
    """

    def __init__(self, settings: MotionConfig) -> None:
        self._settings = settings
        self._shape: tuple[int, ...] = ()
        self._open_until = -np.inf

    def update(self, image: Image, time: float) -> bool:
        """Take a picture of `time` (seconds); whether the networks shall look at it."""
        if not self._settings.enabled:
            return True
        grid = image[::STRIDE, ::STRIDE, 1]
        if grid.shape != self._shape:
            self._shape = grid.shape
            self._background: npt.NDArray[np.float32] = grid.astype(np.float32)
            self._change = np.empty_like(self._background)
            self._moved = np.empty(grid.shape, np.bool_)
            self._open_until = time + self._settings.hold_seconds
            return True
        np.subtract(grid, self._background, out=self._change)
        self._change *= ADAPTION
        self._background += self._change
        np.abs(self._change, out=self._change)
        np.greater(self._change, ADAPTION * NOISE_LEVELS, out=self._moved)
        if np.count_nonzero(self._moved) > self._settings.threshold * self._moved.size:
            self._open_until = time + self._settings.hold_seconds
        return time <= self._open_until

    def adopt(self, settings: MotionConfig) -> None:
        """Go on under other rules, with the background as it is."""
        self._settings = settings

    def reset(self) -> None:
        """Forget the background, as after a gap."""
        self._shape = ()


class Blindness:
    """Notices black pictures, and pictures that are the same again and again.

    Nothing is allocated after the first picture.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: Image | None = None
        self._flags: npt.NDArray[np.bool_]
        self._since: dict[str, float] = {}
        self._reported = False
        self.repeated = False
        """Whether the last picture was the same as the one before, pixel by pixel."""
        self.black = False
        """Whether nothing could be seen in the last picture."""

    def update(self, image: Image, time: float) -> tuple[Reason, float] | None:
        """Take a picture; what is wrong and for how long, once it has been so for long enough."""
        grid = image[::STRIDE, ::STRIDE]
        if self._last is None or self._last.shape != grid.shape:
            self._last, self._flags = grid.copy(), np.empty(grid.shape, np.bool_)
            self.repeated = False
        else:
            self.repeated = bool(np.equal(self._last, grid, out=self._flags).all())
            if not self.repeated:
                np.copyto(self._last, grid)
        bright = np.greater(grid[..., 1], BLACK_LEVELS, out=self._flags[..., 1])
        self.black = bool(np.count_nonzero(bright) < 0.01 * bright.size)
        states: tuple[tuple[Reason, bool], ...] = (("black", self.black), ("frozen", self.repeated))
        for reason, holds in states:
            if not holds:
                self._since.pop(reason, None)
            else:
                self._since.setdefault(reason, time)
        if not self._since:
            self._reported = False
            return None
        if self._reported:
            return None
        for reason, _ in states:
            lasted = time - self._since.get(reason, time)
            if lasted >= self._seconds:
                self._reported = True
                return reason, lasted
        return None

    def reset(self) -> None:
        """Forget the last picture."""
        self._last = None
        self._since.clear()
        self._reported = self.repeated = self.black = False
