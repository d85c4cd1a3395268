"""Random days at a door, and a judge that knows when it may be open.

The judge does not look into the policy's state. It follows the inputs by rules of its own, as
simple as can be, and complains about an opening that they do not explain.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from daemon.door.events import DoorChallenge, DoorDenied, DoorLockout, DoorUnlocked, Evidence
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
from daemon.door.policy import Action, Lock, Rules, Unlock, deadline, step
from daemon.door.settings import DoorConfig, LockoutConfig
from daemon.door.state import State
from daemon.vision.settings import LivenessConfig

PEOPLE = ("ada", "bob", "eve")
FRESH = 2.0
SLACK = 1e-6
"""Times are sums of floating-point numbers."""


def rules(mode: str, liveness: str, **door: object) -> Rules:
    """Settings for days in which a lot happens."""
    settings = {"mode": mode, "lockout": {"failures": 3, "window_seconds": 30, "seconds": 20}}
    return Rules(DoorConfig(**settings | door), LivenessConfig(mode=liveness))


ALL_RULES = [
    rules(mode, liveness, max_unlock_seconds=longest, cooldown_seconds=cooldown)
    for mode in ("wake", "face", "wake+face", "id+face")
    for liveness in ("off", "passive", "challenge")
    for longest, cooldown in ((30.0, 4.0), (5.0, 0.0))
]


def evidence(
    track: int, score: float = 0.5, liveness: str = "passive", frames: int = 3
) -> Evidence:
    """A match, good enough unless said otherwise."""
    return Evidence(
        track=track,
        score=score,
        distance=score,
        threshold=0.9,
        frames=frames,
        first="2026-03-01T08:15:12.000000Z",
        last="2026-03-01T08:15:13.000000Z",
        liveness=liveness,
    )


OFTEN = (10, 10, 40, 18, 1, 3, 2, 2, 2, 0.7, 0.7, 4, 0.5, 0.2, 0.5, 0.2)
"""How often each kind of input comes, against the others."""


class Nature:
    """Draws inputs, biased so that long stories (arm, match, challenge, open) are common."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pause(self) -> float:
        """Seconds to the next input; now and then the clock goes back."""
        draw = self._random.random()
        if draw < 0.004:
            return -self._random.choice((1e-3, 1.0, 1000.0))
        if draw < 0.05:
            return self._random.uniform(0, 60)
        return self._random.choice((0.0, 0.01, 0.1, 0.1, 0.5, 1.0, 3.0))

    def given(self, now: float) -> Input:
        """An input at the time `now`."""
        r = self._random
        track = r.randint(1, 4)
        person = r.choice(PEOPLE)
        age = r.choice((0.0, 0.05, 0.3, 0.3, 1.9, 2.0, 2.1, 60.0, -0.5))
        proof = evidence(
            track,
            r.choice((0.1, 0.5, 0.5, 0.5, 0.5, 0.89, 0.9, 2.0, math.nan)),
            r.choice(("passive", "passive", "passive", "off")),
            r.choice((3, 3, 3, 3, 3, 0)),
        )
        kind = r.choices(range(len(OFTEN)), OFTEN)[0]
        match kind:
            case 0:
                return WakeHeard(word="activate")
            case 1:
                return Claimed(person=person, known=r.random() < 0.8)
            case 2:
                return Recognized(
                    person=person,
                    evidence=proof,
                    taken=now - age,
                    refusal=r.choice((None, None, None, "only on weekdays")),
                    challenge=r.choice((("left", "right"), ("right",), ("left",), ())),
                )
            case 3:
                refusal = r.choice((*(None,) * 5, "only until noon"))
                taken = now - age
                return ChallengePassed(person=person, evidence=proof, taken=taken, refusal=refusal)
            case 4:
                return ChallengeFailed(track=track, reason="turned the wrong way")
            case 5:
                return Unknown(track=track, message="score 1.2, below 0.9 is needed")
            case 6:
                return Unsure(track=track, people=("ada", "bob"))
            case 7:
                return NotLive(track=track, message="flat")
            case 8:
                return TrackLost(track=track)
            case 9:
                seconds = r.choice((1.0, 5.0, 30.0, 1e9, 0.0, -1.0, math.nan, math.inf))
                return ManualUnlock(seconds=seconds, reason="parcel", by="uid 0")
            case 10:
                return ManualLock(by="uid 0")
            case 11:
                return Tick()
            case 12:
                return ActuatorFailed(reason="exit code 1")
            case 13:
                return Starting()
            case 14:
                return RulesChanged()
            case _:
                return Stopping()


