"""Whether a face is good enough to be compared: one that is not counts neither for nor against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from daemon.vision.events import Quality
from daemon.vision.face import Face
from daemon.vision.frames import Image
from daemon.vision.pose import pose
from daemon.vision.settings import QualityConfig

Reason = Literal["small", "blurred", "dark", "bright", "turned", "cut"]

SHARPNESS_HALF = 0.02
"""Normalised Laplacian energy at which the sharpness is one half."""
MOST_OUTSIDE = 0.12
"""Share of the face box that may lie outside the picture."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a face is not compared."""

    reason: Reason
    message: str
    """What was measured, and what it had to be."""


def measure(face: Face, crop: Image) -> Quality:
    """What a face is like.

    Args:
        face: as found in the picture.
        crop: (112, 112, 3) the same face, aligned (:mod:`daemon.vision.alignment`).
    """
    import cv2

    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    mean, deviation = cv2.meanStdDev(grey)
    turned = pose(face.landmarks)
    return Quality(
        size=round(face.size, 1),
        sharpness=round(_sharpness(np.asarray(grey, np.uint8), float(deviation[0, 0])), 3),
        brightness=round(float(mean[0, 0]) / 255, 3),
        yaw=round(turned.yaw, 1),
        pitch=round(turned.pitch, 1),
    )


def fault(
    face: Face, quality: Quality, width: int, height: int, least: QualityConfig
) -> Fault | None:
    """What is wrong with a face, if anything.

    Args:
        face: as found in the picture.
        quality: as measured.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        least: what it must be like.
    """
    if quality.size < least.min_size:
        return Fault(
            "small", f"{quality.size:.0f} pixels wide, not {least.min_size:g}: come closer"
        )
    if _outside(face, width, height) > MOST_OUTSIDE:
        return Fault("cut", "cut off by the edge of the picture: move to the middle")
    if abs(quality.yaw) > least.max_yaw or abs(quality.pitch) > least.max_pitch:
        return Fault(
            "turned",
            f"turned by {quality.yaw:.0f} degrees to the side and {quality.pitch:.0f} up, not "
            f"within {least.max_yaw:g} and {least.max_pitch:g}: look into the camera",
        )
    if quality.brightness < least.min_brightness:
        return Fault("dark", f"brightness {quality.brightness:.2f}, not {least.min_brightness:g}")
    if quality.brightness > least.max_brightness:
        return Fault(
            "bright", f"brightness {quality.brightness:.2f}, above {least.max_brightness:g}"
        )
    if quality.sharpness < least.min_sharpness:
        return Fault("blurred", f"sharpness {quality.sharpness:.2f}, not {least.min_sharpness:g}")
    return None


def _sharpness(grey: Image, deviation: float) -> float:
    """Energy of the Laplacian against the contrast, squeezed into 0 to 1.

    The variance of the Laplacian (Pech-Pacheco et al. 2000) grows with contrast as with sharpness;
    divided by the variance of the picture it says how fine the detail is in whatever light.
    """
    import cv2

    smooth = cv2.GaussianBlur(grey, (3, 3), 0.8)  # or the noise of a dark picture counts as detail
    energy = float(cv2.Laplacian(smooth, cv2.CV_32F).var()) / max(deviation**2, 25.0)
    return energy / (energy + SHARPNESS_HALF)


def _outside(face: Face, width: int, height: int) -> float:
    x, y, w, h = (float(each) for each in face.box)
    inside = max(0.0, min(x + w, width) - max(x, 0.0)) * max(0.0, min(y + h, height) - max(y, 0.0))
    return 1 - inside / max(w * h, 1e-6)
