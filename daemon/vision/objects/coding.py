"""From pictures to a network's input and from its output to boxes, as the card says.

Boxes are x, y of the upper left corner, width and height, in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image
from daemon.vision.objects.card import ObjectInput, ObjectOutput

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the input."""

    scale: float
    """Pixels of the input for one of the picture."""
    left: int
    top: int
    width: int
    height: int
    """In pixels of the input."""


def place(width: int, height: int, into: ObjectInput) -> tuple[Placement, tuple[int, int]]:
    """Where a picture of this size lies, as large as fits, and height and width of the input."""
    scale = min(into.width / width, into.height / height)
    shown_width = min(into.width, max(1, round(width * scale)))
    shown_height = min(into.height, max(1, round(height * scale)))
    input_height, input_width = into.height, into.width
    if into.multiple is not None:
        input_height = -(-shown_height // into.multiple) * into.multiple
        input_width = -(-shown_width // into.multiple) * into.multiple
    left = top = 0
    if into.placement == "centre":
        left, top = (input_width - shown_width) // 2, (input_height - shown_height) // 2
    return Placement(scale, left, top, shown_width, shown_height), (input_height, input_width)


def draw(
    image: Image, where: Placement, into: ObjectInput, pixels: npt.NDArray[np.uint8], out: Array
) -> None:
    """Draw a picture into the network's input.

    Args:
        image: (height, width, 3) BGR, uint8, of any size from one pixel on.
        where: it lies.
        into: how the network wants it.
        pixels: (3, height, width), room to work in.
        out: (3, height, width), is overwritten.
    """
    # Down to half the size no pixel is passed over; the mean of an area costs seven times as much.
    method = cv2.INTER_AREA if where.scale < 0.5 else cv2.INTER_LINEAR
    if (where.width, where.height) != (image.shape[1], image.shape[0]):
        image = np.asarray(cv2.resize(image, (where.width, where.height), None, 0, 0, method))
    # Bytes that lie side by side become floats in a third of the time of others.
    bottom, right = where.top + where.height, where.left + where.width
    planes = pixels[::-1] if into.channels == "rgb" else pixels
    cv2.split(image, [plane[where.top : bottom, where.left : right] for plane in planes])
    pixels[:, : where.top] = pixels[:, bottom:] = into.fill
    pixels[:, :, : where.left] = pixels[:, :, right:] = into.fill
    out[:] = pixels
    if any(into.mean):
        out -= np.asarray(into.mean, np.float32)[:, None, None]
    if into.scale != 1:
        out *= np.float32(into.scale)


def grid(height: int, width: int, strides: Sequence[int]) -> Array:
    """x and y of the corner of each cell of an input, in cells, and its stride: (n, 3)."""
    parts = []
    for stride in strides:
        rows, columns = height // stride, width // stride
        y, x = np.divmod(np.arange(rows * columns), columns)
        parts.append(np.stack([x, y, np.full_like(x, stride)], 1))
    return np.concatenate(parts).astype(np.float32)


def decode(codes: Array, coding: ObjectOutput, cells: Array | None = None) -> Array:
    """Boxes that rows of the output code, in pixels of the input.

    Args:
        codes: (n, 4), the first four columns.
        coding: what they mean.
        cells: (n, 3), of :func:`grid`, for distances and cells.

    Returns:
        (n, 4).

    >>> middles = ObjectOutput(boxes="centre")
    >>> decode(np.float32([[50, 40, 20, 10]]), middles).tolist()
    [[40.0, 35.0, 20.0, 10.0]]
    """
    first, second = codes[:, :2], codes[:, 2:4]
    if coding.boxes == "corners":
        return np.concatenate([first, np.maximum(second - first, 0)], 1)
    if coding.boxes == "distances":
        assert cells is not None
        corner = (cells[:, :2] + 0.5 - first) * cells[:, 2:]
        return np.concatenate([corner, (first + second) * cells[:, 2:]], 1)
    if coding.boxes == "cells":
        assert cells is not None
        stride = cells[:, 2:]
        first = (first + cells[:, :2]) * stride
        second = np.exp(np.minimum(second, 20)) * stride
    return np.concatenate([first - second / 2, second], 1)


def to_picture(boxes: Array, where: Placement, width: int, height: int) -> Array:
    """Boxes in pixels of the input to boxes in pixels of the picture, cut at its edge.

    Args:
        boxes: (n, 4) in pixels of the input.
        where: of the picture in the input.
        width: of the picture.
        height: of the picture.

    Returns:
        (n, 4).
    """
    edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    edges -= np.array([where.left, where.top] * 2, np.float32)
    limits = np.array([width, height] * 2, np.float32)
    edges = np.clip(edges / np.float32(where.scale), 0, limits)
    edges[:, 2:] -= edges[:, :2]
    return edges


def suppress_by_class(
    boxes: Array, scores: Array, classes: npt.NDArray[np.intp], limit: float
) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression within each class.

    Args:
        boxes: (n, 4).
        scores: (n,), above 0.
        classes: (n,).
        limit: intersection over union above which the lower score of one class goes.

    Returns:
        Indices of those that stay, best first.
    """
    stays = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), classes.tolist(), 0.0, limit)
    return np.asarray(stays, np.intp)
