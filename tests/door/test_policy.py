"""When the door opens, and that it never does without a cause, nor for too long."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from daemon.door import policy
from daemon.door.events import (
    Denial,
    DoorArmed,
    DoorChallenge,
    DoorDenied,
    DoorEvent,
    DoorLocked,
    DoorLockout,
    DoorUnlocked,
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
from daemon.door.move import MOST_TRACKS
from daemon.door.policy import Action, Lock, Unlock, deadline
from daemon.door.state import Passage, State, Transition
from tests.door.world import ALL_RULES, PEOPLE, Nature, World, evidence, rules

DIAGRAM = Path(__file__).resolve().parents[2] / "docs" / "door.md"


class Story(World):
    """A day told in order: `at` a time, something happens."""

    def __init__(self, mode: str, liveness: str = "passive", **door: object) -> None:
        super().__init__(rules(mode, liveness, **door))

    def at(self, now: float, given: Input) -> tuple[Action, ...]:
        return self.live(given, now)

    def seen(self, now: float, person: str = "ada", track: int = 1, **more: object):
        """A match of a picture that was just taken."""
        proof = evidence(track)
        steps = ("left", "right")
        given = Recognized(person=person, evidence=proof, taken=now - 0.1, challenge=steps)
        return self.live(replace(given, **more), now)

    @property
    def phase(self) -> str:
        return self.state.phase.name


def of(kind: type[DoorEvent] | type[Unlock], actions: tuple[Action, ...]) -> list:
    return [action for action in actions if isinstance(action, kind)]


def reasons(actions: tuple[Action, ...]) -> list[str]:
    return [each.reason for each in of(DoorDenied, actions)]


def test_a_match_opens_for_one_pulse():
    story = Story("face", unlock_seconds=5.0)
    opening = story.seen(10.0)
    assert opening[0] == Unlock(seconds=5.0)
    (said,) = of(DoorUnlocked, opening)
    assert (said.cause, said.person, said.evidence) == ("face", "ada", evidence(1))
    assert (story.phase, deadline(story.state)) == ("unlocked", 15.0)
    assert story.at(14.999, Tick()) == ()
    assert story.at(15.0, Tick()) == (Lock(), DoorLocked(reason="pulse over", message=None))
    assert (story.phase, deadline(story.state)) == ("locked", None)


def test_more_matches_do_not_make_a_pulse_longer():
    story = Story("face", unlock_seconds=5.0)
    story.seen(10.0)
    assert story.seen(14.0) == story.seen(14.5, "bob", 2) == ()
    assert deadline(story.state) == 15.0


def test_the_wake_word_arms_and_the_next_match_opens():
    story = Story("wake+face", arm_seconds=10.0)
    assert reasons(story.seen(1.0)) == ["not armed"]
    assert story.seen(1.1) == ()  # said once is enough
    armed = story.at(2.0, WakeHeard(word="activate"))
    assert armed == (DoorArmed(by="wake", claimed=None, seconds=10.0),)
    (said,) = of(DoorUnlocked, story.seen(2.1))
    assert said.cause == "wake+face"


def test_nobody_comes():
    story = Story("wake+face", arm_seconds=10.0)
    story.at(2.0, WakeHeard(word="activate"))
    actions = story.at(12.0, Tick())
    assert reasons(actions) == ["nobody came"]
    assert actions[0].failures == 0
    assert of(Unlock, story.seen(12.1)) == []


def test_a_claim_opens_for_the_person_claimed_only():
    story = Story("id+face")
    story.at(1.0, Claimed(person="ada", known=True))
    wrong = story.seen(1.5, "bob", 2)
    assert (reasons(wrong), wrong[0].failures) == (["wrong person"], 1)
    assert story.seen(1.6, "bob", 2) == ()
    (said,) = of(DoorUnlocked, story.seen(2.0, "ada", 3))
    assert (said.cause, said.person) == ("id+face", "ada")


def test_with_mode_wake_nothing_but_an_order_opens():
    story = Story("wake")
    story.at(1.0, WakeHeard(word="activate"))
    story.at(1.0, Claimed(person="ada", known=True))
    assert story.seen(1.0) == ()
    order = ManualUnlock(seconds=3.0, reason="parcel", by="root")
    (said,) = of(DoorUnlocked, story.at(2.0, order))
    assert (said.cause, said.reason) == ("manual", "parcel (by root)")


@pytest.mark.parametrize("age", [2.01, 60.0, -0.01, float("nan"), float("inf")])
def test_old_pictures_open_nothing(age):
    story = Story("face")
    assert reasons(story.seen(10.0, taken=10.0 - age)) == ["stale"]
    assert of(Unlock, story.seen(10.0, taken=8.0))


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (evidence(1, score=0.9), "unsure"),
        (evidence(1, score=float("nan")), "unsure"),
        (evidence(1, frames=0), "unsure"),
        (evidence(1, liveness="off"), "not live"),
    ],
)
def test_a_match_that_is_none_opens_nothing(proof, reason):
    assert reasons(Story("face").seen(1.0, evidence=proof)) == [reason]


def test_outside_their_hours_people_stay_outside():
    story = Story("face")
    denied = story.seen(1.0, refusal="ada may come in on weekdays")
    assert reasons(denied) == ["schedule"]
    assert (denied[0].message, denied[0].failures) == ("ada may come in on weekdays", 0)


@pytest.mark.parametrize(("mode", "liveness"), [("wake+face", "passive"), ("face", "challenge")])
def test_other_settings_end_a_wait_for_a_face(mode, liveness):
    story = Story(mode, liveness)
    if mode == "wake+face":
        story.at(1.0, WakeHeard(word="activate"))
    else:
        story.seen(1.0)
    story.rules = rules("id+face", "passive")
    assert story.at(1.5, RulesChanged()) == ()
    assert story.phase == "locked"


def test_other_settings_neither_end_nor_extend_a_pulse():
    story = Story("face")
    story.seen(1.0)
    story.rules = rules("wake", "passive", unlock_seconds=60.0, max_unlock_seconds=60.0)
    assert story.at(1.5, RulesChanged()) == ()
    assert deadline(story.state) == 6.0


def test_the_same_person_waits_before_the_door_opens_again():
    story = Story("face", unlock_seconds=5.0, cooldown_seconds=10.0)
    story.seen(10.0)
    story.at(15.0, Tick())
    assert reasons(story.seen(15.1)) == ["cooldown"]
    assert of(Unlock, story.seen(15.2, "bob", 2))
    assert of(Unlock, story.seen(20.3))


def test_a_challenge_comes_before_the_pulse():
    story = Story("face", "challenge")
    asked = story.seen(1.0)
    assert asked == (DoorChallenge(track=1, person="ada", steps=["left", "right"], seconds=8.0),)
    passed = ChallengePassed(person="ada", evidence=evidence(1), taken=4.9)
    (said,) = of(DoorUnlocked, story.at(5.0, passed))
    assert said.evidence.liveness == "challenge"


@pytest.mark.parametrize(
    "given",
    [
        ChallengePassed(person="ada", evidence=evidence(1), taken=1.0),
        ChallengePassed(person="bob", evidence=evidence(1), taken=4.9),
        ChallengePassed(person="ada", evidence=evidence(1, score=1.0), taken=4.9),
        ChallengeFailed(track=1, reason="turned right, not left"),
        NotLive(track=1, message="flat"),
        Unknown(track=1, message="score 1.3"),
        TrackLost(track=1),
        Recognized(person="bob", evidence=evidence(1), taken=4.9, challenge=("left",)),
    ],
)
def test_what_ends_a_challenge(given):
    story = Story("face", "challenge")
    story.seen(1.0)
    denied = story.at(5.0, given)
    assert reasons(denied) == ["challenge failed"]
    assert denied[0].failures == 1
    assert story.phase == "locked"
    passed = ChallengePassed(person="ada", evidence=evidence(1), taken=5.0)
    assert of(Unlock, story.at(5.1, passed)) == []


def test_whose_hours_end_during_the_challenge_stays_out():
    story = Story("face", "challenge")
    story.seen(1.0)
    passed = ChallengePassed(
        person="ada", evidence=evidence(1), taken=4.9, refusal="only until 12:00"
    )
    (denied,) = story.at(5.0, passed)
    assert (denied.reason, denied.person, denied.failures) == ("schedule", "ada", 0)
    assert story.phase == "locked"
    assert of(Unlock, story.at(5.1, replace(passed, refusal=None))) == []


def test_a_challenge_remembers_who_was_claimed_to_be_there():
    story = Story("id+face", "challenge")
    story.at(1.0, Claimed(person="ada", known=True))
    story.seen(2.0)
    assert story.state.phase.claimed == "ada"


def test_a_failed_challenge_bars_the_face_until_it_leaves():
    story = Story("face", "challenge")
    story.seen(1.0)
    assert reasons(story.at(9.0, Tick())) == ["challenge failed"]
    assert story.seen(10.0) == ()
    story.at(11.0, TrackLost(track=1))
    assert of(DoorChallenge, story.seen(12.0, track=2))


@pytest.mark.parametrize(
    "given",
    [
        ChallengePassed(person="ada", evidence=evidence(2), taken=4.9),
        ChallengePassed(person="bob", evidence=evidence(2), taken=4.9),
        ChallengeFailed(track=2, reason="turned"),
        TrackLost(track=2),
        Unknown(track=2, message=""),
        Recognized(person="bob", evidence=evidence(2), taken=4.9, challenge=("left",)),
    ],
)
def test_other_faces_do_not_matter_to_a_challenge(given):
    story = Story("face", "challenge")
    story.seen(1.0)
    assert story.at(5.0, given) == ()
    assert story.phase == "challenge"


def test_a_challenge_that_nobody_drew_cannot_be_passed():
    assert reasons(Story("face", "challenge").seen(1.0, challenge=())) == ["challenge failed"]


def strangers(story: Story, count: int, start: float = 1.0) -> list[tuple[Action, ...]]:
    return [
        story.at(start + number, Unknown(track=10 + number, message="score 1.3"))
        for number in range(count)
    ]


def test_failures_lock_out_everything_but_orders():
    story = Story("face")
    assert of(DoorLockout, strangers(story, 3)[-1]) == [
        DoorLockout(failures=3, window_seconds=30.0, seconds=20.0)
    ]
    assert (story.phase, deadline(story.state)) == ("lockout", 23.0)
    assert reasons(story.seen(4.0)) == ["lockout"]
    assert story.seen(4.1) == ()
    order = ManualUnlock(seconds=2.0, reason="let them in", by="root")
    assert of(Unlock, story.at(5.0, order))
    story.at(7.0, Tick())
    assert (story.phase, deadline(story.state)) == ("lockout", 23.0)
    story.at(23.0, Tick())
    assert of(Unlock, story.seen(23.1))


def test_a_lockout_goes_on_after_an_order_to_lock():
    story = Story("face")
    strangers(story, 3)
    assert Lock() in story.at(4.0, ManualLock(by="root"))
    assert (story.phase, deadline(story.state)) == ("lockout", 23.0)


def test_one_stranger_counts_once_however_long_they_stand_there():
    story = Story("face")
    for number in range(100):
        story.at(1.0 + number / 10, Unknown(track=7, message="score 1.3"))
    assert (story.phase, len(story.state.failures)) == ("locked", 1)


def test_each_arming_is_an_attempt_of_its_own():
    story = Story("wake+face")
    for number in range(3):
        story.at(1.0 + number, WakeHeard(word="activate"))
        story.at(1.5 + number, Unknown(track=7, message="score 1.3"))
    assert story.phase == "lockout"


def test_failures_that_are_long_ago_do_not_count():
    story = Story("face")
    strangers(story, 2)
    denied = story.at(40.0, Unknown(track=20, message=""))
    assert (denied[0].failures, story.phase) == (1, "locked")


def test_passers_by_do_not_count_while_nothing_could_open():
    story = Story("wake+face")
    assert strangers(story, 9) == [()] * 9
    assert story.state.failures == ()


def test_what_does_not_count_as_a_failure():
    story = Story("face")
    for number in range(9):
        story.at(1.0, Unsure(track=number, people=("ada", "bob")))
        story.seen(1.0, track=100 + number, refusal="not today")
    assert (story.phase, story.state.failures) == ("locked", ())


def test_claims_of_nobody_count_each():
    story = Story("id+face")
    for number in range(3):
        denied = story.at(1.0 + number, Claimed(person=f"guess {number}", known=False))
        assert reasons(denied) == ["no such person"]
    assert story.phase == "lockout"
    assert reasons(story.at(5.0, Claimed(person="ada", known=True))) == ["lockout"]


def test_orders_cannot_keep_the_door_open_for_longer_than_the_limit():
    story = Story("wake", max_unlock_seconds=60.0)
    opened = story.at(0.0, ManualUnlock(seconds=1e9, reason="move", by="root"))
    assert opened[0] == Unlock(seconds=60.0)
    assert story.at(50.0, ManualUnlock(seconds=60.0, reason="move", by="root"))[0] == Unlock(
        seconds=10.0
    )
    assert Lock() in story.at(60.0, Tick())
    assert story.judge.longest == 60.0


def test_an_order_can_shorten_a_hold():
    story = Story("wake")
    story.at(0.0, ManualUnlock(seconds=20.0, reason="", by="root"))
    story.at(1.0, ManualUnlock(seconds=2.0, reason="", by="root"))
    assert deadline(story.state) == 3.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("-inf")])
def test_an_order_for_no_time_does_nothing(seconds):
    story = Story("wake")
    assert story.at(0.0, ManualUnlock(seconds=seconds, reason="", by="root")) == ()


def test_faces_do_not_change_a_hold():
    story = Story("face")
    story.at(0.0, ManualUnlock(seconds=20.0, reason="", by="root"))
    assert story.seen(1.0) == ()
    assert strangers(story, 9) == [()] * 9
    assert (story.phase, deadline(story.state)) == ("held", 20.0)
    assert Lock() in story.at(10.0, ManualLock(by="root"))


def test_a_lock_that_fails_to_open_is_said_and_locked():
    story = Story("face")
    story.seen(1.0)
    actions = story.at(1.5, ActuatorFailed(reason="exit code 1"))
    assert Lock() in actions
    assert reasons(actions) == ["actuator failed"]
    assert of(DoorLocked, actions) == [DoorLocked(reason="actuator failed", message="exit code 1")]
    assert story.phase == "locked"


def test_a_clock_that_goes_back_does_not_hold_the_door_open():
    story = Story("face")
    story.seen(1000.0)
    assert Lock() in story.at(10.0, Tick())
    assert story.phase == "locked"


@pytest.mark.parametrize("given", [ManualLock(by="root"), Starting(), Stopping()])
@pytest.mark.parametrize("before", ["locked", "armed", "challenge", "unlocked", "held", "lockout"])
def test_locks_in_every_phase(before, given):
    story = Story("wake+face", "challenge" if before == "challenge" else "passive")
    if before != "locked":
        story.at(0.0, WakeHeard(word="activate"))
    if before in ("challenge", "unlocked"):
        story.seen(1.0)
    if before == "held":
        story.at(1.0, ManualUnlock(seconds=9.0, reason="", by="root"))
    if before == "lockout":
        strangers(story, 3)
    assert story.phase == before
    assert Lock() in story.at(4.0, given)
    assert story.phase == ("lockout" if before == "lockout" else "locked")


def test_what_is_remembered_of_tracks_is_bounded():
    story = Story("face", lockout={"failures": 100, "window_seconds": 1.0})
    for number in range(2000):
        story.at(float(number), Unknown(track=number, message=""))
        story.seen(float(number), track=10_000 + number, refusal="not today")
    assert len(story.state.told) == len(story.state.counted) == MOST_TRACKS


def live_days(seeds: range, inputs: int) -> tuple[Counter[str], set[Passage], int]:
    """Random days under all kinds of rules; what opened or was denied, ways taken, steps."""
    happened: Counter[str] = Counter()
    ways: set[Passage] = set()
    steps = 0
    for seed in seeds:
        world = World(ALL_RULES[seed % len(ALL_RULES)], ticks=seed % 3 > 0)
        nature, now = Nature(seed), 0.0
        for _ in range(inputs):
            now += nature.pause()
            for action in world.live(nature.given(now), now):
                if isinstance(action, DoorUnlocked):
                    happened[action.cause] += 1
                if isinstance(action, DoorDenied):
                    happened[action.reason] += 1
            ways.update(world.state.via)
        steps += world.steps
    return happened, ways, steps


def check_days(happened: Counter[str], ways: set[Passage]) -> None:
    """The days were eventful: everything that can happen did, else they would prove nothing."""
    openings = ("manual", "face", "wake+face", "id+face")
    denials = get_args(Denial)
    for kind in (*openings, *denials):
        assert happened[kind] > 0, kind
    assert {way.name for way in ways} == set(get_args(Transition))


def test_random_days():
    happened, ways, _ = live_days(range(48), 800)
    check_days(happened, ways)


def started_while_held_in_a_lockout() -> set[Passage]:
    """Too rare to come about by chance."""
    story = Story("face")
    strangers(story, 3)
    story.at(4.0, ManualUnlock(seconds=9.0, reason="", by="root"))
    story.at(5.0, Starting())
    assert story.phase == "lockout"
    return set(story.state.via)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_random_inputs():
    happened, ways, steps = live_days(range(1000, 1240), 4200)
    check_days(happened, ways)
    assert steps >= 1_000_000
    ways.update(started_while_held_in_a_lockout())
    assert drawn() == {way for way in ways if way.before != way.after}


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("let_time_pass", lambda move: None),
        ("go_back", lambda move: None),
        ("_stale", lambda move, taken: None),
        ("_cooldown", lambda move, person: 0.0),
        ("_awaits_face", lambda move: True),
        ("_break_challenge", lambda move, track, reason: False),
        ("shut", lambda move, name, said: None),
    ],
)
def test_the_judge_notices_a_broken_policy(name, broken, monkeypatch):
    monkeypatch.setattr(policy._Step, name, broken)
    with pytest.raises(AssertionError):
        check_days(*live_days(range(48), 800)[:2])


def drawn() -> set[Passage]:
    """The arrows between phases in the diagram of docs/door.md."""
    text = DIAGRAM.read_text(encoding="utf-8")
    block = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.S)[1]
    return {
        Passage(name, before, after)
        for before, after, names in re.findall(r"^ +(\w+) --> (\w+): (.*)$", block, re.M)
        for name in names.split(", ")
    }


class DoorMachine(RuleBasedStateMachine):
    """The same judge; hypothesis looks for the shortest story that it complains about."""

    people = st.sampled_from(PEOPLE)
    tracks = st.integers(1, 3)

    @initialize(chosen=st.sampled_from(ALL_RULES), ticks=st.booleans())
    def begin(self, chosen, ticks):
        self.world = World(chosen, ticks)
        self.now = 0.0

    def live(self, given: Input) -> None:
        self.world.live(given, self.now)

    @rule(seconds=st.floats(-5, 60) | st.sampled_from([0.0, 0.1, 4.0, 5.0, 8.0, 10.0]))
    def time(self, seconds):
        self.now += seconds
        self.live(Tick())

    @rule()
    def wake(self):
        self.live(WakeHeard(word="activate"))

    @rule(person=people, known=st.booleans())
    def claim(self, person, known):
        self.live(Claimed(person=person, known=known))

    @rule(
        person=people,
        track=tracks,
        score=st.floats(0, 1),
        age=st.floats(-0.5, 3.0),
        refusal=st.none() | st.just("not today"),
        steps=st.sampled_from([(), ("left",), ("left", "right")]),
        liveness=st.sampled_from(["off", "passive"]),
    )
    def match(self, person, track, score, age, refusal, steps, liveness):
        proof = evidence(track, score, liveness)
        taken = self.now - age
        self.live(
            Recognized(person=person, evidence=proof, taken=taken, refusal=refusal, challenge=steps)
        )

    @rule(person=people, track=tracks, score=st.floats(0, 1), age=st.floats(-0.5, 3.0))
    def passed(self, person, track, score, age):
        proof = evidence(track, score)
        self.live(ChallengePassed(person=person, evidence=proof, taken=self.now - age))

    @rule(track=tracks, kind=st.integers(0, 3))
    def face(self, track, kind):
        self.live(
            [
                ChallengeFailed(track=track, reason=""),
                Unknown(track=track, message=""),
                NotLive(track=track, message=""),
                TrackLost(track=track),
            ][kind]
        )

    @rule(seconds=st.floats())
    def order(self, seconds):
        self.live(ManualUnlock(seconds=seconds, reason="", by="root"))

    @rule(kind=st.integers(0, 4))
    def shut(self, kind):
        self.live(
            [
                RulesChanged(),
                ManualLock(by="root"),
                ActuatorFailed(reason=""),
                Starting(),
                Stopping(),
            ][kind]
        )


TestDoorMachine = DoorMachine.TestCase
TestDoorMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_fresh_state_is_shut():
    assert State().phase.name == "locked"
