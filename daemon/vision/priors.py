"""Cells of the face detector and how they code a face: what training and running agree on.

A picture is divided into square cells of 8, 16 and 32 pixels. Every cell may predict one face: a
score, the middle and size of its box, and five landmarks, all measured from the middle of the cell
in units of its side (anchor-free, as in Ge et al., "YOLOX", 2021, and YuNet, 2023).

    box:       ((cx - px) / s, (cy - py) / s, log(w / s), log(h / s))
    landmarks: ((x - px) / s, (y - py) / s) each
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

STRIDES = (8, 16, 32)
"""Sides of the cells in pixels."""
MULTIPLE = max(STRIDES)
"""Height and width of the network's input are multiples of this."""
CHANNELS = 15
"""Of a prediction: score, box (4), landmarks (10)."""
LARGEST = 8.0
"""Of a coded logarithm of a size: exp() of more would overflow and is no face."""


@lru_cache(maxsize=32)
def cells(height: int, width: int) -> Array:
    """Every cell of an input, in the order of the network's output.

    Args:
        height: of the input in pixels, a multiple of 32.
        width: likewise.

    Returns:
        (cells, 3): x and y of the middle in pixels, and the side. Read-only, since it is kept.
    """
    if height % MULTIPLE or width % MULTIPLE or height < MULTIPLE or width < MULTIPLE:
        raise ValueError(f"{width} x {height} pixels: must be multiples of {MULTIPLE}")
    parts = []
    for stride in STRIDES:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride].reshape(2, -1)
        side = np.full(len(x), stride)
        parts.append(np.stack([(x + 0.5) * stride, (y + 0.5) * stride, side], 1))
    result = np.concatenate(parts).astype(np.float32)
    result.setflags(write=False)
    return result


def encode(faces: Array, at: Array) -> Array:
    """What a cell has to predict for a face.

    Args:
        faces: (n, 14) x, y, w, h and landmarks, in pixels; sizes above 0.
        at: (n, 3) the cell of each: rows of :func:`cells`.

    Returns:
        (n, 14) codes.
    """
    middle, side = at[:, :2], at[:, 2:3]
    codes = np.empty((len(faces), CHANNELS - 1), np.float32)
    codes[:, :2] = (faces[:, :2] + faces[:, 2:4] / 2 - middle) / side
    codes[:, 2:4] = np.log(faces[:, 2:4] / side)
    codes[:, 4:] = (faces[:, 4:14] - np.tile(middle, 5)) / side
    return codes


def decode(codes: Array, at: Array) -> Array:
    """The face that a cell predicts: the inverse of :func:`encode`.

    Args:
        codes: (n, 14).
        at: (n, 3) the cell of each.

    Returns:
        (n, 14) x, y, w, h and landmarks, in pixels.
    """
    middle, side = at[:, :2], at[:, 2:3]
    faces = np.empty((len(codes), CHANNELS - 1), np.float32)
    faces[:, 2:4] = np.exp(np.minimum(codes[:, 2:4], LARGEST)) * side
    faces[:, :2] = codes[:, :2] * side + middle - faces[:, 2:4] / 2
    faces[:, 4:] = codes[:, 4:] * side + np.tile(middle, 5)
    return faces
