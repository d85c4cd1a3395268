"""Brings a face to the place, size and angle at which an encoder expects it.

The transform is the similarity (rotation, scale, shift) that maps five landmarks onto a template
with the least squared error: Umeyama, "Least-squares estimation of transformation parameters
between two point patterns", IEEE PAMI 13(4), 1991. In the plane it has a closed form. Training and
running both use this one.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.floating]
Image = npt.NDArray[np.uint8]

ARCFACE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float64,
)
"""The usual places of the five landmarks in a crop of 112x112 pixels: right eye (on the image's
left), left eye, nose, right and left corner of the mouth (Deng et al., "ArcFace", CVPR 2019)."""
ARCFACE_SIZE = (112, 112)
"""Width and height of the crop that belongs to :data:`ARCFACE`."""


def similarity(source: Points, target: Points) -> npt.NDArray[np.float64]:
    """The similarity transform that maps points onto others with the least squared error.

    With points as complex numbers z and w it is w = a z + b, where
    a = sum(conj(z - mean z) (w - mean w)) / sum |z - mean z|^2, and reflections are impossible.

    Args:
        source: (..., n, 2) x and y in pixels, n >= 2.
        target: (..., n, 2) where they shall lie; dimensions in front are broadcast.

    Returns:
        (..., 2, 3), for `cv2.warpAffine`; all points of a source in one place give a shift.

    >>> similarity(np.array([[0, 0], [2, 0]]), np.array([[5, 1], [5, 5]])).round().tolist()
    [[0.0, -2.0, 5.0], [2.0, 0.0, 1.0]]
    """
    z = _complex(source)
    w = _complex(target)
    z_mean = z.mean(-1, keepdims=True)
    w_mean = w.mean(-1, keepdims=True)
    spread = (np.abs(z - z_mean) ** 2).sum(-1)
    together = (np.conj(z - z_mean) * (w - w_mean)).sum(-1)
    # Without any spread the scale is unknown; a pure shift is the answer that harms least.
    known = spread > 1e-12
    a = np.where(known, together / np.where(known, spread, 1.0), 1.0)
    b = w_mean[..., 0] - a * z_mean[..., 0]
    rows = [np.stack([a.real, -a.imag, b.real], -1), np.stack([a.imag, a.real, b.imag], -1)]
    return np.stack(rows, -2)


def transform(matrix: npt.NDArray[np.float64], points: Points) -> npt.NDArray[np.float64]:
    """Apply transforms to points.

    Args:
        matrix: (..., 2, 3).
        points: (..., n, 2) in pixels.

    Returns:
        (..., n, 2).
    """
    turned: npt.NDArray[np.float64] = points @ np.swapaxes(matrix[..., :2], -1, -2)
    return turned + matrix[..., None, :, 2]


def align(
    image: Image,
    landmarks: Points,
    template: Points = ARCFACE,
    size: tuple[int, int] = ARCFACE_SIZE,
    out: Image | None = None,
) -> Image:
    """Cut out a face so that its landmarks lie where the template has them.

    Args:
        image: (height, width, 3).
        landmarks: (5, 2) in pixels of the image, in the order of :data:`ARCFACE`.
        template: (5, 2) in pixels of the crop.
        size: width and height of the crop.
        out: (size[1], size[0], 3) to write into, so that nothing is allocated.

    Returns:
        (size[1], size[0], 3); what lies outside of the image is black.
    """
    matrix = similarity(landmarks, template)
    if (matrix[0, 0] ** 2 + matrix[1, 0] ** 2) < SHRINK**2:
        image, matrix = _shrunk(image, landmarks.mean(0), matrix, _reach(template, size))
    crop = cv2.warpAffine(image, matrix, size, dst=out, flags=cv2.INTER_LINEAR)
    return np.asarray(crop, np.uint8)


SHRINK = 0.5
"""Below this scale a bilinear warp skips pixels; the picture is made smaller by areas first."""


def _reach(template: Points, size: tuple[int, int]) -> float:
    """Pixels of the crop from the middle of the landmarks to the farthest corner, and one more."""
    x, y = template.mean(0)
    return math.hypot(max(x, size[0] - x), max(y, size[1] - y)) + 1


def _shrunk(
    image: Image, middle: Points, matrix: npt.NDArray[np.float64], reach: float
) -> tuple[Image, npt.NDArray[np.float64]]:
    """The part of a picture around a face, shrunk so that warping it leaves no pixel out.

    Args:
        image: (height, width, 3).
        middle: (2,) of the landmarks, in its pixels.
        matrix: (2, 3) from its pixels to those of the crop.
        reach: how far from the middle the crop may show something, in its own pixels.

    Returns:
        The part, and the map from its pixels to those of the crop.
    """
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    away = reach / scale
    height, width = image.shape[:2]
    # A face may lie outside of the picture; then the part is a sliver of the nearest edge.
    left, top = (
        int(min(max(value - away, 0), length - 1)) for value, length in zip(middle, (width, height))
    )
    right, bottom = (
        int(min(max(value + away + 1, start + 1), length))
        for value, start, length in zip(middle, (left, top), (width, height))
    )
    # By a whole number, averaging areas takes a tenth of the time; the warp does the rest.
    times = max(1, min(int(1 / scale), right - left, bottom - top))
    new = ((right - left) // times, (bottom - top) // times)
    part = image[top : top + new[1] * times, left : left + new[0] * times]
    smaller = np.asarray(cv2.resize(part, new, interpolation=cv2.INTER_AREA), np.uint8)
    # Pixel centres: (x + 0.5) scales, not x.
    moved = matrix * times
    moved[:, 2] = matrix[:, :2] @ (left + (times - 1) / 2, top + (times - 1) / 2) + matrix[:, 2]
    return smaller, moved


def _complex(points: Points) -> npt.NDArray[np.complex128]:
    whole = np.asarray(points, np.float64)
    return whole[..., 0] + 1j * whole[..., 1]
