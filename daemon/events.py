"""The events that Porter emits: CloudEvents 1.0, each with typed data.

An event is a fact with a time. The catalogue below is the one definition: the classes are what the
daemon fills in, what `porter events` lists and what the JSON Schema is made from.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, ClassVar, Literal, get_args

from daemon.door.events import (
    DoorArmed,
    DoorChallenge,
    DoorDenied,
    DoorLocked,
    DoorLockout,
    DoorUnlocked,
)
from daemon.vision.events import (
    CameraBlind,
    CameraLost,
    CameraRestored,
    FaceRecognized,
    FaceRejected,
    FaceSeen,
    FaceUnknown,
    FaceUnsure,
    LightChanged,
    ObjectSeen,
)

_run = os.urandom(8).hex()
_numbers = count(1)


def rfc3339(seconds: float) -> str:
    """A wall time, as of :func:`time.time`, as text: UTC, microseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model in use."""

    name: str
    """Name in the model's card."""
    version: str
    """Version in the model's card."""
    sha256: str
    """First 12 digits of the SHA-256 of the ONNX file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Porter has loaded its models, opened its sources, and listens and looks."""

    type: ClassVar[str] = "porter.started"

    version: str
    """Version of Porter."""
    audio: str | None
    """The device, file or pipe, its rate and channels; null when audio is switched off."""
    camera: str | None
    """The device, stream, file or folder; null when the camera is switched off."""
    door: str
    """What opens the door, and what works its lock, such as `wake+face, dry-run`."""
    people: int | None
    """People in the gallery; null when the camera is switched off."""
    words: list[str]
    """The wake words that are listened for."""
    models: list[Model]
    """The models in use: name, version and the start of the SHA-256."""
    provider: str
    """Execution provider of ONNX Runtime that runs the models."""
    startup_ms: float
    """Time from the start of the process, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeDetected:
    """A wake word was heard."""

    type: ClassVar[str] = "porter.wake.detected"

    word: str
    """The word, as its model's card or its enrolment names it."""
    enrolled: bool
    """Whether the word was enrolled from recordings; false for a trained one."""
    model: Model
    """The model that heard it: name, version and the start of the SHA-256."""
    probability: float
    """Highest probability among the steps that decided, from 0 to 1; for an enrolled word its
    score."""
    threshold: float
    """What the smoothed probability had to reach."""
    second_look: float | None
    """Probability that the verifier gave; null without a verifier."""
    onset: float
    """Estimated start of the word, in seconds from the start of the stream."""
    end: float
    """Estimated end of the word, in seconds from the start of the stream."""
    onset_time: str
    """The same as a wall time (RFC 3339)."""
    end_time: str
    """The same as a wall time (RFC 3339)."""
    latency_ms: float | None
    """From the estimated end of the word to this event; null when a file is read fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLost:
    """The source stopped delivering; Porter tries to get it back, unless it is a closed pipe."""

    type: ClassVar[str] = "porter.audio.lost"

    reason: str
    """What happened, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRestored:
    """The source delivers again."""

    type: ClassVar[str] = "porter.audio.restored"

    seconds_lost: float
    """From the loss to now."""
    audio: str
    """The device, file or pipe, its rate and channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Porter has stopped listening; the last event of a run."""

    type: ClassVar[str] = "porter.stopped"

    reason: Literal["end of input", "signal", "error"]
    """Why: the files or the pipe ended, SIGTERM or SIGINT came, or something failed."""
    message: str | None
    """The error or the name of the signal."""
    audio_seconds: float
    """Sound that was heard, in seconds."""
    pictures: int
    """Pictures that were looked at."""
    overflows: int
    """Times that sound was lost because the machine was too busy."""
    detections: dict[str, int]
    """How often each word was heard."""
    unlocks: int
    """How often the door was unlocked."""
    cpu_seconds: float
    """Processor time of the whole process."""
    wall_seconds: float
    """Time since the start of the process."""
    peak_memory_mb: float
    """Largest resident memory, in megabytes of 1,000,000 bytes."""


Data = (
    Started
    | WakeDetected
    | AudioLost
    | AudioRestored
    | CameraLost
    | CameraRestored
    | CameraBlind
    | LightChanged
    | ObjectSeen
    | FaceSeen
    | FaceRecognized
    | FaceUnknown
    | FaceUnsure
    | FaceRejected
    | DoorArmed
    | DoorChallenge
    | DoorUnlocked
    | DoorLocked
    | DoorDenied
    | DoorLockout
    | Stopped
)

CATALOGUE: tuple[type[Data], ...] = get_args(Data)


def _identity() -> str:
    return f"{_run}-{next(_numbers)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The envelope."""

    source: str
    """Who says so: `porter/HOST/` and what of Porter, see :func:`event_source`."""
    data: Data
    time: str
    """When (RFC 3339, UTC, microseconds)."""
    id: str = field(default_factory=_identity)
    """Unique among the events of a source."""

    @property
    def type(self) -> str:
        """Name of the event in the catalogue."""
        return self.data.type

    def to_json(self) -> str:
        """The wire form, one line without the newline, that is UTF-8 whatever a file is called.

        Raises:
            ValueError: a number is not finite.
        """
        envelope: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time,
            "datacontenttype": "application/json",
            "data": asdict(self.data),
        }
        line = json.dumps(envelope, ensure_ascii=False, allow_nan=False)
        # Python keeps bytes of a name that are not UTF-8 as lone surrogates; JSON can escape them.
        return line.encode(errors="backslashreplace").decode()


def event_source(pipeline: str) -> str:
    """The `source` attribute, a URI reference: host and which part of Porter says so.

    Args:
        pipeline: `microphone`, `file`, `pipe`, `camera`, `door` or `daemon`.
    """
    from urllib.parse import quote

    return f"porter/{quote(socket.gethostname() or 'localhost', safe='')}/{pipeline}"


def choices(field: dict[str, Any]) -> list[str]:
    """The values that a field of the schema may have, where only certain ones are possible."""
    parts = (field, field.get("items", {}), *field.get("anyOf", ()))
    return [value for part in parts for value in part.get("enum", ())]


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of every event; it allows fields that a later Porter may add."""
    from pydantic import ConfigDict, TypeAdapter, with_config

    documented = ConfigDict(use_attribute_docstrings=True)

    definitions: dict[str, Any] = {}
    events = []
    for kind in CATALOGUE:
        data = TypeAdapter(with_config(documented)(kind)).json_schema(
            ref_template="#/$defs/{model}"
        )
        definitions |= data.pop("$defs", {})
        definitions[kind.__name__] = data
        events.append(
            {
                "title": kind.type,
                "description": kind.__doc__,
                "type": "object",
                "properties": _envelope(kind),
                "required": ["specversion", "id", "source", "type", "time", "data"],
            }
        )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Porter events",
        "description": "CloudEvents 1.0 in their JSON form, one a line.",
        "oneOf": events,
        "$defs": definitions,
    }


def _envelope(kind: type[Data]) -> dict[str, Any]:
    return {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "format": "uri-reference", "minLength": 1},
        "type": {"const": kind.type},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": {"$ref": f"#/$defs/{kind.__name__}"},
    }
