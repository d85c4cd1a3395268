"""What a person can set about the camera and about faces."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from daemon.fields import Backoff, FilePath, ModelName
from daemon.validation import Settings, Text, problem


class MotionConfig(Settings):
    """When there is nothing to look at."""

    enabled: bool = True
    threshold: float = Field(default=0.004, gt=0, lt=1)
    """Share of the picture that must change for the networks to run."""
    hold_seconds: float = Field(default=2.0, ge=0, le=60)
    """How long they go on after the last change."""


def _splits(url: str) -> str:
    try:
        urlsplit(url)
    except ValueError:  # its message may show a password
        raise problem("not an address; right are rtsp://host/path, http://[fe80::1]/path") from None
    return url


class CameraConfig(Settings):
    """Where pictures come from, and what counts as losing them."""

    enabled: bool = False
    source: Literal["device", "stream", "file", "folder"] = "device"
    device: Annotated[int, Field(ge=0)] | Text = 0
    """V4L2 device: its number or path, such as /dev/v4l/by-id/..."""
    url: Annotated[Text, AfterValidator(_splits)] | None = None
    path: FilePath | None = None
    pace: Literal["realtime", "fast"] = "realtime"
    fps: float = Field(default=10.0, ge=1, le=60)
    """Pictures looked at in a second, at most."""
    width: int = Field(default=640, ge=160, le=4096)
    height: int = Field(default=480, ge=120, le=4096)
    rotate: Literal[0, 90, 180, 270] = 0
    """Clockwise, for a camera that hangs on its side."""
    stall_seconds: float = Field(default=2.0, ge=0.2, le=60)
    blind_seconds: float = Field(default=5.0, ge=0.5, le=600)
    """After this long of black or identical pictures the camera counts as blind."""
    reopen_backoff: Backoff = Backoff()
    motion: MotionConfig = MotionConfig()

    @model_validator(mode="after")
    def _fits_source(self) -> CameraConfig:
        needs = {"stream": "url", "file": "path", "folder": "path"}.get(self.source)
        if needs and getattr(self, needs) is None:
            raise problem(f"source is {self.source}, so a {needs} is needed: set {needs}", needs)
        for name in ("url", "path"):
            if getattr(self, name) is not None and needs != name:
                raise problem(
                    f"not used with source: {self.source}; change source or remove {name}", name
                )
        return self

    @model_validator(mode="after")
    def _outlasts_a_picture(self) -> CameraConfig:
        if self.stall_seconds * self.fps <= 1:
            raise problem(
                f"must be above the {1 / self.fps:g} s from one picture to the next, since fps is "
                f"{self.fps:g}",
                "stall_seconds",
            )
        return self


class QualityConfig(Settings):
    """What a face must be like to be compared at all; a worse one counts neither for nor against.

    Measured on the aligned face, so that figures mean the same at every distance.
    """

    min_size: float = Field(default=60.0, ge=16, le=1000)
    """Side of the face box, in pixels of the camera's picture."""
    min_sharpness: float = Field(default=0.1, ge=0, le=1)
    """0: a smear, 1: as sharp as the picture allows."""
    min_brightness: float = Field(default=0.08, ge=0, le=1)
    max_brightness: float = Field(default=0.92, ge=0, le=1)
    max_yaw: float = Field(default=40.0, ge=5, le=90)
    """Degrees that a face may be turned to the side."""
    max_pitch: float = Field(default=35.0, ge=5, le=90)
    """Degrees that a face may look up or down."""


class ConsensusConfig(Settings):
    """How many pictures must agree before anything is decided."""

    frames: int = Field(default=3, ge=1, le=50)
    """Good pictures of one tracked face that must name the same person."""
    seconds: float = Field(default=2.0, ge=0.2, le=30)
    """Within this long."""


CHALLENGE_FPS = 5.0
"""Pictures a second that a challenge needs at least: so one may be missed, and the face is not
lost."""


class LivenessConfig(Settings):
    """Telling a person from a picture of one; docs/security.md says what it stops."""

    mode: Literal["off", "passive", "challenge"] = "passive"
    challenge_seconds: float = Field(default=8.0, ge=2, le=60)
    """Time to follow a challenge."""


class FacesConfig(Settings):
    """Finding and recognising faces."""

    detector: ModelName = "facedetect"
    encoder: ModelName = "face"
    fmr: float = Field(default=1e-4, ge=1e-6, le=0.1)
    """False match rate of one comparison: the threshold comes from the encoder's card."""
    margin: float | None = Field(default=None, ge=0, le=10)
    """Two people nearer than this to each other in score are a near-tie: unsure. None: 0.5 with
    scores that are normalised against strangers, 0.05 with distances."""
    decoy_margin: float | None = Field(default=None, ge=0, le=10)
    """A probe must be nearer to a person than to any decoy of theirs by this much. None: as
    margin."""
    quality: QualityConfig = QualityConfig()
    consensus: ConsensusConfig = ConsensusConfig()
    liveness: LivenessConfig = LivenessConfig()
