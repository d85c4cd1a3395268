"""OpenCV's own path for faces, and the small teacher: what a user would take instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from daemon.vision.alignment import align
from daemon.vision.frames import Image

TEMPLATE = np.array(
    [[30.29, 51.70], [65.53, 51.50], [48.03, 71.74], [33.55, 92.37], [62.73, 92.20]]
)
"""Where MobileFaceNet wants the landmarks, in a crop 96 pixels wide and 112 high."""


def yunet(path: Path, width: int, height: int) -> Any:
    """YuNet for pictures of one size, with the thresholds that OpenCV's sample uses."""
    return cv2.FaceDetectorYN.create(str(path), "", (width, height), 0.9, 0.3, 5000)


class MobileFaceNet:
    """The small teacher: an aligned face to a unit vector of 128 numbers."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name

    def embed(self, image: Image, landmarks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Embed one face: BGR picture and (5, 2) landmarks to (128,)."""
        crop = align(image, landmarks, TEMPLATE, (96, 112))
        pixels = (crop[..., ::-1].astype(np.float32) - 127.5) / 128
        vector = self._session.run(None, {self._name: pixels.transpose(2, 0, 1)[None]})[0][0]
        result: npt.NDArray[np.float32] = vector / np.linalg.norm(vector)
        return result
