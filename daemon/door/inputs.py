"""What the door's policy is told: what was heard, seen, ordered, and what time it is.

Each is a message from another part of Porter. `taken` is when the last picture of a match was
taken, on the same monotonic clock that the policy's `now` comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.door.events import Evidence, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """Porter starts; nobody knows what the lock did before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Porter is about to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Nothing but the time; due at :func:`daemon.door.policy.deadline`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesChanged:
    """Other settings are in force from now on; what was half done by the former ones is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeHeard:
    """A wake word was heard."""

    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Somebody says who they are: a badge, or `porter claim`."""

    person: str
    """Name in the gallery, or what was claimed if it belongs to nobody."""
    known: bool
    """Whether there is such a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """Enough good pictures of a track agree on one person.

    To be given again with each further picture that agrees: an arming, or the end of a cooldown,
    takes effect with the next one.
    """

    person: str
    evidence: Evidence
    taken: float
    refusal: str | None = None
    """Why the person may not come in now, in words for people; None: they may."""
    challenge: tuple[Turn, ...] = ()
    """A challenge drawn at random for this track, in case the policy asks for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengePassed:
    """The tracked face followed all steps, and is still the same person."""

    person: str
    evidence: Evidence
    """Of the pictures taken meanwhile."""
    taken: float
    refusal: str | None = None
    """Why the person may not come in by now, in words for people; None: they may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeFailed:
    """The tracked face did something else than it was asked to."""

    track: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Enough good pictures of a track agree that it is nobody in the gallery."""

    track: int
    message: str
    """The figures, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """Two people are about as near to a tracked face."""

    track: int
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLive:
    """A tracked face is a picture of one."""

    track: int
    message: str
    """The figures, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackLost:
    """A tracked face is gone; its number never comes back."""

    track: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualUnlock:
    """A person orders the door open."""

    seconds: float
    reason: str
    by: str
    """Who, for the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualLock:
    """A person orders the door shut."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActuatorFailed:
    """What works the lock did not do what it was told."""

    reason: str


Input = (
    Starting
    | Stopping
    | Tick
    | RulesChanged
    | WakeHeard
    | Claimed
    | Recognized
    | ChallengePassed
    | ChallengeFailed
    | Unknown
    | Unsure
    | NotLive
    | TrackLost
    | ManualUnlock
    | ManualLock
    | ActuatorFailed
)
