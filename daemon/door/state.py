"""What the door's policy remembers: the phase it is in, and who failed or came in lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from daemon.door.events import Turn

Transition = Literal[
    "started",
    "armed",
    "disarmed",
    "challenged",
    "challenge failed",
    "opened",
    "pulse over",
    "locked out",
    "lockout over",
    "held",
    "hold over",
    "ordered shut",
    "actuator failed",
    "clock went back",
    "stopped",
    "denied",
    "ignored",
]
"""What a step did; docs/door.md draws them. `denied` and `ignored` leave the phase as it is."""

Armer = Literal["wake", "claim"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The door is shut. With mode `face` it waits for a face, else for what arms it."""

    name: ClassVar[str] = "locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """A wake word or a claim came; the door waits for a face."""

    name: ClassVar[str] = "armed"

    by: Armer
    claimed: str | None
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenged:
    """A person was recognised and now has to turn the head as asked."""

    name: ClassVar[str] = "challenge"

    track: int
    person: str
    claimed: str | None
    """Whose claim it was that armed the door; 1:1 goes on with them."""
    steps: tuple[Turn, ...]
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """The door is open for one pulse."""

    name: ClassVar[str] = "unlocked"

    person: str
    since: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The door is open by a manual order, for a stated time."""

    name: ClassVar[str] = "held"

    since: float
    """When the door opened; by this or by the pulse that the order came into."""
    until: float
    lockout: float | None
    """End of the lockout during which the order came; it goes on afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOut:
    """Too many failures: shut for everything but manual orders."""

    name: ClassVar[str] = "lockout"

    until: float


Phase = Locked | Armed | Challenged | Unlocked | Held | LockedOut


class Passage(NamedTuple):
    """A transition and the names of the phases that it led from and to."""

    name: Transition
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the policy knows. Times are seconds of the clock that `now` comes from."""

    phase: Phase = Locked()
    now: float = float("-inf")
    """Time of the last step."""
    failures: tuple[float, ...] = ()
    """When the failures happened that still count towards a lockout."""
    counted: tuple[int, ...] = ()
    """Tracks with a failure since the last arming: one each is enough."""
    barred: tuple[int, ...] = ()
    """Tracks that failed a challenge: no second one until the face has left."""
    told: tuple[tuple[int, str], ...] = ()
    """Tracks and the reasons that were given for not opening to them: once each is enough."""
    opened: tuple[tuple[str, float], ...] = ()
    """Who came in, and when, as long as the cooldown lasts."""
    via: tuple[Passage, ...] = ()
    """What the last step did."""
