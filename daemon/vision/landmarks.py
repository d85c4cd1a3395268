"""A second, closer look at a face that was found: where exactly its landmarks are.

A detector places landmarks as finely as its cells allow. The face is cut out by them, upright and
at one size, and a small network says where they are in that cut (a cascade, as in Sun, Wang and
Tang, "Deep Convolutional Network Cascade for Facial Point Detection", CVPR 2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from daemon.inference import CUDA
from daemon.vision.alignment import ARCFACE, align, similarity, transform

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


class LandmarkRefiner:
    """One ONNX graph with its buffers: landmarks in, better ones out."""

    def __init__(self, session: ort.InferenceSession) -> None:
        import onnxruntime as ort

        self._session = session
        self._cut = np.empty((SIDE, SIDE, 3), np.uint8)
        self._input = np.empty((1, 3, SIDE, SIDE), np.float32)
        self._points = np.empty((1, 5, 2), np.float32)
        self._device = "cuda" if session.get_providers()[0] == CUDA else "cpu"
        self._value = ort.OrtValue.ortvalue_from_numpy(self._input, self._device)
        points = ort.OrtValue.ortvalue_from_numpy(self._points)
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input("face", self._value)
        self._binding.bind_ortvalue_output("points", points)

    def refine(self, image: Image, landmarks: npt.NDArray[np.floating]) -> Array:
        """Look again at one face.

        Args:
            image: (h, w, 3) BGR, uint8.
            landmarks: (5, 2) pixels of `image`, as the detector found them.

        Returns:
            (5, 2) pixels of `image`.
        """
        align(image, landmarks, TEMPLATE, (SIDE, SIDE), self._cut)
        self._input[0] = self._cut.transpose(2, 0, 1)
        if self._device != "cpu":
            self._value.update_inplace(self._input)
        self._session.run_with_iobinding(self._binding)
        back = np.asarray(cv2.invertAffineTransform(similarity(landmarks, TEMPLATE)), np.float64)
        return transform(back, self._points[0]).astype(np.float32)
