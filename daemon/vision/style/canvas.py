"""Pictures as networks take them: RGB of 0 to 1, of a chosen size, with a frame to spare."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture with a frame that repeats its edge in a mirror, so that the sides are multiples."""

    image: Floats
    """(1, 3, h, w) RGB of 0 to 1, with the frame."""
    top: int
    left: int
    height: int
    width: int
    """Where the picture lies in it."""

    def cut(self, painted: Floats) -> Image:
        """The picture without its frame: (height, width, 3) BGR, uint8."""
        inner = painted[0, :, self.top : self.top + self.height, self.left : self.left + self.width]
        pixels = np.rint(255 * np.clip(inner, 0, 1)).astype(np.uint8)
        return np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))


def scaled(image: Image, longest: int) -> Image:
    """A picture whose longest side is so many pixels."""
    factor = longest / max(image.shape[:2])
    if factor == 1:
        return image
    size = tuple(max(1, round(factor * side)) for side in image.shape[1::-1])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def framed(image: Image, multiple: int, margin: int = 0) -> Canvas:
    """A BGR picture on a canvas.

    Args:
        image: (h, w, 3) BGR, uint8.
        multiple: what the sides of the canvas must be multiples of.
        margin: pixels of frame on each side, at least: what a network does at its edge stays there.
    """
    height, width = image.shape[:2]
    tall, wide = (-(-(side + 2 * margin) // multiple) * multiple for side in (height, width))
    top, left = (tall - height) // 2, (wide - width) // 2
    # Mirroring needs no more pixels than there are; a tiny picture's frame repeats its edge.
    small = max(tall - height, wide - width) > min(height, width)
    method = cv2.BORDER_REPLICATE if small else cv2.BORDER_REFLECT_101
    whole = cv2.copyMakeBorder(image, top, tall - height - top, left, wide - width - left, method)
    pixels = whole[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return Canvas(np.ascontiguousarray(pixels[None]), top, left, height, width)


def keep_colours(painting: Image, content: Image) -> Image:
    """The light and dark of a painting with the colours of what it shows.

    Gatys et al., "Preserving Color in Neural Artistic Style Transfer" (2016), section 2.2.

    Args:
        painting: (h, w, 3) BGR, uint8.
        content: likewise, of the same size.
    """
    painted = cv2.cvtColor(painting, cv2.COLOR_BGR2YCrCb)
    shown = cv2.cvtColor(content, cv2.COLOR_BGR2YCrCb)
    shown[:, :, 0] = painted[:, :, 0]
    return np.asarray(cv2.cvtColor(shown, cv2.COLOR_YCrCb2BGR), np.uint8)
