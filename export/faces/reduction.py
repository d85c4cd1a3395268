"""Smaller pictures, and where a place of the large one lies in the small one.

A pixel's place is its centre, in OpenCV as in the daemon's alignment. A resize keeps the corners of
pictures where they are, not the centres of pixels: x goes to `(x + 0.5) * factor - 0.5`.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image

Map = npt.NDArray[np.float64]
"""(2, 3), as `cv2.warpAffine` takes it."""


def resizing(across: float, down: float) -> Map:
    """Where a resize by these factors brings each place."""
    return np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5]])


def reduce(image: Image, factor: float) -> tuple[Image, Map]:
    """A picture averaged down by about `factor`, and where that brings each place."""
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), resizing(size[0] / width, size[1] / height)


def after(first: Map, both: Map) -> Map:
    """The map that, after `first`, has the effect of `both`."""
    whole = np.vstack([both, (0, 0, 1)]) @ np.linalg.inv(np.vstack([first, (0, 0, 1)]))
    return np.asarray(whole[:2], np.float64)
