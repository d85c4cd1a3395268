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

from dataclasses import replace
from typing import assert_never, cast

from daemon.door.events import (
    Cause,
    Denial,
    DoorArmed,
    DoorChallenge,
    DoorLocked,
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
    RulesChanged,
    Starting,
    Stopping,
    Tick,
    TrackLost,
    Unknown,
    Unsure,
    WakeHeard,
)
from daemon.door.move import Action, Lock, Move, Rules, Subject, Unlock, noted
from daemon.door.state import (
    Armed,
    Armer,
    Challenged,
    Held,
    Locked,
    LockedOut,
    State,
    Unlocked,
)

__all__ = ["FRESH_SECONDS", "Action", "Lock", "Rules", "Unlock", "deadline", "step"]

FRESH_SECONDS = 2.0
"""A match whose last picture is older than this opens nothing."""


def step(state: State, given: Input, now: float, rules: Rules) -> tuple[State, tuple[Action, ...]]:
    """What follows from `given` at the time `now`.

    Time alone has its effect first, so a late input meets the state as it is by then. A clock that
    went back ends whatever was open, since nothing else bounds how long it would stay so.
    """
    move = _Step(state, now, rules)
    if now >= state.now:
        move.let_time_pass()
    else:
        move.go_back()
    move.take(given)
    return replace(move.state, now=now, via=tuple(move.via)), tuple(move.actions)


def deadline(state: State) -> float | None:
    """When the next :class:`Tick` is due; None: nothing waits for the time."""
    return None if isinstance(state.phase, Locked) else state.phase.until


def _subject(seen: Recognized | ChallengePassed) -> Subject:
    return Subject(seen.evidence.track, seen.person, seen.evidence)


