"""Labels by a published detector: boxes, landmarks and doubtful places of pictures without labels.

The teacher is YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine
Intelligence Research 20, 2023). OpenCV has a class for it; ONNX Runtime runs the same file in a
third of the time, and finding the faces in what it says is a few lines.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.errors import ModelError
from daemon.inference import CPU, open_session
from daemon.vision.boxes import suppress
from daemon.vision.face import COLUMNS
from export.keys import content

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

SURE = 0.8
"""Score from which a find of the teacher is a face."""
DOUBTFUL = 0.4
"""Score from which a find is neither a face nor background: nothing is learnt there."""
OVERLAP = 0.3
"""Intersection over union above which two finds are one face."""
_STRIDES = (8, 16, 32)


class Teacher:
    """YuNet at several sizes of the picture."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load the ONNX file.

        Raises:
            ModelError: it is missing or not YuNet.
        """
        self._session = open_session(path, [CPU], threads)
        self.mark = content(path)
        """Of the file: labels of another are others."""
        self._outputs = [f"{part}_{s}" for part in ("cls", "obj", "bbox", "kps") for s in _STRIDES]
        if missing := set(self._outputs) - {each.name for each in self._session.get_outputs()}:
            raise ModelError(f"{path}: not YuNet: it has no output {min(missing)}")
        self._input = self._session.get_inputs()[0].name

    def __call__(self, image: Image, sides: tuple[int, ...], score: float = DOUBTFUL) -> Array:
        """Finds at all sizes, the best of each place.

        Args:
            image: (h, w, 3) BGR.
            sides: longest sides to bring the picture to: a large one for small faces, a small one
                for faces that fill the picture.
            score: of the least sure find that is returned.

        Returns:
            (n, 15) in pixels of `image`, best first: see :data:`daemon.vision.face.COLUMNS`.
        """
        found = np.concatenate([self._at(image, side, score) for side in sides])
        return found[suppress(found[:, :4], found[:, 14], OVERLAP)]

    def _at(self, image: Image, side: int, score: float) -> Array:
        factor = side / max(image.shape[:2])
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)
        height, width = (-(-length // 32) * 32 for length in scaled.shape[:2])
        padded = np.zeros((1, 3, height, width), np.float32)
        padded[0, :, : scaled.shape[0], : scaled.shape[1]] = scaled.transpose(2, 0, 1)
        values = self._session.run(self._outputs, {self._input: padded})
        parts = [
            _decode([each[0] for each in values[level::3]], stride, width, score)
            for level, stride in enumerate(_STRIDES)
        ]
        found = np.concatenate(parts)
        found[:, 0:14:2] *= image.shape[1] / scaled.shape[1]
        found[:, 1:14:2] *= image.shape[0] / scaled.shape[0]
        return found


def _decode(values: list[Array], stride: int, width: int, score: float) -> Array:
    """One level's outputs (cells, ...) as faces (n, 15) in pixels of the network's input."""
    cls, obj, box, landmarks = values
    scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
    chosen = np.flatnonzero(scores >= score)
    corner = np.stack([chosen % (width // stride), chosen // (width // stride)], 1)
    size = np.exp(box[chosen, 2:]) * stride
    middle = (corner + box[chosen, :2]) * stride
    points = (landmarks[chosen].reshape(-1, 5, 2) + corner[:, None]) * stride
    faces = np.empty((len(chosen), COLUMNS), np.float32)
    faces[:, :2], faces[:, 2:4] = middle - size / 2, size
    faces[:, 4:14], faces[:, 14] = points.reshape(-1, 10), scores[chosen]
    return faces
