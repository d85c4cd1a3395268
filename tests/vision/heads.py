"""Landmarks of heads and of flat pictures before a camera, by geometry alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daemon.vision.pose import MODEL

Points = npt.NDArray[np.float64]


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Points:
    """(3, 3) of a head: degrees, positive to the person's left, up, to the left shoulder."""
    y, p, r = np.radians((yaw, pitch, roll))
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


def seen(
    model: Points,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    distance: float = 60.0,
    focal: float = 600.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Points:
    """Points of a rigid body, turned about its middle, in a picture of 640 x 480.

    Args:
        model: (n, 3) in centimetres.
        distance: of the body's middle from the camera, in centimetres.
        focal: in pixels.
        shift: of the body to the right and down, in centimetres.
    """
    turned = (model - model.mean(0)) @ rotation(yaw, pitch, roll).T
    depth = turned[:, 2] + distance
    picture = focal * (turned[:, :2] + shift) / depth[:, None]
    return np.asarray(picture + np.array([320.0, 240.0]))


NECK = 9.0
"""Centimetres from a face back to the axis about which its head turns."""


def turned(yaw: float, model: Points = MODEL, pitch: float = 0.0) -> Points:
    """(5, 2) landmarks of a head that is turned about its neck, 60 cm from the camera."""
    aside = float(NECK * np.sin(np.radians(yaw)))
    return seen(model, yaw, pitch, shift=(aside, 0.0))


def landmarks_of(
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    distance: float = 60.0,
    focal: float = 600.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Points:
    """(5, 2) landmarks of the average head."""
    return seen(MODEL, yaw, pitch, roll, distance, focal, shift)
