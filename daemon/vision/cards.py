"""Cards of the networks that look: what their files are and how their input is prepared."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from daemon.cards import FileName, ModelCard, Sha256
from daemon.errors import ConfigError
from daemon.validation import Settings, Text, problem
from daemon.vision.face import LANDMARKS
from daemon.vision.priors import STRIDES

Point = Annotated[list[float], Field(min_length=2, max_length=2)]


class FaceInput(Settings):
    """How an encoder wants a face: which pixels, in which order, in which range."""

    width: int = Field(ge=16, le=1024)
    height: int = Field(ge=16, le=1024)
    channels: Literal["rgb", "bgr"]
    mean: list[float] = Field(min_length=3, max_length=3)
    """Subtracted from each channel, in the order of `channels`; pixels are 0 to 255."""
    scale: float = Field(gt=0)
    """Multiplied after the mean was subtracted."""
    template: list[Point] = Field(min_length=5, max_length=5)
    """x, y in pixels of the aligned face: right eye (on the image's left), left eye, nose, right
    and left corner of the mouth."""


class OperatingPoint(Settings):
    """What a threshold on the score costs, for one false match rate that was aimed at."""

    fmr: float = Field(gt=0, lt=1)
    """False match rate aimed at: strangers taken for the same person, per comparison."""
    threshold: float | None
    """A score at or below it is a match; None where the data cannot support one."""
    fmr_bounds: list[float] | None = Field(default=None, min_length=2, max_length=2)
    """95 % bounds of the rate at the threshold."""
    fnmr: float | None = Field(default=None, ge=0, le=1)
    """False non-match rate at the threshold."""
    fnmr_bounds: list[float] | None = Field(default=None, min_length=2, max_length=2)
    reason: Text | None = None
    """Why there is no threshold."""

    @model_validator(mode="after")
    def _says_why(self) -> OperatingPoint:
        if (self.threshold is None) == (self.reason is None):
            raise problem("needs either a threshold or a reason why there is none", "threshold")
        return self


class Cohort(Settings):
    """Strangers' embeddings, against which a score is normalised."""

    file: FileName
    sha256: Sha256
    nearest: int = Field(ge=1)
    """How many of the nearest strangers give mean and deviation."""


class EncoderCard(ModelCard):
    """The card of a face encoder.

    The score of two faces is the squared distance of their unit vectors, 0 to 4; with `normalise`
    it is that distance normalised against the cohort. Lower is more alike in both.
    """

    kind: Literal["face-encoder"]
    dimension: int = Field(ge=8, le=4096)
    input: FaceInput
    normalise: bool = False
    cohort: Cohort | None = None
    operating_points: list[OperatingPoint] = Field(default_factory=list)

    @model_validator(mode="after")
    def _complete(self) -> EncoderCard:
        if self.normalise and self.cohort is None:
            raise problem("normalise needs a cohort; add one or set normalise: false", "cohort")
        return self

    def files(self) -> dict[str, str]:
        """Every file of the model, by name, with its SHA-256."""
        own = {self.cohort.file: self.cohort.sha256} if self.cohort else {}
        return super().files() | own

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {
            "dimension": self.dimension,
            "input": self.input.model_dump(),
        }

    def threshold(self, fmr: float, setting: str = "faces.fmr") -> float:
        """Highest score that is a match, for a false match rate that a setting asks for.

        Raises:
            ConfigError: the card has no threshold for this rate; the message says which it has.
        """
        for point in self.operating_points:
            if math.isclose(point.fmr, fmr, rel_tol=1e-6):
                if point.threshold is None:
                    raise ConfigError(
                        f"{setting}: model {self.name} has no threshold for {fmr:g}: "
                        f"{point.reason}; choose {self._rates()}"
                    )
                return point.threshold
        raise ConfigError(
            f"{setting}: model {self.name} has no threshold for {fmr:g}; choose {self._rates()}"
        )

    def loosest_threshold(self, fmr: float) -> float | None:
        """Highest threshold with at most this false match rate; None: the card has none."""
        known = [
            each.threshold
            for each in self.operating_points
            if each.threshold is not None and each.fmr <= fmr * (1 + 1e-6)
        ]
        return max(known, default=None)

    def _rates(self) -> str:
        usable = [f"{each.fmr:g}" for each in self.operating_points if each.threshold is not None]
        return ", ".join(usable) if usable else "another model: its card lists none"


class PictureInput(Settings):
    """What a detector takes: BGR pixels of 0 to 255 in float32, sides multiples of 32."""

    channels: Literal["bgr"]
    longest_side: int = Field(ge=64, le=4096)
    """Pixels to which a larger picture is reduced before the network sees it."""


class Refiner(Settings):
    """The network that looks a second time at the landmarks of a face."""

    file: FileName
    sha256: Sha256


class Confirmer(Settings):
    """The network that says of each find whether it is a face."""

    file: FileName
    sha256: Sha256
    candidates: float = Field(gt=0, lt=1)
    """Score of the detector from which a find is looked at."""
    weight: float = Field(ge=0, le=10)
    """Of the detector's own log-odds, to which the evidence of this network is added."""


class DetectorCard(ModelCard):
    """The card of a face detector; how its output codes a face is in `daemon.vision.priors`."""

    kind: Literal["face-detector"]
    input: PictureInput
    strides: list[int]
    """Sides in pixels of the cells that may predict a face."""
    landmarks: list[Text]
    """Names of the landmarks, in the order of the output."""
    threshold: float = Field(gt=0, lt=1)
    """Score from which a find is a face, after all that looks at it has spoken."""
    overlap: float = Field(gt=0, lt=1)
    """Intersection over union above which two finds are one face."""
    refiner: Refiner | None = None
    """See :mod:`daemon.vision.landmarks`; without one, landmarks stay as they were found."""
    confirmer: Confirmer | None = None
    """See :mod:`daemon.vision.confirmation`; without one, the detector's own score counts."""

    @model_validator(mode="after")
    def _coded_alike(self) -> DetectorCard:
        if self.strides != list(STRIDES):
            raise problem(f"must be {list(STRIDES)}: others are not decoded", "strides")
        if self.landmarks != list(LANDMARKS):
            raise problem(f"must be {', '.join(LANDMARKS)}, in this order", "landmarks")
        return self

    def files(self) -> dict[str, str]:
        """Every file of the model, by name, with its SHA-256."""
        own = [each for each in (self.refiner, self.confirmer) if each is not None]
        return super().files() | {each.file: each.sha256 for each in own}

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {
            "input": self.input.model_dump(),
            "strides": self.strides,
            "landmarks": self.landmarks,
        }
