"""Challenges: a head that turns as asked passes; pictures, wrong turns and swaps do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.vision.challenge import DRAWS, GAP_SECONDS, TURN, Challenge, Progress, Side, draw
from daemon.vision.pose import MODEL
from tests.vision.heads import Points, landmarks_of, seen, turned

PICTURE = MODEL * (1, 1, 0)
SECONDS = 8.0
draws = st.sampled_from(DRAWS)
Frame = tuple[float, Points | None]


def turn(steps: Iterable[Side], amount: float = 42.0, fps: float = 10.0) -> list[float]:
    """Yaw of every frame of one who waits, turns to each side and looks back in between."""
    there = np.sin(np.linspace(0, np.pi, round(2 * fps))) ** 2
    yaw = [0.0] * round(0.8 * fps)
    for side in steps:
        yaw += [*(there * (amount if side == "left" else -amount)), *[0.0] * round(0.4 * fps)]
    return yaw


def run(
    steps: tuple[Side, ...], frames: Iterable[Frame], noise: float = 0.0, seed: int = 0
) -> Progress:
    challenge, rng = Challenge(steps, SECONDS, 0.0), np.random.default_rng(seed)
    progress = Progress("pending", "front")
    for time, points in frames:
        shown = None if points is None else points + rng.normal(0, noise, (5, 2))
        progress = challenge.update(time, shown)
    return progress


def frames(yaw: Iterable[float], show: Callable[[float], Points], fps: float = 10.0) -> list[Frame]:
    return [(number / fps, show(each)) for number, each in enumerate(yaw)]


def heads(yaw: Iterable[float], fps: float = 10.0) -> list[Frame]:
    return frames(yaw, turned, fps)


@settings(max_examples=60)
@given(
    steps=draws,
    amount=st.floats(41, 52),
    fps=st.sampled_from([8.0, 10.0, 15.0, 30.0]),
    nose=st.floats(0.9, 1.2),
    lopsided=st.floats(-8, 8),
    seed=st.integers(0, 1000),
)
def test_a_head_that_turns_as_asked_passes(
    steps: tuple[Side, ...], amount: float, fps: float, nose: float, lopsided: float, seed: int
) -> None:
    head = MODEL.copy()
    head[2, 2] = -3.9 + nose * (head[2, 2] + 3.9)
    yaw = [each + lopsided for each in turn(steps, amount, fps)]
    shown = frames(yaw, lambda each: turned(each, head, each / 8), fps)
    assert run(steps, shown, noise=0.7, seed=seed).state == "passed"


@settings(max_examples=100)
@given(
    steps=draws,
    amount=st.floats(0, 65),
    pitch=st.floats(-40, 40),
    distance=st.floats(20, 70),
    zoom=st.floats(-8, 8),
    aside=st.floats(-10, 10),
    shown=st.floats(-14, 14),
    seed=st.integers(0, 1000),
)
def test_no_motion_of_a_picture_passes(
    steps: tuple[Side, ...], amount: float, pitch: float, distance: float, zoom: float,
    aside: float, shown: float, seed: int,
) -> None:  # fmt: skip
    taken = landmarks_of(yaw=shown)
    size = distance / 60
    picture = np.column_stack([(taken - taken.mean(0)) / 10, np.zeros(5)]) * size

    def show(yaw: float) -> Points:
        share = yaw / max(amount, 1.0)
        return seen(
            picture, yaw, pitch * share, distance=distance + zoom * share, shift=(aside * share, 0)
        )

    result = run(steps, frames(turn(steps, amount), show), noise=0.7, seed=seed)
    assert result.state != "passed"


@settings(max_examples=20)
@given(steps=draws, seed=st.integers(0, 1000))
def test_a_still_picture_is_too_slow(steps: tuple[Side, ...], seed: int) -> None:
    still = frames([0.0] * 100, lambda _: seen(PICTURE))
    assert run(steps, still, noise=0.7, seed=seed).failure == "too slow"


def test_a_turn_that_was_not_asked_for_never_passes() -> None:
    for asked in DRAWS:
        for done in DRAWS:
            result = run(asked, heads(turn(done)))
            if done == asked:
                assert result.state == "passed"
            elif done[0] != asked[0]:
                assert result.failure == "wrong side"
            elif len(asked) > len(done):
                assert result.state == "pending"


def test_a_likeness_that_turns_in_one_place_does_not_count() -> None:
    """Pictures of the person that look aside, blended softly, show parallax, but have no neck."""
    for asked in DRAWS:
        blended = frames(turn(asked), lambda each: landmarks_of(yaw=each))
        assert run(asked, blended).state != "passed"
        against = frames(turn(asked), lambda each: seen(MODEL, each, shift=(-each / 10, 0)))
        assert run(asked, against).state != "passed"


def test_another_person_fails() -> None:
    challenge = Challenge(("left",), SECONDS, 0.0)
    for time, points in heads(turn(("left",))[:12]):
        challenge.update(time, points)
    assert challenge.update(1.2, landmarks_of(yaw=20), same_person=False).failure == "other person"
    assert challenge.update(1.3, landmarks_of(yaw=20)).state == "failed"


def test_a_face_that_passive_liveness_calls_flat_fails() -> None:
    assert Challenge(("left",), SECONDS, 0.0).update(0.1, landmarks_of(), flat=True).failure == (
        "flat"
    )


@pytest.mark.parametrize(("missing", "failure"), [(3, None), (6, "lost")])
def test_a_few_pictures_may_be_missed_but_not_many(missing: int, failure: str | None) -> None:
    shown = heads(turn(("left",)))
    first = 9
    gap = [(time, None) for time, _ in shown[first : first + missing]]
    assert (missing * 0.1 > GAP_SECONDS) == (failure is not None)
    assert run(("left",), shown[:first] + gap + shown[first + missing :]).failure == failure


def test_pictures_that_are_switched_do_not_pass() -> None:
    for yaw in (TURN + 2, 35.0, 50.0):
        switched = [0.0] * 8 + [yaw] * 8 + [0.0] * 8
        for seed in range(10):
            assert run(("left",), heads(switched * 2), noise=0.7, seed=seed).state == "pending"


def test_who_turns_too_fast_may_do_it_again_more_slowly() -> None:
    hasty = [0.0] * 8 + [30.0] * 3 + [0.0] * 5
    assert run(("left",), heads(hasty)).state == "pending"
    assert run(("left",), heads(hasty + turn(("left",)))).state == "passed"


def test_a_gap_cannot_hide_a_switch() -> None:
    before, after = heads([0.0] * 8), heads([0.0] * 11 + [30.0] * 8 + [0.0] * 8)[11:]
    assert run(("left",), before + after).state == "pending"


def test_a_face_that_leaps_or_swells_fails() -> None:
    for changed in (landmarks_of(shift=(25, 0)), landmarks_of(distance=35)):
        challenge = Challenge(("left",), SECONDS, 0.0)
        challenge.update(0.0, landmarks_of())
        assert challenge.update(0.1, changed).failure == "jump"


def test_it_begins_with_a_look_into_the_camera() -> None:
    already = [28.0] * 10 + list(np.linspace(28, 0, 8)) + [0.0] * 10
    result = run(("left",), heads(already))
    assert (result.state, result.wanted) == ("pending", "left")


def test_one_bad_measurement_neither_passes_nor_fails() -> None:
    yaw = [0.0] * 8
    yaw[6] = -TURN - 3
    assert run(("left",), heads(yaw + turn(("left",)))).state == "passed"
    assert run(("right",), heads(yaw + [0.0] * 8)).state == "pending"


def test_time_runs_out() -> None:
    slow = [0.0] * 80 + turn(("left",))
    assert run(("left",), heads(slow)).failure == "too slow"


def test_it_says_where_to_look() -> None:
    challenge = Challenge(("left", "right"), SECONDS, 0.0)
    told = []
    for time, points in heads(turn(("left", "right"))):
        progress = challenge.update(time, points)
        if not told or progress.wanted != told[-1]:
            told.append(progress.wanted)
    assert told == ["front", "left", "front", "right", "front", None]


def test_every_draw_comes_up_about_as_often() -> None:
    drawn = Counter(draw() for _ in range(2000))
    assert set(drawn) == set(DRAWS)
    assert min(drawn.values()) > 400


def test_a_challenge_without_steps_is_an_error() -> None:
    with pytest.raises(ValueError, match="step"):
        Challenge((), SECONDS, 0.0)
