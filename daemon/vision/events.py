"""What the camera's pipeline has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraLost:
    """The camera stopped delivering; Porter tries to get it back."""

    type: ClassVar[str] = "porter.camera.lost"

    reason: str
    """What happened, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRestored:
    """The camera delivers again."""

    type: ClassVar[str] = "porter.camera.restored"

    seconds_lost: float
    """From the loss to now."""
    camera: str
    """The device, stream, file or folder, and the size of its pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraBlind:
    """The camera delivers, but nothing can be seen: black or frozen pictures."""

    type: ClassVar[str] = "porter.camera.blind"

    reason: Literal["black", "frozen"]
    """Covered or dark, or the same picture again and again."""
    seconds: float
    """For how long already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightChanged:
    """It got day or night in front of the camera, or it was seen for the first time which it is."""

    type: ClassVar[str] = "porter.light.changed"

    light: Literal["day", "night"]
    """What it is now."""
    probability: float
    """Of night, 0 to 1, in the picture that decided."""
    previous: Literal["day", "night"] | None
    """What it was before; null at first."""
    lasted: float | None
    """Seconds for which it was that; null at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSeen:
    """Objects of a class came into view, or more of them; once for as long as they stay."""

    type: ClassVar[str] = "porter.object.seen"

    object: str
    """The class, as the detector's card names it, such as person or dog."""
    count: int
    """How many of the class are in view."""
    box: list[float]
    """Of the surest: x, y, width and height in pixels of the picture."""
    score: float
    """Of the surest, 0 to 1."""
    model: str
    """The detector: name and version."""
    captured: str
    """When the picture was taken (RFC 3339)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What a face in a picture is like."""

    size: float
    """Side of the face box, in pixels of the picture."""
    sharpness: float
    """0: a smear, 1: as sharp as the picture allows."""
    brightness: float
    """Mean of the aligned face, 0 to 1."""
    yaw: float
    """Degrees turned to the side, estimated from the landmarks; positive: to the person's left."""
    pitch: float
    """Degrees up (positive) or down, estimated from the landmarks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSeen:
    """A face came into view; once for each track."""

    type: ClassVar[str] = "porter.face.seen"

    track: int
    """Number of the tracked face; grows for a whole run, across reloads."""
    box: list[float]
    """x, y, width and height in pixels of the picture."""
    score: float
    """Of the detector, 0 to 1."""
    quality: Quality
    """Of the picture in which it was seen."""
    captured: str
    """When the picture was taken (RFC 3339)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRecognized:
    """Enough good pictures of a tracked face agree on one enrolled person."""

    type: ClassVar[str] = "porter.face.recognized"

    track: int
    """Number of the tracked face."""
    person: str
    """Name of the person in the gallery."""
    score: float
    """Of the person: the mean of their two nearest templates' scores, of the last picture; lower is
    nearer."""
    distance: float
    """Squared Euclidean distance to the nearest template, of the last picture."""
    threshold: float
    """What the score had to be below."""
    fmr: float
    """False match rate for which the threshold was chosen."""
    runner_up: float | None
    """Score of the nearest other person; null when there is nobody else."""
    frames: int
    """Good pictures that agreed."""
    first: str
    """When the first of them was taken (RFC 3339)."""
    last: str
    """When the last of them was taken (RFC 3339)."""
    liveness: str
    """off, passive or challenge: what was asked of the face, and it passed."""
    model: str
    """The encoder: name and version."""
    latency_ms: float | None
    """From the first good picture to this event; null when a file is read fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceUnknown:
    """Enough good pictures of a tracked face agree that it is nobody in the gallery."""

    type: ClassVar[str] = "porter.face.unknown"

    track: int
    """Number of the tracked face."""
    score: float | None
    """Best score of anyone, of the last picture; null when the gallery is empty."""
    threshold: float
    """What the score had to be below."""
    frames: int
    """Good pictures that agreed."""
    first: str
    """When the first of them was taken (RFC 3339)."""
    last: str
    """When the last of them was taken (RFC 3339)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceUnsure:
    """Two people are about as near, or a decoy is: no decision is taken."""

    type: ClassVar[str] = "porter.face.unsure"

    track: int
    """Number of the tracked face."""
    people: list[str]
    """Who it could be, nearest first."""
    scores: list[float]
    """Their scores."""
    reason: Literal["near-tie", "decoy"]
    """Why it is not decided."""
    frames: int
    """Good pictures that agreed on being unsure."""
    last: str
    """When the last of them was taken (RFC 3339)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRejected:
    """A tracked face cannot be compared, or is not alive; once for each track and reason."""

    type: ClassVar[str] = "porter.face.rejected"

    track: int
    """Number of the tracked face."""
    reason: Literal["small", "blurred", "dark", "bright", "turned", "cut", "flat"]
    """Small to cut: quality; flat: a picture of a face."""
    message: str
    """For people: what was measured, what it had to be."""
    quality: Quality
    """Of the picture."""
    captured: str
    """When the picture was taken (RFC 3339)."""
