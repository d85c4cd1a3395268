"""Small square pictures of faces, for people to look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image

SIDE = 112
"""Pixels."""
MARGIN = 0.25
"""What is shown around the face's box, as a share of its longer side."""


def thumbnail(image: Image, box: npt.NDArray[np.floating]) -> bytes:
    """Cut out a face; compressed, so that those of a large pile fit into memory.

    Args:
        image: (height, width, 3) BGR.
        box: (4,) x, y, width, height in pixels; may reach beyond the picture.

    Returns:
        JPEG of 112 x 112 pixels; what lies outside of the picture is the colour of its edge.
    """
    import cv2

    x, y, width, height = (float(each) for each in box)
    side = max(width, height, 1.0) * (1 + 2 * MARGIN)
    scale = SIDE / side
    left, top = x + width / 2 - side / 2, y + height / 2 - side / 2
    placed = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
    small = cv2.warpAffine(
        _shrunk(image, scale, placed),
        placed,
        (SIDE, SIDE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    done, coded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done, "OpenCV writes JPEG"
    return coded.tobytes()


def _shrunk(image: Image, scale: float, placed: npt.NDArray[np.floating]) -> Image:
    """`image` reduced by a whole factor where much is to be reduced, so that lines do not shimmer;
    `placed` is changed to fit."""
    import cv2

    factor = int(1 / scale) if scale < 0.5 else 1
    if factor < 2:
        return image
    height, width = image.shape[:2]
    size = (max(1, width // factor), max(1, height // factor))
    placed[:, 0] *= width / size[0]
    placed[:, 1] *= height / size[1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
