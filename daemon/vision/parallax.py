"""Parallax of the nose: what a turning head shows and a flat picture does not.

Whatever is done to a flat picture before a camera, its points move by a homography (Hartley and
Zisserman, "Multiple View Geometry", 2nd edition, section 2.3). Four points fix a homography, so the
place of the nose among the corners that eyes and mouth make is an invariant of the picture: moved,
tilted, zoomed, near or far, a photograph keeps it. On a head the tip of the nose stands before that
plane and moves across it, when the head turns by an angle, by the tangent of it times its height.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daemon.vision.face import Array
from daemon.vision.pose import MODEL

Numbers = npt.NDArray[np.float64]

_AROUND = (0, 1, 4, 3)
"""Eyes and corners of the mouth, around the quadrilateral that they make."""
_NOSE = 2
_EYES, _MOUTH = MODEL[:2].mean(0), MODEL[3:].mean(0)
_SHARE = (MODEL[_NOSE, 1] - _EYES[1]) / (_MOUTH[1] - _EYES[1])
NOSE_HEIGHT = float(_EYES[2] + _SHARE * (_MOUTH[2] - _EYES[2]) - MODEL[_NOSE, 2])
"""Centimetres from the plane of eyes and mouth to the tip of the nose, on the average head."""


def turns(landmarks: Array) -> Numbers:
    """How far heads are turned, judged by nothing but the parallax of the nose.

    Args:
        landmarks: (n, 5, 2) x, y in pixels, in the order of :data:`daemon.vision.face.LANDMARKS`.

    Returns:
        (n, 2) degrees: to the person's own left, and up. A flat picture, whatever is done to it,
        keeps its numbers. They are meaningless (but finite) where the four corners make no convex
        quadrilateral, as in a profile.
    """
    points = np.asarray(landmarks, np.float64)
    (a, b, c), (d, e, f), (g, h, one) = _from_square(points[:, _AROUND])
    x, y = points[:, _NOSE].T
    # The inverse of a homography, up to a factor, is its adjugate.
    in_square = (
        (e * one - f * h) * x + (c * h - b * one) * y + (b * f - c * e),
        (f * g - d * one) * x + (a * one - c * g) * y + (c * d - a * f),
        (d * h - e * g) * x + (b * g - a * h) * y + (a * e - b * d),
    )
    across, down, weight = _TO_MODEL @ np.stack(in_square)
    weight = np.where(np.abs(weight) < 1e-12, 1e-12, weight)
    left, up = across / weight - MODEL[_NOSE, 0], MODEL[_NOSE, 1] - down / weight
    angles: Numbers = np.degrees(np.arctan2(np.stack([left, up], 1), NOSE_HEIGHT))
    return angles


def _from_square(corners: Numbers) -> tuple[tuple[Numbers, ...], ...]:
    """Homographies from the unit square to quadrilaterals, (n, 4, 2) around: rows of (n,) each.

    Heckbert, "Fundamentals of texture mapping and image warping", 1989, section 2.2.3, without its
    division, so that there is a result for every quadrilateral.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.transpose(1, 2, 0)
    ax, ay, bx, by = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    one = ax * by - ay * bx
    g, h = sx * by - sy * bx, ax * sy - ay * sx
    return (
        ((x1 - x0) * one + g * x1, (x3 - x0) * one + h * x3, x0 * one),
        ((y1 - y0) * one + g * y1, (y3 - y0) * one + h * y3, y0 * one),
        (g, h, one),
    )


_TO_MODEL = np.array(_from_square(MODEL[None, _AROUND, :2]))[..., 0]