@dataclass
class Judge:
    """What an opening needs, by the inputs alone."""

    rules: Rules
    now: float = -math.inf
    armed: tuple[str | None, float] | None = None
    """Who was claimed, and until when; used up by what it leads to."""
    challenge: tuple[int, str, float] | None = None
    """Track, person and end of the challenge that an event asked for."""
    lockout_until: float = -math.inf
    opened_at: float | None = None
    closes_at: float | None = None
    came_in: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    """Longest time that the door was open."""

    def watch(self, given: Input, now: float, actions: tuple[Action, ...]) -> None:
        """Judge one step.

        Raises:
            AssertionError: the door opened without a cause, or did not shut.
        """
        back = now < self.now
        unlocks = [action for action in actions if isinstance(action, Unlock)]
        locks = [action for action in actions if isinstance(action, Lock)]
        said = [action for action in actions if isinstance(action, DoorUnlocked)]
        assert len(unlocks) == len(said) <= 1
        if self.opened_at is not None and (back or now >= self.closes_at):
            assert locks, "open beyond its time"
            assert isinstance(actions[0], Lock)
            self._shut(now if back else min(now, self.closes_at))
        if back:
            self.armed = self.challenge = None
            in_lockout = self.now < self.lockout_until
            self.lockout_until = now + self._lockout.seconds if in_lockout else -math.inf
            cooldown = self.rules.door.cooldown_seconds
            waiting = [who for who, then in self.came_in.items() if self.now - then < cooldown]
            self.came_in = dict.fromkeys(waiting, now)
        self.now = now
        if self.challenge and now >= self.challenge[2]:
            self.challenge = None
        if self._ends_challenge(given):
            self.challenge = None
        if isinstance(given, RulesChanged):
            self.armed = self.challenge = None
        if isinstance(given, WakeHeard):
            self._arm("wake", None)
        elif isinstance(given, Claimed) and given.known:
            self._arm("claim", given.person)
        if unlocks:
            self._may_open(given, unlocks[0].seconds, said[0])
        if isinstance(given, ManualLock | ActuatorFailed | Starting | Stopping):
            failed = isinstance(given, ActuatorFailed) and self.opened_at is None
            assert locks or failed, f"not locked by {given}"
            self._shut(now)
            if not isinstance(given, ActuatorFailed):
                self.armed = self.challenge = None
        self._note(actions)

    def _note(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, DoorLockout):
                self.lockout_until = self.now + self._lockout.seconds
            if isinstance(action, DoorDenied) and action.reason == "challenge failed":
                self.challenge = None
            if isinstance(action, DoorChallenge):
                assert action.steps
                self.challenge = (action.track, action.person, self.now + action.seconds)

    def _ends_challenge(self, given: Input) -> bool:
        match given:
            case ChallengeFailed(track=track) | Unknown(track=track) | NotLive(track=track):
                return self.challenge is not None and track == self.challenge[0]
            case TrackLost(track=track):
                return self.challenge is not None and track == self.challenge[0]
            case Recognized(person=person, evidence=proof) if self.challenge is not None:
                return proof.track == self.challenge[0] and person != self.challenge[1]
        return False

    def _arm(self, by: str, claimed: str | None) -> None:
        fits = by == {"wake+face": "wake", "id+face": "claim"}.get(self.rules.door.mode)
        if fits and self.opened_at is None and self.challenge is None:
            self.armed = (claimed, self.now + self.rules.door.arm_seconds)

    def _may_open(self, given: Input, seconds: float, said: DoorUnlocked) -> None:
        door = self.rules.door
        assert 0 < seconds <= door.max_unlock_seconds + SLACK
        assert said.seconds == seconds
        if isinstance(given, ManualUnlock):
            assert said.cause == "manual"
            assert given.seconds > 0
        else:
            self._may_admit(given, said)
            assert seconds == door.unlock_seconds
            assert self.opened_at is None, "a match extended an opening"
            self.came_in[given.person] = self.now
        self.opened_at = self.now if self.opened_at is None else self.opened_at
        self.closes_at = self.now + seconds
        assert self.closes_at - self.opened_at <= door.max_unlock_seconds + SLACK
        self.armed = self.challenge = None

    def _may_admit(self, given: Input, said: DoorUnlocked) -> None:
        """A face opened: the mode, the match, its age, liveness, cooldown and lockout agree."""
        door = self.rules.door
        assert isinstance(given, Recognized | ChallengePassed), f"opened by {given}"
        assert said.cause == door.mode != "wake"
        assert said.person == given.person
        proof = given.evidence
        assert proof.score < proof.threshold
        assert proof.frames > 0
        assert 0 <= self.now - given.taken <= FRESH
        assert self.now >= self.lockout_until, "opened during a lockout"
        assert given.refusal is None
        if isinstance(given, ChallengePassed):
            assert self.challenge, "no challenge"
            track, person, until = self.challenge
            assert (proof.track, given.person) == (track, person), "another's challenge"
            assert self.now < until
            assert said.evidence.liveness == "challenge"
        else:
            assert self.rules.liveness.mode != "challenge"
            assert self.rules.liveness.mode == "off" or proof.liveness == "passive"
            self._was_armed(given.person)
        waited = self.now - self.came_in.get(given.person, -math.inf)
        assert waited >= door.cooldown_seconds - SLACK or isinstance(given, ChallengePassed)

    def _was_armed(self, person: str) -> None:
        if self.rules.door.mode == "face":
            return
        assert self.armed, "not armed"
        claimed, until = self.armed
        assert claimed in (None, person)
        assert self.now < until

    def _shut(self, when: float) -> None:
        if self.opened_at is not None:
            self.longest = max(self.longest, when - self.opened_at)
        self.opened_at = self.closes_at = None

    @property
    def _lockout(self) -> LockoutConfig:
        return self.rules.door.lockout


class World:
    """A policy, the judge, and the driver's part: a tick at each deadline."""

    def __init__(self, chosen: Rules, ticks: bool = True) -> None:
        self.rules = chosen
        self.state = State()
        self.judge = Judge(chosen)
        self._ticks = ticks
        self.steps = 0

    def live(self, given: Input, now: float) -> tuple[Action, ...]:
        """One input, after the tick that was due before it; what both led to."""
        due, actions = deadline(self.state), ()
        if self._ticks and due is not None and self.state.now <= due <= now:
            actions = self._step(Tick(), due)
        return actions + self._step(given, now)

    def _step(self, given: Input, now: float) -> tuple[Action, ...]:
        self.state, actions = step(self.state, given, now, self.rules)
        self.judge.watch(given, now, actions)
        self.steps += 1
        return actions
