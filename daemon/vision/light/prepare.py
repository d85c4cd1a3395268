"""How a picture becomes the input of a day-or-night network: the one definition, also for training.

Averaging all pixels of a cell (area interpolation) keeps the mean brightness of the picture and
small lights in it, which sampling would miss.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image

Light = Literal["day", "night"]

LABELS: tuple[Light, Light] = ("day", "night")
"""In the order of the classes; the network gives the probability of the second."""


def shrink(image: Image, side: int) -> Image:
    """(height, width, 3) BGR of any size to (side, side, 3) BGR, whatever its proportions."""
    import cv2

    # Halving is several times as fast as any other factor, and averages just the same.
    while min(image.shape[:2]) >= 4 * side:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        even = image[: 2 * height, : 2 * width]
        image = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def as_input(small: Image, into: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
    """(side, side, 3) BGR of 0 to 255 to (3, side, side) RGB of 0 to 1, into a buffer if given."""
    if into is None:
        into = np.empty((3, *small.shape[:2]), np.float32)
    np.multiply(small[..., ::-1].transpose(2, 0, 1), np.float32(1 / 255), out=into)
    return into
