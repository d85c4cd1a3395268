"""A face in a picture, as the detector found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
"""Order of the landmarks; right and left are the person's, so right is on the picture's left."""
MIRRORED = (1, 0, 2, 4, 3)
"""Which landmark each becomes when the picture is mirrored."""
COLUMNS = 4 + 2 * len(LANDMARKS) + 1
"""Of a face as a row of numbers: x, y, width, height, landmarks as x, y, and the score."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """Box, landmarks and score of one face."""

    box: Array
    """(4,) x and y of the upper left corner, width and height, in pixels of the picture; a face at
    the edge reaches beyond it."""
    landmarks: Array
    """(5, 2) x, y in pixels, in the order of `LANDMARKS`."""
    score: float
    """0 to 1: how sure the detector is."""

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box: x, y in pixels."""
        x, y, width, height = map(float, self.box)
        return x + width / 2, y + height / 2

    @property
    def size(self) -> float:
        """Side in pixels of the square that is as large as the box."""
        return float(np.sqrt(max(0.0, float(self.box[2] * self.box[3]))))

    @property
    def eye_distance(self) -> float:
        """Pixels from eye to eye."""
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))


def to_rows(faces: Sequence[Face]) -> Array:
    """Faces as one array, (n, 15): see `COLUMNS`."""
    rows = np.zeros((len(faces), COLUMNS), np.float32)
    for row, face in zip(rows, faces):
        row[:4], row[4:14], row[14] = face.box, face.landmarks.reshape(-1), face.score
    return rows


def from_rows(rows: Array) -> list[Face]:
    """Faces of an (n, 15) array: see `COLUMNS`; they are copies."""
    return [
        Face(row[:4].copy(), row[4:14].reshape(5, 2).copy(), float(row[14]))
        for row in np.asarray(rows, np.float32)
    ]
