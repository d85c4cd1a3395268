"""The parallax of the nose: nothing that is done to a flat picture changes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.vision.parallax import turns
from daemon.vision.pose import MODEL
from tests.vision.heads import landmarks_of, seen

angle = st.floats(-35, 35)


@given(yaw=angle, distance=st.floats(30, 500))
def test_a_head_shows_by_parallax_how_far_it_is_turned(yaw: float, distance: float) -> None:
    left = turns(landmarks_of(yaw=yaw, distance=distance)[None])[0, 0]
    assert left == pytest.approx(yaw, abs=1 + 0.1 * abs(yaw))


@given(
    yaw=st.floats(-65, 65),
    pitch=st.floats(-50, 50),
    roll=st.floats(-180, 180),
    distance=st.floats(12, 200),
    shown=angle,
)
def test_a_picture_keeps_its_parallax_however_it_is_held(
    yaw: float, pitch: float, roll: float, distance: float, shown: float
) -> None:
    points = landmarks_of(yaw=shown)
    picture = np.column_stack([(points - points.mean(0)) / 10, np.zeros(5)])
    held = seen(picture, yaw, pitch, roll, distance)
    assert turns(held[None]) == pytest.approx(turns(points[None]), abs=1e-3)


@given(entries=st.lists(st.floats(-0.4, 0.4), min_size=8, max_size=8), shown=angle)
def test_no_homography_changes_it(entries: list[float], shown: float) -> None:
    points = landmarks_of(yaw=shown)
    points = (points - points.mean(0)) / 50
    matrix = np.eye(3) + np.array([*entries, 0.0]).reshape(3, 3)
    assume(abs(np.linalg.det(matrix)) > 0.05)
    mapped = np.column_stack([points, np.ones(5)]) @ matrix.T
    assume((mapped[:, 2] > 0.2).all())
    after = mapped[:, :2] / mapped[:, 2:]
    assert turns(after[None]) == pytest.approx(turns(points[None]), abs=1e-3)


def test_up_and_left_are_positive() -> None:
    left, up = turns(landmarks_of(yaw=15, pitch=10)[None])[0]
    assert 10 < left < 20
    assert 5 < up < 15


def test_many_are_as_one_by_one() -> None:
    many = np.stack([landmarks_of(yaw=each) for each in (-20.0, 0.0, 30.0)])
    assert turns(many) == pytest.approx(np.concatenate([turns(one[None]) for one in many]))


@given(st.lists(st.floats(0, 640), min_size=10, max_size=10))
def test_any_five_points_give_numbers(values: list[float]) -> None:
    assert np.isfinite(turns(np.array(values).reshape(1, 5, 2))).all()


def test_the_model_itself_looks_ahead() -> None:
    assert turns(MODEL[None, :, :2]) == pytest.approx(np.zeros((1, 2)), abs=1e-9)
