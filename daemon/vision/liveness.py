"""Passive liveness: whether what a tracked face has done so far could be a flat picture.

Two things are followed for the last seconds. How far the nose has moved before the plane of eyes
and mouth (:mod:`daemon.vision.parallax`): only a body in space does that. And how much that plane
was foreshortened, which a head that turns and a picture that is tilted show alike. Much of the
second without the first is a flat picture that was tilted; much of the first is a head, or a very
good likeness. Somebody who stands still, or a picture that is held still, shows neither: that is
`undecided`, and nothing is known. So this can turn away, but it can vouch for nobody.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from daemon.vision.face import Array
from daemon.vision.parallax import turns
from daemon.vision.pose import MODEL

Verdict = Literal["live", "flat", "undecided"]
Numbers = npt.NDArray[np.float64]

WINDOW_SECONDS = 4.0
"""What is older counts no more."""
ENOUGH = 6
"""Pictures before anything is said."""
SMOOTHED = 3
"""Pictures that are averaged, against the noise of landmarks."""
LIVE_DEGREES = 16.0
"""Turned so far by parallax, it is a body: landmarks of a still picture stay far below."""
TILT_DEGREES = 42.0
"""Foreshortening as by a turn of so much must come with parallax. The noise of landmarks alone
looks like 30: a height from eyes to mouth that is off by a seventh."""
FLAT_RELIEF = 0.35
"""It is flat if the parallax is less than this share of what an average head would have shown."""

_CORNERS = [0, 1, 3, 4]
_FIT = np.linalg.pinv(MODEL[_CORNERS, :2] - MODEL[_CORNERS, :2].mean(0))
"""(2, 4) gives the affine map from the model's eyes and mouth to those of a picture, transposed."""
_DIRECTIONS = np.array([(1, 0), (0.7071, 0.7071), (0, 1), (-0.7071, 0.7071)]).T
"""(2, 4) along which a spread in the plane is measured."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a face's movement tells so far."""

    verdict: Verdict
    frames: int
    """Pictures that it rests on."""
    parallax: float
    """Degrees that an average head would have turned, to show this much parallax."""
    tilt: float
    """Degrees that a plane would have been tilted, to be foreshortened so much."""


class PassiveLiveness:
    """Follows one tracked face."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Numbers]] = deque()

    def update(self, time: float, landmarks: Array) -> Finding:
        """Look at the next picture.

        Args:
            time: of the picture, in seconds.
            landmarks: (5, 2) pixels of the face in it.
        """
        self._seen.append((time, np.concatenate([turns(landmarks[None])[0], shape(landmarks)])))
        while time - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        rows = np.stack([row for _, row in self._seen])
        return judge(rows)


def judge(rows: Numbers) -> Finding:
    """Weigh parallax against foreshortening.

    Args:
        rows: (n, 4) of each picture: degrees by parallax, to the left and up, and :func:`shape`.
    """
    sums = np.cumsum(np.vstack([np.zeros(4), rows]), axis=0)
    width = min(SMOOTHED, len(rows))
    smooth = (sums[width:] - sums[:-width]) / width
    parallax, squeezed = _spread(smooth[:, :2]), _spread(smooth[:, 2:])
    tilt = float(np.degrees(np.arccos(np.exp(-squeezed))))
    if len(rows) < ENOUGH:
        verdict: Verdict = "undecided"
    elif parallax >= LIVE_DEGREES:
        verdict = "live"
    elif tilt >= TILT_DEGREES and (
        np.tan(np.radians(parallax)) <= FLAT_RELIEF * np.tan(np.radians(tilt))
    ):
        verdict = "flat"
    else:
        verdict = "undecided"
    return Finding(verdict, len(rows), round(parallax, 1), round(tilt, 1))


def shape(landmarks: Array) -> Numbers:
    """How the plane of eyes and mouth is foreshortened, whatever its place, size and roll.

    Args:
        landmarks: (5, 2) pixels.

    Returns:
        (2,): the logarithm of the metric of the affine map from the average face, of determinant
        one: half the difference of its diagonal, and its off-diagonal. A tilt by an angle moves it
        by -log(cos(angle)), in a direction that depends on the axis.
    """
    points = np.asarray(landmarks, np.float64)[_CORNERS]
    affine = _FIT @ points
    a, b, c = (
        affine[0] @ affine[0],
        affine[0] @ affine[1],
        affine[1] @ affine[1],
    )
    determinant = max(float(a * c - b * b), 1e-9)
    # The logarithm of a symmetric matrix with determinant one and eigenvalues e^r, e^-r.
    half, off = (a - c) / 2 / np.sqrt(determinant), b / np.sqrt(determinant)
    size = float(np.hypot(half, off))
    return np.array([half, off]) * (np.arcsinh(size) / size if size > 1e-9 else 1.0)


def _spread(values: Numbers) -> float:
    """Widest range of (n, 2) values along any direction, without the tenth at each end."""
    along = np.sort(values @ _DIRECTIONS, axis=0)
    cut = len(values) // 10
    return float((along[len(values) - 1 - cut] - along[cut]).max())
