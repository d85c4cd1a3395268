"""A close look at one picture: every face in it, how good it is, and its vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.config import Config
from daemon.inference import choose_providers
from daemon.vision.detector import FaceDetector, open_detector
from daemon.vision.encoder import Encoder, open_encoder
from daemon.vision.events import Quality
from daemon.vision.face import Face
from daemon.vision.frames import Image
from daemon.vision.quality import Fault, fault, measure
from daemon.vision.settings import QualityConfig


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A face in a picture."""

    face: Face
    quality: Quality
    fault: Fault | None
    """Why it would not be compared at the door; None: it would."""
    vector: npt.NDArray[np.float32]
    """(dimension,) of length 1."""


class Examiner:
    """Finds, judges and embeds faces. For one thread at a time."""

    def __init__(self, detector: FaceDetector, encoder: Encoder, least: QualityConfig) -> None:
        self.encoder = encoder
        self._detector = detector
        self._least = least

    def examine(self, image: Image) -> list[Examined]:
        """Every face in a picture (height, width, 3), the largest first."""
        faces = sorted(self._detector.detect(image), key=lambda face: -face.size)
        return [self.judge(image, face) for face in faces]

    def judge(self, image: Image, face: Face) -> Examined:
        """One face of a picture that was found before."""
        crop = self.encoder.align(image, face.landmarks)
        quality = measure(face, crop)
        height, width = image.shape[:2]
        flaw = fault(face, quality, width, height, self._least)
        return Examined(face, quality, flaw, self.encoder.embed_crops(crop[None])[0].copy())


def open_examiner(config: Config) -> Examiner:
    """Load the networks of a configuration.

    Raises:
        ModelError: one is missing, damaged or not what its card says.
        ConfigError: `inference.provider` cannot be had.
    """
    providers = choose_providers(config.inference.provider)
    threads = config.inference.threads
    return Examiner(
        open_detector(config.faces.detector, providers, threads),
        open_encoder(config.faces.encoder, providers, threads),
        config.faces.quality,
    )
