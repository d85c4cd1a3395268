"""The transform is the best similarity, and faces come to lie where the template says."""

from __future__ import annotations

import doctest

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daemon.vision import alignment
from daemon.vision.alignment import ARCFACE, align, similarity, transform

coordinates = st.floats(-500, 500, allow_nan=False, width=32)
points = arrays(np.float64, (5, 2), elements=coordinates)
spread = points.filter(lambda p: np.ptp(p, axis=0).max() > 5)
angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.1, 10)
shifts = arrays(np.float64, (2,), elements=coordinates)


def moved(p: np.ndarray, angle: float, scale: float, shift: np.ndarray) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * p @ turn.T + shift


@given(spread, angles, scales, shifts)
def test_a_similarity_is_found_again(p, angle, scale, shift):
    target = moved(p, angle, scale, shift)
    assert np.allclose(transform(similarity(p, target), p), target, atol=1e-5)


@given(spread, points)
def test_never_a_reflection_nor_a_shear(p, q):
    (a, minus_b, _), (b, d, _) = similarity(p, q)
    assert a == pytest.approx(d)
    assert b == pytest.approx(-minus_b)
    assert a * d - minus_b * b >= 0


@given(spread, points, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), shifts)
def test_no_other_similarity_has_a_smaller_error(p, q, da, db, shift):
    best = similarity(p, q)
    other = best + np.array([[da, -db, shift[0]], [db, da, shift[1]]])

    def error(matrix):
        return ((transform(matrix, p) - q) ** 2).sum()

    assert error(best) <= error(other) * (1 + 1e-9) + 1e-6


@given(arrays(np.float64, (3, 5, 2), elements=coordinates), points)
def test_many_at_once_are_as_one_by_one(many, target):
    together = similarity(many, target)
    assert together.shape == (3, 2, 3)
    for matrix, one in zip(together, many):
        assert np.allclose(matrix, similarity(one, target))


@given(shifts, points)
def test_points_in_one_place_give_a_shift(place, target):
    matrix = similarity(np.tile(place, (5, 1)), target)
    assert np.allclose(matrix[:, :2], np.eye(2))
    assert np.allclose(transform(matrix, place[None]), target.mean(0))


def test_the_mirrored_face_is_not_turned_over():
    mirrored = ARCFACE * [-1, 1] + [112, 0]
    matrix = similarity(mirrored, ARCFACE)
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.9, 4.0, 9.0])
@pytest.mark.parametrize("angle", [-0.6, 0.0, 0.4])
def test_landmarks_come_to_lie_on_the_template(scale, angle):
    landmarks = moved(ARCFACE - 56, angle, scale, np.array([640.0, 560.0]))
    image = np.zeros((1120, 1280, 3), np.uint8)
    for point in landmarks:
        radius = max(2, round(3 * scale))
        cv2.circle(image, tuple(int(v) for v in np.round(point)), radius, (255,) * 3, -1)
    crop = align(image, landmarks).astype(float).sum(2)
    for x, y in ARCFACE:
        left, top = int(x) - 7, int(y) - 7
        window = crop[top : top + 15, left : left + 15]
        ys, xs = np.mgrid[: window.shape[0], : window.shape[1]]
        assert (window * xs).sum() / window.sum() + left == pytest.approx(x, abs=1.0)
        assert (window * ys).sum() / window.sum() + top == pytest.approx(y, abs=1.0)


def test_a_large_face_is_not_cut_out_with_holes():
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align(stripes, ARCFACE * 7 + 20)
    assert 110 < crop.mean() < 145
    assert crop.std() < 10


def test_it_writes_into_the_buffer_that_it_is_given():
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    buffer = np.zeros((112, 112, 3), np.uint8)
    crop = align(image, ARCFACE + 30, out=buffer)
    assert np.shares_memory(crop, buffer)
    assert np.array_equal(buffer, align(image, ARCFACE + 30))


@given(spread)
def test_any_landmarks_give_a_crop(landmarks):
    crop = align(np.full((60, 80, 3), 9, np.uint8), landmarks)
    assert crop.shape == (112, 112, 3)


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(alignment, extraglobs={"np": np}).failed == 0
