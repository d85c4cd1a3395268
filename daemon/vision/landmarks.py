"""A second, closer look at a face that was found: where exactly its landmarks are.

A detector places landmarks as finely as its cells allow. The face is cut out by them, upright and
at one size, and a small network says where they are in that cut (a cascade, as in Sun, Wang and
Tang, "Deep Convolutional Network Cascade for Facial Point Detection", CVPR 2013). It looks at the
cut and at its mirror image: what it is off by chance is off to either side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from daemon.inference import Bound
from daemon.vision.alignment import ARCFACE, align, similarity, transform
from daemon.vision.face import MIRRORED

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

SIDE = 80
"""Pixels of the cut."""
EYES = 23.0
"""Pixels from eye to eye in it: there is room around a face whose landmarks are far off."""
TEMPLATE = np.asarray(
    (ARCFACE - ARCFACE.mean(0)) * (EYES / np.linalg.norm(ARCFACE[1] - ARCFACE[0])) + SIDE / 2
)
"""(5, 2) where the landmarks as found lie in the cut."""


def mirrored(points: npt.NDArray[np.floating]) -> Array:
    """Landmarks (5, 2) in the mirror image of their cut, about the middle of the template."""
    result = points[list(MIRRORED)].astype(np.float32)
    result[:, 0] = SIDE - result[:, 0]
    return result


class LandmarkRefiner:
    """One ONNX graph with its buffers: landmarks in, better ones out."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._cut = np.empty((SIDE, SIDE, 3), np.uint8)
        face = np.empty((1, 3, SIDE, SIDE), np.float32)
        points = np.empty((1, 5, 2), np.float32)
        self._bound = Bound(session, ("face", face), ("points", points))

    def refine(self, image: Image, landmarks: npt.NDArray[np.floating]) -> Array:
        """Look again at one face.

        Args:
            image: (h, w, 3) BGR, uint8.
            landmarks: (5, 2) pixels of `image`, as the detector found them.

        Returns:
            (5, 2) pixels of `image`.
        """
        align(image, landmarks, TEMPLATE, (SIDE, SIDE), self._cut)
        self._bound.taken[0] = self._cut.transpose(2, 0, 1)
        points = self._bound.run()[0].copy()
        # About the middle of the template: the column that this lacks is like its neighbour.
        self._bound.taken[0, :, :, 1:] = self._cut[:, :0:-1].transpose(2, 0, 1)
        self._bound.taken[0, :, :, 0] = self._cut[:, -1].T
        points += mirrored(self._bound.run()[0])
        points /= 2
        back = np.asarray(cv2.invertAffineTransform(similarity(landmarks, TEMPLATE)), np.float64)
        return transform(back, points).astype(np.float32)
