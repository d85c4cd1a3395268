"""The card of the network that compares words, and how templates name it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from daemon.cards import FileName, ModelCard, Sha256
from daemon.validation import Settings, Text


class EncoderId(Settings):
    """The network that made a vector, by name, version and SHA-256."""

    name: Text
    version: Text
    sha256: Sha256

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.sha256[:12]})"


class Cohort(Settings):
    """Vectors of other sounds, against which a likeness is normalised."""

    file: FileName
    sha256: Sha256


class Neighbours(Cohort):
    """Vectors of common words, in the order of their names: an enrolled word keeps off them."""

    words: list[Text] = Field(min_length=1)


class WordEncoderCard(ModelCard):
    """The card of a network that turns a second of a trunk's hypercolumns into a unit vector."""

    kind: Literal["word-encoder"]
    trunk: Text
    """Fingerprint of the trunk that it listens to, as the recipe of a wake model has it."""
    window: int = Field(ge=2, le=40)
    """Steps of 80 ms that it looks at."""
    dimension: int = Field(ge=8, le=1024)
    """Of a vector: the features of a step times the steps of a window."""
    cohort: Cohort
    neighbours: Neighbours
    offset: float
    """Normalised likeness at which the score is one half."""
    slope: float = Field(gt=0)
    """How fast the score rises with it: score = 1 / (1 + exp(-slope (likeness - offset)))."""
    threshold: float = Field(gt=0, lt=1)
    """Score that counts as heard, unless the recordings ask for more."""
    unlike: float
    """Likeness of two takes below which they are not the same word."""

    def files(self) -> dict[str, str]:
        """Every file of the model, by name, with its SHA-256."""
        beside = {each.file: each.sha256 for each in (self.cohort, self.neighbours)}
        return super().files() | beside

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {
            "trunk": self.trunk,
            "window": self.window,
            "dimension": self.dimension,
        }

    @property
    def id(self) -> EncoderId:
        """What its templates call it."""
        return EncoderId(name=self.name, version=self.version, sha256=self.sha256)
