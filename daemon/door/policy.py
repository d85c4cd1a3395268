"""When the door opens: a pure function, without a clock and without input or output.

`step(state, given, now, rules)` says which state follows and what is to be done. It opens for a
fresh and sufficient reason only, never for longer than its limit, and every way out of it leads
back to a shut door. docs/door.md draws the transitions that :data:`daemon.door.state.Transition`
names.

What counts as a failure: an unknown face, another person than the one claimed, a face that is not
alive, a failed challenge, once for each track and arming; and a claim of somebody who does not
exist. Being unsure, outside one's hours, or back too soon does not. Failures count only while a
face could have opened the door.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar, assert_never, cast

from daemon.door.events import (
    Cause,
    Denial,
    DoorArmed,
    DoorChallenge,
    DoorDenied,
    DoorEvent,
    DoorLocked,
    DoorLockout,
    DoorUnlocked,
    Evidence,
)
from daemon.door.inputs import (
    ActuatorFailed,
    ChallengeFailed,
    ChallengePassed,
    Claimed,
    Input,
    ManualLock,
    ManualUnlock,
    NotLive,
    Recognized,
    Starting,
    Stopping,
    Tick,
    TrackLost,
    Unknown,
    Unsure,
    WakeHeard,
)
from daemon.door.settings import DoorConfig
from daemon.door.state import (
    Armed,
    Armer,
    Challenged,
    Held,
    Locked,
    LockedOut,
    Passage,
    Phase,
    State,
    Transition,
    Unlocked,
)
from daemon.vision.settings import LivenessConfig

T = TypeVar("T")

FRESH_SECONDS = 2.0
"""A match whose last picture is older than this opens nothing."""
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


def step(state: State, given: Input, now: float, rules: Rules) -> tuple[State, tuple[Action, ...]]:
    """What follows from `given` at the time `now`.

    Time alone has its effect first, so a late input meets the state as it is by then. A clock that
    went back ends whatever was open, since nothing else bounds how long it would stay so.
    """
    move = _Move(state, now, rules)
    if now >= state.now:
        move.let_time_pass()
    else:
        move.go_back()
    move.take(given)
    return replace(move.state, now=now, via=tuple(move.via)), tuple(move.actions)


def deadline(state: State) -> float | None:
    """When the next :class:`Tick` is due; None: nothing waits for the time."""
    return None if isinstance(state.phase, Locked) else state.phase.until


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom a step is about, as far as that is known."""

    track: int | None = None
    person: str | None = None
    evidence: Evidence | None = None


def _subject(seen: Recognized | ChallengePassed) -> _Subject:
    return _Subject(seen.evidence.track, seen.person, seen.evidence)


