"""When the networks rest, and when a camera is blind."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from daemon.vision.motion import STRIDE, Blindness, MotionGate
from daemon.vision.settings import MotionConfig
from tests.vision.pictures import noise

HOLD = 1.0


def gate() -> MotionGate:
    return MotionGate(MotionConfig(hold_seconds=HOLD))


def settle(opened: MotionGate, pictures: int = 30) -> float:
    for number in range(pictures):
        opened.update(noise(number, 640, 480), number / 10)
    return pictures / 10


def test_noise_of_a_sensor_is_no_motion() -> None:
    still = gate()
    now = settle(still)
    assert not any(still.update(noise(99 + n, 640, 480), now + n / 10) for n in range(20))


def test_something_that_comes_in_opens_the_gate_and_it_stays_open_for_a_while() -> None:
    still = gate()
    now = settle(still)
    came = noise(500, 640, 480)
    came[200:280, 300:360] = 20  # a small figure: 1.6 % of the picture
    assert still.update(came, now)
    after = [still.update(noise(600 + n, 640, 480), now + 0.1 * n) for n in range(1, 40)]
    assert after[0]
    assert not after[-1]
    assert HOLD - 0.2 <= 0.1 * sum(after) <= HOLD + 0.5


def test_a_lamp_opens_the_gate_once_and_becomes_the_background() -> None:
    still = gate()
    now = settle(still)
    lit = [still.update(noise(n, 640, 480, level=200), now + n / 10) for n in range(120)]
    assert lit[0]
    assert not lit[-1]


def test_another_size_of_picture_begins_anew() -> None:
    still = gate()
    now = settle(still)
    assert still.update(noise(1, 320, 240), now)


def test_without_a_gate_everything_is_looked_at() -> None:
    opened = MotionGate(MotionConfig(enabled=False))
    assert all(opened.update(noise(1), n / 10) for n in range(40))


@pytest.mark.parametrize("reason", ["black", "frozen"])
def test_a_blind_camera_is_reported_once_until_it_sees_again(reason: str) -> None:
    blindness = Blindness(seconds=2.0)
    same = noise(7)

    def picture(number: int) -> np.ndarray:
        return noise(number, level=4) if reason == "black" else same

    reports = [blindness.update(picture(n), n / 10) for n in range(50)]
    found = [(n, each) for n, each in enumerate(reports) if each]
    assert len(found) == 1
    number, (said, lasted) = found[0]
    assert said == reason
    assert lasted == pytest.approx(2.0, abs=0.11)
    assert number in (20, 21)
    assert blindness.update(noise(1000), 5.1) is None
    again = [blindness.update(picture(n), 5.2 + n / 10) for n in range(30)]
    assert sum(each is not None for each in again) == 1


def test_a_repeated_picture_is_noticed_at_once() -> None:
    blindness = Blindness(seconds=5.0)
    picture = noise(1)
    blindness.update(picture, 0.0)
    assert not blindness.repeated
    blindness.update(picture, 0.1)
    assert blindness.repeated
    blindness.update(noise(2), 0.2)
    assert not blindness.repeated


def test_a_picture_allocates_nothing() -> None:
    moving, blindness = gate(), Blindness(5.0)
    pictures = [noise(seed, width=2560, height=1920) for seed in range(4)]
    tracemalloc.start()
    for number, picture in enumerate(pictures):
        moving.update(picture, number)
        blindness.update(picture, number)
        if number == 1:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy converts through a small buffer of its own.
    assert peak - before < 2560 * 1920 / STRIDE**2, "less than a flag for each pixel looked at"
