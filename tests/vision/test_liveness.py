"""Passive liveness: says flat only where there is evidence, and live never of a flat picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.vision.liveness import ENOUGH, TILT_DEGREES, Finding, PassiveLiveness, shape
from daemon.vision.pose import MODEL
from tests.vision.heads import Points, landmarks_of, seen

PICTURE = MODEL * (1, 1, 0)
"""A photograph of the average head, as large as life."""
NOISE = 0.8
"""Pixels by which a detector errs in every frame, at 60 from eye to eye."""


def follow(frames: list[Points], noise: float = NOISE, seed: int = 0) -> Finding:
    passive, rng = PassiveLiveness(), np.random.default_rng(seed)
    for number, points in enumerate(frames):
        finding = passive.update(number / 10, points + rng.normal(0, noise, (5, 2)))
    return finding


def waves(amount: float, frames: int = 30) -> list[float]:
    return [float(amount * np.sin(number / 5)) for number in range(frames)]


def test_a_head_that_looks_around_is_live() -> None:
    assert follow([landmarks_of(yaw=yaw) for yaw in waves(20)]).verdict == "live"
    assert follow([landmarks_of(pitch=pitch) for pitch in waves(20)]).verdict == "live"


def test_a_tilted_picture_is_flat() -> None:
    for axis in ("yaw", "pitch"):
        finding = follow([seen(PICTURE, **{axis: tilt}, distance=40) for tilt in waves(55)])
        assert finding.verdict == "flat"
        assert finding.tilt >= TILT_DEGREES
        assert finding.parallax < 12


def test_who_stands_still_is_undecided_as_is_a_picture_held_still() -> None:
    assert follow([landmarks_of(yaw=sway) for sway in waves(2)]).verdict == "undecided"
    assert follow([seen(PICTURE, yaw=sway) for sway in waves(2)]).verdict == "undecided"


def test_coming_nearer_and_moving_aside_says_nothing() -> None:
    coming = [seen(PICTURE, distance=120 - 2 * n, shift=(n / 4, 0.0)) for n in range(30)]
    assert follow(coming).verdict == "undecided"


@settings(max_examples=60)
@given(
    yaw=st.floats(-60, 60),
    pitch=st.floats(-40, 40),
    near=st.floats(30, 60),
    far=st.floats(30, 60),
    seed=st.integers(0, 1000),
)
def test_no_motion_of_a_picture_makes_it_live(
    yaw: float, pitch: float, near: float, far: float, seed: int
) -> None:
    steps = np.linspace(0, 1, 30)
    frames = [seen(PICTURE, yaw * s, pitch * s, distance=near + (far - near) * s) for s in steps]
    assert follow(frames, seed=seed).verdict != "live"


@settings(max_examples=60)
@given(
    yaw=st.floats(-40, 40), pitch=st.floats(-20, 20), seed=st.integers(0, 1000),
    distance=st.floats(45, 120),
)  # fmt: skip
def test_no_turn_of_a_head_is_flat(yaw: float, pitch: float, seed: int, distance: float) -> None:
    passive, rng = PassiveLiveness(), np.random.default_rng(seed)
    for number, share in enumerate(np.sin(np.linspace(0, np.pi, 24))):
        points = landmarks_of(yaw * share, pitch * share, distance=distance)
        noise = NOISE * 60 / distance
        finding = passive.update(number / 10, points + rng.normal(0, noise, (5, 2)))
        assert finding.verdict != "flat"


def test_nothing_is_said_of_a_few_pictures_nor_of_what_is_long_past() -> None:
    passive = PassiveLiveness()
    for number, tilt in enumerate(np.linspace(-55, 55, ENOUGH - 1)):
        finding = passive.update(number / 10, seen(PICTURE, yaw=tilt))
        assert finding.verdict == "undecided"
    for number in range(ENOUGH):
        finding = passive.update(100 + number / 10, seen(PICTURE))
    assert finding.verdict == "undecided"
    assert finding.frames == ENOUGH


@pytest.mark.parametrize("tilt", [10.0, 30.0, 50.0])
def test_a_tilt_squeezes_by_its_cosine_whatever_the_roll_and_size(tilt: float) -> None:
    far = [
        shape(seen(PICTURE, yaw=each, roll=roll, distance=1e5, focal=focal))
        for each, roll, focal in ((0.0, 0.0, 1e6), (tilt, 33.0, 3e6))
    ]
    moved = float(np.linalg.norm(far[1] - far[0]))
    assert moved == pytest.approx(-np.log(np.cos(np.radians(tilt))), abs=1e-3)