class _Move:
    """One step in the making."""

    def __init__(self, state: State, now: float, rules: Rules) -> None:
        self.state = state
        self.actions: list[Action] = []
        self.via: list[Passage] = []
        self._now = now
        self._door = rules.door
        self._liveness = rules.liveness

    def let_time_pass(self) -> None:
        """Drop what is too old to matter, and leave a phase whose time is over."""
        now, phase = self._now, self.state.phase
        window, cooldown = self._door.lockout.window_seconds, self._door.cooldown_seconds
        self.state = replace(
            self.state,
            failures=tuple(then for then in self.state.failures if now - then < window),
            opened=tuple(each for each in self.state.opened if now - each[1] < cooldown),
        )
        if isinstance(phase, Locked) or now < phase.until:
            return
        match phase:
            case Armed(claimed=claimed):
                self._go("disarmed", Locked())
                message = f"no face that could open within {self._door.arm_seconds:g} s"
                self._say_denied("nobody came", message, _Subject(person=claimed))
            case Challenged():
                self._fail_challenge(f"not done in {self._liveness.challenge_seconds:g} s")
            case Unlocked():
                self._shut("pulse over", DoorLocked(reason="pulse over", message=None))
            case Held():
                self._shut("hold over", DoorLocked(reason="pulse over", message=None))
            case LockedOut():
                self._go("lockout over", Locked())

    def go_back(self) -> None:
        """Times that were noted mean nothing any more: end what is open, begin a lockout anew."""
        phase, lockout = self.state.phase, self._now + self._door.lockout.seconds
        self.state = replace(
            self.state,
            failures=tuple(self._now for _ in self.state.failures),
            opened=tuple((person, self._now) for person, _ in self.state.opened),
        )
        match phase:
            case Unlocked() | Held():
                if isinstance(phase, Held) and phase.lockout is not None:
                    self.state = replace(self.state, phase=replace(phase, lockout=lockout))
                said = DoorLocked(reason="pulse over", message="the clock went back")
                self._shut("clock went back", said)
            case Armed() | Challenged():
                self._go("clock went back", Locked())
            case LockedOut():
                self._go("clock went back", LockedOut(until=lockout))

    def take(self, given: Input) -> None:
        """Let an input have its effect."""
        match given:
            case Tick():
                self._stay("ignored")
            case WakeHeard():
                self._wake_heard()
            case Claimed():
                self._claimed(given)
            case Recognized():
                self._recognized(given)
            case ChallengePassed():
                self._challenge_passed(given)
            case ChallengeFailed(track=track, reason=reason):
                if not self._break_challenge(track, reason):
                    self._stay("ignored")
            case Unknown(track=track, message=message):
                if not self._break_challenge(track, f"the face became another: {message}"):
                    self._fail_face("unknown", message, track)
            case NotLive(track=track, message=message):
                if not self._break_challenge(track, f"not alive: {message}"):
                    self._fail_face("not live", message, track)
            case Unsure(track=track, people=people):
                if self._awaits_face():
                    self._deny("unsure", "could be " + " or ".join(people), _Subject(track))
                else:
                    self._stay("ignored")
            case TrackLost(track=track):
                self._track_lost(track)
            case ManualUnlock():
                self._hold(given)
            case ManualLock(by=by):
                self._shut("ordered shut", DoorLocked(reason="manual", message=f"by {by}"))
            case ActuatorFailed(reason=reason):
                self._actuator_failed(reason)
            case Starting():
                self._shut("started", DoorLocked(reason="started", message=None))
            case Stopping():
                self._shut("stopped", DoorLocked(reason="stopping", message=None))
            case _:
                assert_never(given)

    def _wake_heard(self) -> None:
        waits = isinstance(self.state.phase, Locked | Armed)
        if self._door.mode == "wake+face" and waits:
            self._arm("wake", None)
        else:
            self._stay("ignored")

    def _claimed(self, claim: Claimed) -> None:
        phase, person = self.state.phase, _Subject(person=claim.person)
        if self._door.mode != "id+face":
            self._stay("ignored")
        elif isinstance(phase, LockedOut):
            self._deny("lockout", self._left(phase), person)
        elif not isinstance(phase, Locked | Armed):
            self._stay("ignored")
        elif not claim.known:
            self._count("no such person", f"nobody is known as {claim.person}", person)
        else:
            self._arm("claim", claim.person)

    def _arm(self, by: Armer, claimed: str | None) -> None:
        """A new attempt: every face in view may try, and may fail, once more."""
        seconds = self._door.arm_seconds
        self.state = replace(self.state, counted=(), told=())
        self._go("armed", Armed(by=by, claimed=claimed, until=self._now + seconds))
        self.actions.append(DoorArmed(by=by, claimed=claimed, seconds=seconds))

    def _awaits_face(self) -> bool:
        """Whether a match could open the door, as far as mode and phase go."""
        match self.state.phase, self._door.mode:
            case (Locked() | Armed(), "face"):
                return True
            case (Armed(by="wake"), "wake+face") | (Armed(by="claim"), "id+face"):
                return True
        return False

    def _recognized(self, seen: Recognized) -> None:
        who, phase = _subject(seen), self.state.phase
        match phase:
            case _ if self._door.mode == "wake":
                self._stay("ignored")
            case Unlocked() | Held():
                self._stay("ignored")
            case LockedOut():
                self._deny("lockout", self._left(phase), who)
            case Challenged(track=track, person=person):
                if who.track == track and who.person != person:
                    self._fail_challenge(f"the face became that of {who.person}")
                else:
                    self._stay("ignored")
            case Locked() | Armed() if not self._awaits_face():
                missing = "the wake word" if self._door.mode == "wake+face" else "a claim"
                self._deny("not armed", f"{who.person} is there; {missing} is missing", who)
            case Armed(claimed=str() as claimed) if claimed != who.person:
                self._count("wrong person", f"claimed: {claimed}, there: {who.person}", who)
            case _:
                self._weigh(seen)

    def _weigh(self, seen: Recognized) -> None:
        """Only the match itself can still speak against opening."""
        who, proof = _subject(seen), seen.evidence
        wait = self._cooldown(seen.person)
        if proof.track in self.state.barred:
            message = "this face failed its challenge; it has to leave and come again"
            self._deny("challenge failed", message, who)
        elif reason := self._stale(seen.taken):
            self._deny("stale", reason, who)
        elif reason := _insufficient(proof):
            self._deny("unsure", reason, who)
        elif self._liveness.mode == "passive" and proof.liveness == "off":
            self._count("not live", "nothing has looked whether the face is alive", who)
        elif seen.refusal is not None:
            self._deny("schedule", seen.refusal, who)
        elif wait > 0:
            self._deny("cooldown", f"opened for {seen.person} lately; {wait:.1f} s to wait", who)
        elif self._liveness.mode != "challenge":
            self._open(seen.person, proof)
        elif not seen.challenge:
            self._deny("challenge failed", "no challenge was drawn", who)
        else:
            self._challenge(seen)

    def _stale(self, taken: float) -> str | None:
        age = self._now - taken
        if 0 <= age <= FRESH_SECONDS:
            return None
        return f"the last picture is {age:.1f} s old, at most {FRESH_SECONDS:g} s are allowed"

    def _cooldown(self, person: str) -> float:
        """Seconds until the door may open for `person` again."""
        times = [then for name, then in self.state.opened if name == person]
        return max(times, default=float("-inf")) + self._door.cooldown_seconds - self._now

    def _challenge(self, seen: Recognized) -> None:
        track, person, steps = seen.evidence.track, seen.person, seen.challenge
        seconds = self._liveness.challenge_seconds
        until = self._now + seconds
        self._go("challenged", Challenged(track=track, person=person, steps=steps, until=until))
        self.actions.append(
            DoorChallenge(track=track, person=person, steps=list(steps), seconds=seconds)
        )

    def _challenge_passed(self, passed: ChallengePassed) -> None:
        phase, proof = self.state.phase, passed.evidence
        if not isinstance(phase, Challenged) or proof.track != phase.track:
            self._stay("ignored")
        elif passed.person != phase.person:
            self._fail_challenge(f"the face became that of {passed.person}")
        elif reason := self._stale(passed.taken) or _insufficient(proof):
            self._fail_challenge(reason)
        else:
            self._open(phase.person, replace(proof, liveness="challenge"))

    def _break_challenge(self, track: int, reason: str) -> bool:
        """Fail the challenge of this track, if it has one."""
        if isinstance(self.state.phase, Challenged) and self.state.phase.track == track:
            self._fail_challenge(reason)
            return True
        return False

    def _fail_challenge(self, message: str) -> None:
        phase = self.state.phase
        assert isinstance(phase, Challenged)
        who, told = _Subject(phase.track, phase.person), (phase.track, "challenge failed")
        self.state = replace(
            self.state,
            barred=_noted(self.state.barred, phase.track),
            told=tuple(each for each in self.state.told if each != told),
        )
        self._go("challenge failed", Locked())
        self._count("challenge failed", message, who)

    def _fail_face(self, reason: Denial, message: str, track: int) -> None:
        if self._awaits_face():
            self._count(reason, message, _Subject(track))
        else:
            self._stay("ignored")

    def _track_lost(self, track: int) -> None:
        if not self._break_challenge(track, "the face left"):
            self._stay("ignored")
        self.state = replace(
            self.state,
            counted=tuple(each for each in self.state.counted if each != track),
            barred=tuple(each for each in self.state.barred if each != track),
            told=tuple(each for each in self.state.told if each[0] != track),
        )

    def _open(self, person: str, proof: Evidence) -> None:
        seconds = self._door.unlock_seconds
        until = self._now + seconds
        self.state = replace(self.state, opened=(*self.state.opened, (person, self._now)))
        self._go("opened", Unlocked(person=person, since=self._now, until=until))
        self.actions += [
            Unlock(seconds=seconds),
            DoorUnlocked(
                cause=cast(Cause, self._door.mode),
                person=person,
                seconds=seconds,
                reason=f"{person} was recognised",
                evidence=proof,
                actuator=self._door.actuator,
            ),
        ]

    def _hold(self, order: ManualUnlock) -> None:
        """A further order may shorten what is left, or extend it up to the limit in all."""
        phase = self.state.phase
        since = phase.since if isinstance(phase, Unlocked | Held) else self._now
        limit = since + self._door.max_unlock_seconds
        until = min(limit, self._now + order.seconds)
        if not (order.seconds > 0 and until > self._now):
            self._stay("ignored")
            return
        lockout = phase.until if isinstance(phase, LockedOut) else None
        if isinstance(phase, Held):
            lockout = phase.lockout
        seconds = until - self._now
        self._go("held", Held(since=since, until=until, lockout=lockout))
        self.actions += [
            Unlock(seconds=seconds),
            DoorUnlocked(
                cause="manual",
                person=None,
                seconds=seconds,
                reason=f"{order.reason} (by {order.by})",
                evidence=None,
                actuator=self._door.actuator,
            ),
        ]

    def _actuator_failed(self, reason: str) -> None:
        """Shut, if the door should be open; if it should be shut, the actuator goes on trying."""
        phase = self.state.phase
        said = DoorLocked(reason="actuator failed", message=reason)
        if isinstance(phase, Unlocked | Held):
            person = phase.person if isinstance(phase, Unlocked) else None
            self._say_denied("actuator failed", reason, _Subject(person=person))
            self._shut("actuator failed", said)
        else:
            self._stay("actuator failed")
            self.actions.append(said)

    def _shut(self, name: Transition, said: DoorLocked) -> None:
        phase = self.state.phase
        lockout = phase.until if isinstance(phase, LockedOut) else None
        if isinstance(phase, Held):
            lockout = phase.lockout
        goes_on = lockout is not None and self._now < lockout
        self._go(name, LockedOut(until=lockout) if lockout is not None and goes_on else Locked())
        self.actions += [Lock(), said]

    def _count(self, reason: Denial, message: str, who: _Subject) -> None:
        """Deny, and count it as a failure unless this track has one already."""
        if who.track is not None:
            if who.track in self.state.counted:
                self._deny(reason, message, who)
                return
            self.state = replace(self.state, counted=_noted(self.state.counted, who.track))
        self.state = replace(self.state, failures=(*self.state.failures, self._now))
        self._deny(reason, message, who)
        failures, lockout = len(self.state.failures), self._door.lockout
        if failures >= lockout.failures:
            self.state = replace(self.state, failures=(), counted=(), told=())
            self._go("locked out", LockedOut(until=self._now + lockout.seconds))
            self.actions.append(
                DoorLockout(
                    failures=failures,
                    window_seconds=lockout.window_seconds,
                    seconds=lockout.seconds,
                )
            )

    def _deny(self, reason: Denial, message: str, who: _Subject) -> None:
        """Say why the door stays shut, once for each track and reason."""
        if who.track is not None:
            told = (who.track, reason)
            if told in self.state.told:
                self._stay("ignored")
                return
            self.state = replace(self.state, told=_noted(self.state.told, told))
        self._stay("denied")
        self._say_denied(reason, message, who)

    def _say_denied(self, reason: Denial, message: str, who: _Subject) -> None:
        self.actions.append(
            DoorDenied(
                reason=reason,
                message=message,
                person=who.person,
                evidence=who.evidence,
                failures=len(self.state.failures),
            )
        )

    def _left(self, phase: LockedOut) -> str:
        return f"too many failures; {phase.until - self._now:.0f} s of lockout left"

    def _go(self, name: Transition, phase: Phase) -> None:
        self.via.append(Passage(name, self.state.phase.name, phase.name))
        self.state = replace(self.state, phase=phase)

    def _stay(self, name: Transition) -> None:
        self._go(name, self.state.phase)


def _insufficient(proof: Evidence) -> str | None:
    """What is wrong with a match that claims to be one; figures that are not numbers are, too."""
    if proof.score < proof.threshold and proof.frames >= 1:
        return None
    return f"score {proof.score:g} is not below {proof.threshold:g}, in {proof.frames} pictures"


def _noted(notes: tuple[T, ...], note: T) -> tuple[T, ...]:
    return (*notes, note)[-MOST_TRACKS:] if note not in notes else notes
