"""A second opinion on each find: is it really a face?

A detector that looks at every place of a picture can spend little on each. So it names whatever
might be a face, and a second network, which sees that place alone and at one size, throws out most
of what is none (a cascade, as in Viola and Jones, "Robust Real-Time Face Detection", IJCV 57(2),
2004, and Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", 2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon.inference import Bound
from daemon.vision.alignment import ARCFACE, align

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

SIDE = 48
"""Pixels of the cut."""
EYES = 11.0
"""Pixels from eye to eye in it: hair, neck and shoulders, too, tell a face from a pattern."""


def template(side: int) -> npt.NDArray[np.float64]:
    """(5, 2) where the landmarks lie in a cut of so many pixels."""
    scale = EYES / float(np.linalg.norm(ARCFACE[1] - ARCFACE[0]))
    return np.asarray((ARCFACE - ARCFACE.mean(0)) * scale + (side - 1) / 2)


def log_odds(scores: Array) -> Array:
    """Scores in [0, 1] as log-odds; of what is certain, those of one in a million."""
    sure = np.clip(scores, 1e-6, 1 - 1e-6)
    result: Array = np.log(sure / (1 - sure))
    return result


class FaceConfirmer:
    """One ONNX graph with its buffers: a find in, evidence for or against it out."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._template = template(SIDE)
        self._cut = np.empty((SIDE, SIDE, 3), np.uint8)
        face = np.empty((1, 3, SIDE, SIDE), np.float32)
        evidence = np.empty((1, 1), np.float32)
        self._bound = Bound(session, ("face", face), ("evidence", evidence))

    def evidence(self, image: Image, landmarks: npt.NDArray[np.floating]) -> float:
        """Look at one find.

        Args:
            image: (h, w, 3) BGR, uint8.
            landmarks: (5, 2) pixels of `image`, as the detector found them.

        Returns:
            Log-odds to be added to those of the detector, weighed as the card says.
        """
        align(image, landmarks, self._template, (SIDE, SIDE), self._cut)
        self._bound.taken[0] = self._cut.transpose(2, 0, 1)
        return float(self._bound.run()[0, 0])
