"""What the gallery holds, as messages: people, templates, probes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from daemon.errors import PersonError
from daemon.people.schedule import Schedule
from daemon.vision.cards import EncoderCard
from daemon.vision.events import Quality

Vector = npt.NDArray[np.float32]
Role = Literal["own", "decoy"]

LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class EncoderId:
    """The encoder that made a vector; vectors of different ones are never compared."""

    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, card: EncoderCard) -> EncoderId:
        """Of the encoder with this card."""
        return cls(card.name, card.version, card.sha256)

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.sha256[:12]})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """One embedded face of a person, or one that was taken for them and is not (a decoy)."""

    vector: Vector
    """(dimension,) of length 1."""
    encoder: EncoderId
    source: str
    """Where it came from: the name of a picture, the camera, or an event."""
    role: Role = "own"
    quality: Quality | None = None
    picture: bytes | None = None
    """PNG of the part of the picture around the face, if pictures are kept."""
    created: str = ""
    """RFC 3339; empty until it is stored."""
    id: str = ""
    """Empty until it is stored."""
    person: str = ""
    """Name; empty until it is stored."""

    def fits(self, card: EncoderCard) -> bool:
        """Whether it is as long as the encoder of a card makes them, or by another encoder."""
        return self.encoder.sha256 != card.sha256 or len(self.vector) == card.dimension


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the gallery."""

    name: str
    created: str
    schedule: Schedule
    templates: int
    """Of the encoder that was asked for, or of all."""
    stale: int
    """Templates of other encoders, which are never compared."""
    decoys: int
    pictures: int
    """Templates and decoys whose pictures were kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A face that was recognised, kept for a while in case it was a mistake."""

    event: str
    person: str
    encoder: EncoderId
    vector: Vector
    taken: float
    """Seconds, as of :func:`time.time`."""


def clean_name(name: str) -> str:
    """A name as it is kept: composed letters (NFC), single spaces.

    Raises:
        PersonError: it can be no name: empty, too long, or with control characters.
    """
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise PersonError(
            f"{clean[:20]!r} cannot be a name: it needs 1 to {LONGEST_NAME} printable characters"
        )
    return clean


def name_key(name: str) -> str:
    """What two spellings of the same name have in common."""
    return unicodedata.normalize("NFC", name.casefold())