class _Step(Move):
    """One step in the making."""

    def let_time_pass(self) -> None:
        """Drop what is too old to matter, and leave a phase whose time is over."""
        now, phase = self.now, self.state.phase
        window, cooldown = self.door.lockout.window_seconds, self.door.cooldown_seconds
        self.state = replace(
            self.state,
            failures=tuple(then for then in self.state.failures if now - then < window),
            opened=tuple(each for each in self.state.opened if now - each[1] < cooldown),
        )
        if isinstance(phase, Locked) or now < phase.until:
            return
        match phase:
            case Armed(claimed=claimed):
                self.go("disarmed", Locked())
                message = f"no face that could open within {self.door.arm_seconds:g} s"
                self.say_denied("nobody came", message, Subject(person=claimed))
            case Challenged():
                self._fail_challenge(f"not done in {self.liveness.challenge_seconds:g} s")
            case Unlocked():
                self.shut("pulse over", DoorLocked(reason="pulse over", message=None))
            case Held():
                self.shut("hold over", DoorLocked(reason="pulse over", message=None))
            case LockedOut():
                self.go("lockout over", Locked())

    def go_back(self) -> None:
        """Times that were noted mean nothing any more: end what is open, begin a lockout anew."""
        phase, lockout = self.state.phase, self.now + self.door.lockout.seconds
        self.state = replace(
            self.state,
            failures=tuple(self.now for _ in self.state.failures),
            opened=tuple((person, self.now) for person, _ in self.state.opened),
        )
        match phase:
            case Unlocked() | Held():
                if isinstance(phase, Held) and phase.lockout is not None:
                    self.state = replace(self.state, phase=replace(phase, lockout=lockout))
                said = DoorLocked(reason="pulse over", message="the clock went back")
                self.shut("clock went back", said)
            case Armed() | Challenged():
                self.go("clock went back", Locked())
            case LockedOut():
                self.go("clock went back", LockedOut(until=lockout))

    def take(self, given: Input) -> None:
        """Let an input have its effect."""
        match given:
            case Tick():
                self.stay("ignored")
            case RulesChanged():
                if isinstance(self.state.phase, Armed | Challenged):
                    self.go("disarmed", Locked())
                else:
                    self.stay("ignored")
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
                    self.stay("ignored")
            case Unknown(track=track, message=message):
                if not self._break_challenge(track, f"the face became another: {message}"):
                    self._fail_face("unknown", message, track)
            case NotLive(track=track, message=message):
                if not self._break_challenge(track, f"not alive: {message}"):
                    self._fail_face("not live", message, track)
            case Unsure(track=track, people=people):
                if self._awaits_face():
                    self.deny("unsure", "could be " + " or ".join(people), Subject(track))
                else:
                    self.stay("ignored")
            case TrackLost(track=track):
                self._track_lost(track)
            case ManualUnlock():
                self._hold(given)
            case ManualLock(by=by):
                self.shut("ordered shut", DoorLocked(reason="manual", message=f"by {by}"))
            case ActuatorFailed(reason=reason):
                self._actuator_failed(reason)
            case Starting():
                self.shut("started", DoorLocked(reason="started", message=None))
            case Stopping():
                self.shut("stopped", DoorLocked(reason="stopping", message=None))
            case _:
                assert_never(given)

    def _wake_heard(self) -> None:
        waits = isinstance(self.state.phase, Locked | Armed)
        if self.door.mode == "wake+face" and waits:
            self._arm("wake", None)
        else:
            self.stay("ignored")

    def _claimed(self, claim: Claimed) -> None:
        phase, person = self.state.phase, Subject(person=claim.person)
        if self.door.mode != "id+face":
            self.stay("ignored")
        elif isinstance(phase, LockedOut):
            self.deny("lockout", self._left(phase), person)
        elif not isinstance(phase, Locked | Armed):
            self.stay("ignored")
        elif not claim.known:
            self.count("no such person", f"nobody is known as {claim.person}", person)
        else:
            self._arm("claim", claim.person)

    def _arm(self, by: Armer, claimed: str | None) -> None:
        """A new attempt: every face in view may try, and may fail, once more."""
        seconds = self.door.arm_seconds
        self.state = replace(self.state, counted=(), told=())
        self.go("armed", Armed(by=by, claimed=claimed, until=self.now + seconds))
        self.actions.append(DoorArmed(by=by, claimed=claimed, seconds=seconds))

    def _awaits_face(self) -> bool:
        """Whether a match could open the door, as far as mode and phase go."""
        match self.state.phase, self.door.mode:
            case (Locked() | Armed(), "face"):
                return True
            case (Armed(by="wake"), "wake+face") | (Armed(by="claim"), "id+face"):
                return True
        return False

    def _recognized(self, seen: Recognized) -> None:
        who, phase = _subject(seen), self.state.phase
        match phase:
            case _ if self.door.mode == "wake":
                self.stay("ignored")
            case Unlocked() | Held():
                self.stay("ignored")
            case LockedOut():
                self.deny("lockout", self._left(phase), who)
            case Challenged(track=track, person=person):
                if who.track == track and who.person != person:
                    self._fail_challenge(f"the face became that of {who.person}")
                else:
                    self.stay("ignored")
            case Locked() | Armed() if not self._awaits_face():
                missing = "the wake word" if self.door.mode == "wake+face" else "a claim"
                self.deny("not armed", f"{who.person} is there; {missing} is missing", who)
            case Armed(claimed=str() as claimed) if claimed != who.person:
                self.count("wrong person", f"claimed: {claimed}, there: {who.person}", who)
            case _:
                self._weigh(seen)

    def _weigh(self, seen: Recognized) -> None:
        """Only the match itself can still speak against opening."""
        who, proof = _subject(seen), seen.evidence
        wait = self._cooldown(seen.person)
        if proof.track in self.state.barred:
            message = "this face failed its challenge; it has to leave and come again"
            self.deny("challenge failed", message, who)
        elif reason := self._stale(seen.taken):
            self.deny("stale", reason, who)
        elif reason := _insufficient(proof):
            self.deny("unsure", reason, who)
        elif self.liveness.mode == "passive" and proof.liveness == "off":
            self.count("not live", "nothing has looked whether the face is alive", who)
        elif seen.refusal is not None:
            self.deny("schedule", seen.refusal, who)
        elif wait > 0:
            self.deny("cooldown", f"opened for {seen.person} lately; {wait:.1f} s to wait", who)
        elif self.liveness.mode != "challenge":
            self._open(seen.person, proof)
        elif not seen.challenge:
            self.deny("challenge failed", "no challenge was drawn", who)
        else:
            self._challenge(seen)

    def _stale(self, taken: float) -> str | None:
        age = self.now - taken
        if 0 <= age <= FRESH_SECONDS:
            return None
        return f"the last picture is {age:.1f} s old, at most {FRESH_SECONDS:g} s are allowed"

    def _cooldown(self, person: str) -> float:
        """Seconds until the door may open for `person` again."""
        times = [then for name, then in self.state.opened if name == person]
        return max(times, default=float("-inf")) + self.door.cooldown_seconds - self.now

    def _challenge(self, seen: Recognized) -> None:
        track, person, steps = seen.evidence.track, seen.person, seen.challenge
        seconds = self.liveness.challenge_seconds
        until = self.now + seconds
        claimed = self.state.phase.claimed if isinstance(self.state.phase, Armed) else None
        self.go(
            "challenged",
            Challenged(track=track, person=person, claimed=claimed, steps=steps, until=until),
        )
        self.actions.append(
            DoorChallenge(track=track, person=person, steps=list(steps), seconds=seconds)
        )

    def _challenge_passed(self, passed: ChallengePassed) -> None:
        phase, proof = self.state.phase, passed.evidence
        if not isinstance(phase, Challenged) or proof.track != phase.track:
            self.stay("ignored")
        elif passed.person != phase.person:
            self._fail_challenge(f"the face became that of {passed.person}")
        elif reason := self._stale(passed.taken) or _insufficient(proof):
            self._fail_challenge(reason)
        elif passed.refusal is not None:
            self.go("disarmed", Locked())
            self.deny("schedule", passed.refusal, _subject(passed))
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
        who, told = Subject(phase.track, phase.person), (phase.track, "challenge failed")
        self.state = replace(
            self.state,
            barred=noted(self.state.barred, phase.track),
            told=tuple(each for each in self.state.told if each != told),
        )
        self.go("challenge failed", Locked())
        self.count("challenge failed", message, who)

    def _fail_face(self, reason: Denial, message: str, track: int) -> None:
        if self._awaits_face():
            self.count(reason, message, Subject(track))
        else:
            self.stay("ignored")

    def _track_lost(self, track: int) -> None:
        if not self._break_challenge(track, "the face left"):
            self.stay("ignored")
        self.state = replace(
            self.state,
            counted=tuple(each for each in self.state.counted if each != track),
            barred=tuple(each for each in self.state.barred if each != track),
            told=tuple(each for each in self.state.told if each[0] != track),
        )

    def _open(self, person: str, proof: Evidence) -> None:
        seconds = self.door.unlock_seconds
        until = self.now + seconds
        self.state = replace(self.state, opened=(*self.state.opened, (person, self.now)))
        self.go("opened", Unlocked(person=person, since=self.now, until=until))
        self.actions += [
            Unlock(seconds=seconds),
            DoorUnlocked(
                cause=cast(Cause, self.door.mode),
                person=person,
                seconds=seconds,
                reason=f"{person} was recognised",
                evidence=proof,
                actuator=self.door.actuator,
            ),
        ]

    def _hold(self, order: ManualUnlock) -> None:
        """A further order may shorten what is left, or extend it up to the limit in all."""
        phase = self.state.phase
        since = phase.since if isinstance(phase, Unlocked | Held) else self.now
        limit = since + self.door.max_unlock_seconds
        until = min(limit, self.now + order.seconds)
        if not (order.seconds > 0 and until > self.now):
            self.stay("ignored")
            return
        lockout = phase.until if isinstance(phase, LockedOut) else None
        if isinstance(phase, Held):
            lockout = phase.lockout
        seconds = until - self.now
        self.go("held", Held(since=since, until=until, lockout=lockout))
        self.actions += [
            Unlock(seconds=seconds),
            DoorUnlocked(
                cause="manual",
                person=None,
                seconds=seconds,
                reason=f"{order.reason} (by {order.by})",
                evidence=None,
                actuator=self.door.actuator,
            ),
        ]

    def _actuator_failed(self, reason: str) -> None:
        """Shut, if the door should be open; if it should be shut, the actuator goes on trying."""
        phase = self.state.phase
        said = DoorLocked(reason="actuator failed", message=reason)
        if isinstance(phase, Unlocked | Held):
            person = phase.person if isinstance(phase, Unlocked) else None
            self.say_denied("actuator failed", reason, Subject(person=person))
            self.shut("actuator failed", said)
        else:
            self.stay("actuator failed")
            self.actions.append(said)

    def _left(self, phase: LockedOut) -> str:
        return f"too many failures; {phase.until - self.now:.0f} s of lockout left"


def _insufficient(proof: Evidence) -> str | None:
    """What is wrong with a match that claims to be one; figures that are not numbers are, too."""
    if proof.score < proof.threshold and proof.frames >= 1:
        return None
    return f"score {proof.score:g} is not below {proof.threshold:g}, in {proof.frames} pictures"
