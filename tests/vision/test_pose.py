"""Where a head looks, from its landmarks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.vision.pose import MODEL, pose, poses
from tests.vision.heads import landmarks_of, seen

angle = st.floats(-40, 40)


@given(yaw=angle, pitch=angle, roll=st.floats(-60, 60), scale=st.floats(0.5, 60))
def test_the_pose_of_a_far_head_is_found(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    far = landmarks_of(yaw, pitch, roll, distance=1e5, focal=1e5 * scale)
    found = pose(far)
    assert found.yaw == pytest.approx(yaw, abs=0.05)
    assert found.pitch == pytest.approx(pitch, abs=0.05)
    assert found.roll == pytest.approx(roll, abs=0.05)


def test_turning_to_ones_own_left_moves_the_nose_to_the_right_of_the_picture() -> None:
    straight, turned = landmarks_of(), landmarks_of(yaw=20)
    assert turned[2, 0] - turned[:2, 0].mean() > straight[2, 0] - straight[:2, 0].mean()
    assert pose(turned).yaw > 15
    assert pose(landmarks_of(pitch=15)).pitch > 10
    assert landmarks_of(pitch=15)[2, 1] < straight[2, 1]
    left_eye_lower = landmarks_of(roll=10)
    assert left_eye_lower[1, 1] > left_eye_lower[0, 1]
    assert pose(left_eye_lower).roll == pytest.approx(10, abs=1)


def test_mirroring_a_face_mirrors_its_yaw_and_roll() -> None:
    points = landmarks_of(yaw=17, pitch=5, roll=8)
    mirrored = (points * (-1, 1))[[1, 0, 2, 4, 3]]
    a, b = pose(points), pose(mirrored)
    assert (b.yaw, b.pitch, b.roll) == pytest.approx((-a.yaw, a.pitch, -a.roll), abs=0.01)


@given(
    yaw=angle,
    pitch=angle,
    stretch=st.floats(0.4, 2.5),
    shear=st.floats(-0.5, 0.5),
    turn=st.floats(-180, 180),
)
def test_no_affine_map_of_a_picture_turns_the_head_in_it(
    yaw: float, pitch: float, stretch: float, shear: float, turn: float
) -> None:
    points = landmarks_of(yaw, pitch)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    matrix = np.array([[c, -s], [s, c]]) @ np.array([[stretch, shear], [0.0, 1.0]])
    before, after = pose(points), pose(points @ matrix.T + (7, -3))
    assert (after.yaw, after.pitch) == pytest.approx((before.yaw, before.pitch), abs=0.01)


@given(yaw=st.floats(-35, 35), length=st.floats(0.7, 1.4))
def test_the_length_of_a_nose_scales_a_turn_and_keeps_its_side(yaw: float, length: float) -> None:
    head = MODEL.copy()
    head[2, 2] = head[[0, 1, 3, 4], 2].mean() + length * (head[2, 2] - head[[0, 1, 3, 4], 2].mean())
    found = pose(seen(head, yaw=yaw, distance=1e4, focal=1e5)).yaw
    assert abs(found) <= abs(yaw) * max(1.0, length) * 1.25 + 0.1
    assert abs(found) >= abs(yaw) * min(1.0, length) * 0.75 - 0.1
    assert found * yaw >= -0.1


def test_many_at_once_are_as_one_by_one() -> None:
    many = np.stack([landmarks_of(yaw=each, pitch=-each / 2) for each in (-30.0, 0.0, 12.5)])
    each = [pose(points) for points in many]
    assert poses(many) == pytest.approx(
        np.array([(one.yaw, one.pitch, one.roll) for one in each]), abs=0.001
    )


def test_landmarks_on_one_spot_are_no_error() -> None:
    spot: npt.NDArray[np.float32] = np.full((5, 2), 7, np.float32)
    assert pose(spot).yaw == 0
