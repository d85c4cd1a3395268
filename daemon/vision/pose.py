"""Where a head looks, from five landmarks.

Five points of an average head under a camera that is far away against the depth of a face (weak
perspective) obey `landmarks = A model + t`, with A of 2 x 3. A is found by least squares, which is
a product with a matrix known beforehand (the linear factor of POSIT: DeMenthon and Davis,
"Model-based object pose in 25 lines of code", IJCV 15, 1995). The cross product of its rows is the
direction from the camera into the scene, as the head sees it; yaw and pitch are its angles.

This direction, unlike the rotation that is nearest to A, does not change under any affine map of
the picture: a flat photograph that is moved, tilted, stretched or zoomed keeps its yaw and pitch
(:mod:`daemon.vision.challenge` rests on that). How wide or long a face is does not turn it, either;
a nose longer than the average makes turns seem larger by as much (in tan yaw).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.vision.face import Array

MODEL = np.array(
    [
        (-3.15, -2.62, -3.47),
        (3.15, -2.62, -3.47),
        (0.0, 1.43, -7.48),
        (-2.46, 4.34, -4.28),
        (2.46, 4.34, -4.28),
    ]
)
"""(5, 3) the landmarks on an average adult head that looks into the camera, in centimetres: x to
the picture's right, y down, z away from the camera. From MediaPipe's canonical face model: middles
of the corners of the eyes, tip of the nose, corners of the mouth. The nose is 0.3 cm lower than
there, where detectors mark it: then the median pitch of portraits is 0."""
_SOLVE = np.linalg.pinv(MODEL - MODEL.mean(0))
"""(3, 5) what turns landmarks into the transpose of A."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head looks, in degrees; all 0 when it looks into the camera, upright."""

    yaw: float
    """Turned to the side; positive: to the person's own left, which is the picture's right."""
    pitch: float
    """Up (positive) or down."""
    roll: float
    """Tilted to a shoulder; positive: to the person's own left, clockwise in the picture."""


def pose(landmarks: Array) -> Pose:
    """Where one head looks.

    Args:
        landmarks: (5, 2) x, y in pixels, in the order of :data:`daemon.vision.face.LANDMARKS`.

    >>> round(pose(MODEL[:, :2] * 10 + 200).yaw, 6) + 0.0
    0.0
    """
    yaw, pitch, roll = poses(landmarks[None])[0].tolist()
    return Pose(yaw, pitch, roll)


def poses(landmarks: Array) -> npt.NDArray[np.float64]:
    """Where heads look.

    Args:
        landmarks: (n, 5, 2) x, y in pixels.

    Returns:
        (n, 3) yaw, pitch and roll in degrees. Landmarks that all lie on a line give zeros.
    """
    # The rows of _SOLVE add up to zero, so the landmarks need not be centred.
    affine = _SOLVE @ np.asarray(landmarks, np.float64)
    (ax, ay, az), (bx, by, bz) = affine.transpose(2, 1, 0)
    ahead_x, ahead_y, ahead_z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    yaw = np.arctan2(ahead_x, ahead_z)
    pitch = np.arctan2(-ahead_y, np.hypot(ahead_x, ahead_z))
    # What is left after yaw and pitch is a rotation in the picture: the nearest, in closed form,
    # to (a, b) times the rows of Rx(pitch) Ry(yaw).
    c, s = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    level = ax * c - az * s + (bx * s + bz * c) * sp + by * cp
    tilted = bx * c - bz * s - (ax * s + az * c) * sp - ay * cp
    roll = np.arctan2(tilted, level)
    angles: npt.NDArray[np.float64] = np.degrees(np.stack([yaw, pitch, roll], 1))
    return angles
