"""A step of the policy in the making: changes of phase, denials and failures, kept in one form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from daemon.door.events import Denial, DoorDenied, DoorEvent, DoorLocked, DoorLockout, Evidence
from daemon.door.settings import DoorConfig
from daemon.door.state import Held, Locked, LockedOut, Passage, Phase, State, Transition
from daemon.vision.settings import LivenessConfig

T = TypeVar("T")

MOST_TRACKS = 256
"""Tracks that are remembered, should nobody say that they are lost."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the policy follows."""

    door: DoorConfig
    liveness: LivenessConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """Open, for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Shut."""


Action = Unlock | Lock | DoorEvent


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a step is about, as far as that is known."""

    track: int | None = None
    person: str | None = None
    evidence: Evidence | None = None


class Move:
    """What a step has come to so far.

    Args:
        state: what was known before.
        now: when it happens.
        rules: the settings.
    """

    def __init__(self, state: State, now: float, rules: Rules) -> None:
        self.state = state
        self.actions: list[Action] = []
        self.via: list[Passage] = []
        self.now = now
        self.door = rules.door
        self.liveness = rules.liveness

    def go(self, name: Transition, phase: Phase) -> None:
        """Change the phase."""
        self.via.append(Passage(name, self.state.phase.name, phase.name))
        self.state = replace(self.state, phase=phase)

    def stay(self, name: Transition) -> None:
        """Leave the phase as it is."""
        self.go(name, self.state.phase)

    def shut(self, name: Transition, said: DoorLocked) -> None:
        """Lock, and say so. A lockout goes on."""
        phase = self.state.phase
        lockout = phase.until if isinstance(phase, LockedOut) else None
        if isinstance(phase, Held):
            lockout = phase.lockout
        goes_on = lockout is not None and self.now < lockout
        self.go(name, LockedOut(until=lockout) if lockout is not None and goes_on else Locked())
        self.actions += [Lock(), said]

    def count(self, reason: Denial, message: str, who: Subject) -> None:
        """Deny, and count it as a failure unless this track has one already."""
        if who.track is not None:
            if who.track in self.state.counted:
                self.deny(reason, message, who)
                return
            self.state = replace(self.state, counted=noted(self.state.counted, who.track))
        self.state = replace(self.state, failures=(*self.state.failures, self.now))
        self.deny(reason, message, who)
        failures, lockout = len(self.state.failures), self.door.lockout
        if failures >= lockout.failures:
            self.state = replace(self.state, failures=(), counted=(), told=())
            self.go("locked out", LockedOut(until=self.now + lockout.seconds))
            self.actions.append(
                DoorLockout(
                    failures=failures,
                    window_seconds=lockout.window_seconds,
                    seconds=lockout.seconds,
                )
            )

    def deny(self, reason: Denial, message: str, who: Subject) -> None:
        """Say why the door stays shut, once for each track and reason."""
        if who.track is not None:
            told = (who.track, reason)
            if told in self.state.told:
                self.stay("ignored")
                return
            self.state = replace(self.state, told=noted(self.state.told, told))
        self.stay("denied")
        self.say_denied(reason, message, who)

    def say_denied(self, reason: Denial, message: str, who: Subject) -> None:
        """Say why the door stays shut."""
        self.actions.append(
            DoorDenied(
                reason=reason,
                message=message,
                person=who.person,
                evidence=who.evidence,
                failures=len(self.state.failures),
            )
        )


def noted(notes: tuple[T, ...], note: T) -> tuple[T, ...]:
    """The notes with one more, and without the oldest if they become too many."""
    return (*notes, note)[-MOST_TRACKS:] if note not in notes else notes
