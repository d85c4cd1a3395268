"""Axis-aligned boxes as arrays: x, y of the upper left corner, width and height, in pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def overlap(boxes: Array, others: Array) -> Array:
    """Intersection over union of every box with every other.

    Args:
        boxes: (n, 4).
        others: (m, 4).

    Returns:
        (n, m) in [0, 1]; 0 where both are empty.

    >>> overlap(np.float32([[0, 0, 10, 10]]), np.float32([[0, 0, 10, 5], [20, 0, 5, 5]])).tolist()
    [[0.5, 0.0]]
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(
        boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:]
    )
    # Far from the origin, a tiny box rounds to more than its size.
    smaller = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, smaller).prod(2)
    areas = boxes[:, None, 2:].prod(2) + others[None, :, 2:].prod(2)
    union = areas - shared
    result: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result


def inside(boxes: Array, places: Array) -> npt.NDArray[np.bool_]:
    """Whether the middle of each box lies in any of some places.

    Args:
        boxes: (n, 4 or more), of which the first four columns count.
        places: (m, 4).

    Returns:
        (n,) bool.

    >>> inside(np.float32([[4, 4, 2, 2], [40, 4, 2, 2]]), np.float32([[0, 0, 10, 10]])).tolist()
    [True, False]
    """
    middle = (boxes[:, :2] + boxes[:, 2:4] / 2)[:, None]
    within = (middle > places[None, :, :2]) & (middle < places[None, :, :2] + places[None, :, 2:])
    inner: npt.NDArray[np.bool_] = np.any(np.all(within, axis=2), axis=1)
    return inner


def suppress(boxes: Array, scores: Array, limit: float) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: of boxes that overlap too much, only the best stays.

    Of boxes without an area only the best stays, too, wherever they are.

    Args:
        boxes: (n, 4).
        scores: (n,), above 0.
        limit: intersection over union above which the lower score goes.

    Returns:
        Indices of those that stay, best first; of equal scores the earlier comes first.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 0, 10, 10], [30, 0, 10, 10]])
    >>> suppress(boxes, np.float32([0.7, 0.9, 0.8]), 0.5).tolist()
    [1, 2]
    """
    return np.asarray(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, limit), np.intp)
