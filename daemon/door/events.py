"""What the door has to say: every decision, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Cause = Literal["face", "wake+face", "id+face", "manual"]
Turn = Literal["left", "right"]
Denial = Literal[
    "unknown",
    "unsure",
    "not live",
    "challenge failed",
    "wrong person",
    "nobody came",
    "not armed",
    "stale",
    "schedule",
    "cooldown",
    "lockout",
    "no such person",
    "actuator failed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The match that a decision rests on."""

    track: int
    """Number of the tracked face."""
    score: float
    """Of the person: the mean of their two nearest templates' scores; lower is nearer."""
    distance: float
    """Squared Euclidean distance to the nearest template."""
    threshold: float
    """What the score had to be below."""
    frames: int
    """Good pictures that agreed."""
    first: str
    """When the first of them was taken (RFC 3339)."""
    last: str
    """When the last of them was taken (RFC 3339)."""
    liveness: str
    """off, passive or challenge: what the face passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorArmed:
    """A wake word or a claim was accepted: the door now waits for a face."""

    type: ClassVar[str] = "porter.door.armed"

    by: Literal["wake", "claim"]
    """What armed it."""
    claimed: str | None
    """Name of the person who is claimed to be there; null for a wake word."""
    seconds: float
    """How long it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorChallenge:
    """The person in front of the camera shall turn the head, to show that they are one."""

    type: ClassVar[str] = "porter.door.challenge"

    track: int
    """Number of the tracked face."""
    person: str
    """Who was recognised."""
    steps: list[Turn]
    """Where to turn, in this order, as the person sees it."""
    seconds: float
    """Time to do it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorUnlocked:
    """The door was told to unlock."""

    type: ClassVar[str] = "porter.door.unlocked"

    cause: Cause
    """What opened it."""
    person: str | None
    """Who was recognised; null for a manual order."""
    seconds: float
    """Length of the pulse, after which it locks again whatever happens."""
    reason: str
    """For people; of a manual order: what was given with it, and by whom."""
    evidence: Evidence | None
    """The match; null for a manual order."""
    actuator: str
    """What worked the lock: dry-run, command or gpio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLocked:
    """The door was told to lock."""

    type: ClassVar[str] = "porter.door.locked"

    reason: Literal["pulse over", "manual", "started", "stopping", "actuator failed"]
    """Why."""
    message: str | None
    """For people: who ordered it, or what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorDenied:
    """Somebody was there, and the door stays shut."""

    type: ClassVar[str] = "porter.door.denied"

    reason: Denial
    """Why; stale: the pictures are too old to decide on."""
    message: str
    """For people: the same with its figures."""
    person: str | None
    """Who was recognised or claimed; null when nobody was."""
    evidence: Evidence | None
    """The match, where there is one."""
    failures: int
    """Failures that count towards a lockout so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLockout:
    """Too many failures: the door now ignores everything but manual orders."""

    type: ClassVar[str] = "porter.door.lockout"

    failures: int
    """How many there were."""
    window_seconds: float
    """In this time."""
    seconds: float
    """How long it lasts."""


DoorEvent = DoorArmed | DoorChallenge | DoorUnlocked | DoorLocked | DoorDenied | DoorLockout
