"""Objects: where a picture lies in the input, what rows of output mean, and when to say what."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from daemon.errors import ConfigError, ModelError
from daemon.inference import CPU
from daemon.vision.boxes import suppress
from daemon.vision.frames import Frame
from daemon.vision.objects.card import ObjectInput, ObjectOutput
from daemon.vision.objects.coding import decode, draw, grid, place, suppress_by_class, to_picture
from daemon.vision.objects.detector import open_object_detector
from daemon.vision.objects.settings import ObjectsConfig
from daemon.vision.objects.watch import ObjectWatch, Presence, open_watch
from tests.objects import CELL, COLOURS, OUTPUT, street, write_colour_detector

SIDES = st.integers(1, 900)


def an_input(**changes: Any) -> ObjectInput:
    told: dict[str, Any] = {
        "width": 320, "height": 256, "channels": "bgr", "mean": [0.0] * 3, "scale": 1.0,
    }  # fmt: skip
    return ObjectInput(**(told | changes))


@given(SIDES, SIDES, st.sampled_from(["corner", "centre"]), st.sampled_from([None, 32]))
def test_a_box_of_the_picture_comes_back_from_the_input(
    width: int, height: int, placement: str, multiple: int | None
) -> None:
    into = an_input(placement=placement, multiple=multiple)
    where, (input_height, input_width) = place(width, height, into)
    assert where.left + where.width <= input_width <= 320
    assert where.top + where.height <= input_height <= 256
    if multiple is None:
        assert (input_height, input_width) == (256, 320)
    box = np.float32([[0.1 * width, 0.2 * height, 0.5 * width, 0.6 * height]])
    shown = box * where.scale + np.float32([where.left, where.top, 0, 0])
    assert to_picture(shown, where, width, height) == pytest.approx(box, rel=1e-3, abs=1e-2)


@given(st.integers(1, 60), st.integers(1, 60))
def test_only_the_picture_is_drawn_and_the_rest_is_grey(width: int, height: int) -> None:
    into = an_input(width=64, height=64, placement="centre", fill=7, channels="rgb")
    where, size = place(width, height, into)
    pixels, out = np.zeros((3, *size), np.uint8), np.zeros((3, *size), np.float32)
    picture = np.full((height, width, 3), (10, 20, 30), np.uint8)
    draw(picture, where, into, pixels, out)
    shown = out[:, where.top : where.top + where.height, where.left : where.left + where.width]
    assert (shown == np.float32([30, 20, 10])[:, None, None]).all()
    assert (out == 7).all(0).sum() == out[0].size - shown[0].size


def test_pixels_are_shifted_and_scaled_as_the_card_says() -> None:
    into = an_input(width=32, height=32, mean=[1.0, 2.0, 3.0], scale=0.5)
    where, size = place(32, 32, into)
    pixels, out = np.zeros((3, *size), np.uint8), np.zeros((3, *size), np.float32)
    draw(np.full((32, 32, 3), 11, np.uint8), where, into, pixels, out)
    assert out[:, 0, 0].tolist() == [5.0, 4.5, 4.0]


@given(
    st.lists(st.tuples(*[st.floats(0, 300)] * 2, *[st.floats(1, 80)] * 2), min_size=1, max_size=20),
    st.integers(0, 2**31),
)
def test_every_coding_gives_the_boxes_that_were_coded(
    boxes: list[tuple[float, ...]], seed: int
) -> None:
    box = np.float32(boxes)
    cells = grid(256, 320, [8, 16, 32])
    cells = cells[np.random.default_rng(seed).integers(len(cells), size=len(box))]
    stride, corner, size = cells[:, 2:], box[:, :2], box[:, 2:]
    middle = corner + size / 2
    own = (cells[:, :2] + 0.5) * stride
    codes = {
        "corners": np.concatenate([corner, corner + size], 1),
        "centre": np.concatenate([middle, size], 1),
        "distances": np.concatenate([own - corner, corner + size - own], 1) / stride,
        "cells": np.concatenate([middle / stride - cells[:, :2], np.log(size / stride)], 1),
    }
    for form, code in codes.items():
        strides = [8, 16, 32] if form in ("distances", "cells") else []
        coding = ObjectOutput(boxes=form, strides=strides)  # type: ignore[arg-type]
        assert decode(code, coding, cells) == pytest.approx(box, abs=2e-2), form


@given(st.integers(0, 2**31), st.integers(0, 40))
def test_suppression_by_class_is_suppression_of_each_class(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(1, 60, (count, 4)).astype(np.float32)
    scores = 1 + rng.permutation(count).astype(np.float32)
    classes = rng.integers(0, 3, count)
    stays = suppress_by_class(boxes, scores, classes, 0.4)
    expected = set()
    for each in range(3):
        own = np.flatnonzero(classes == each)
        expected |= set(own[suppress(boxes[own], scores[own], 0.4)].tolist())
    assert set(stays.tolist()) == expected
    assert (np.diff(scores[stays]) < 0).all()


def test_objects_are_found_where_they_are(tmp_path: Path) -> None:
    detector = open_object_detector(write_colour_detector(tmp_path), [CPU])
    assert {each.name for each in detector.detect(street(("dog", 2, 3), ("person", 7, 5)))} == {
        "dog",
        "person",
    }
    assert detector.detect(street()) == []
    big = np.kron(street(("dog", 2, 3)), np.ones((2, 2, 1), np.uint8))
    (dog,) = detector.detect(big)
    assert dog.box == pytest.approx((2 * 2 * CELL, 2 * 3 * CELL, 2 * CELL, 2 * CELL), abs=1)


def test_only_the_classes_asked_for_are_found(tmp_path: Path) -> None:
    detector = open_object_detector(write_colour_detector(tmp_path), [CPU], names=["dog"])
    both = street(("dog", 2, 3), ("person", 7, 5))
    assert [each.name for each in detector.detect(both)] == ["dog"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"classes": ["person", "person"]}, "person is listed twice"),
        ({"output": {"boxes": "distances"}}, "needed with boxes: distances or cells"),
        ({"output": {"boxes": "cells", "strides": [7]}}, "7 does not divide"),
        (
            {"output": OUTPUT | {"strides": [CELL // 2]}},
            "have 400 cells in 320x320 .* gives 100 rows",
        ),
        ({"classes": ["person", "cat"]}, "its classes is"),
        ({"threshold": 2}, "threshold"),
        ({"kind": "face-detector"}, "kind"),
        ({"sha256": "0" * 64}, "damaged or not the file"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path: Path, changes: Any, complaint: str) -> None:
    card = write_colour_detector(tmp_path, **changes)
    with pytest.raises(ModelError, match=complaint):
        open_object_detector(card, [CPU])


def test_a_file_that_fails_on_the_size_in_its_card_is_refused(tmp_path: Path) -> None:
    card = write_colour_detector(tmp_path)
    model = onnx.load(card.with_suffix(".onnx"))
    (shape,) = [each for each in model.graph.initializer if each.name == "flat"]
    shape.CopyFrom(numpy_helper.from_array(np.array([1, 4 + len(COLOURS), 3]), "flat"))
    raw = model.SerializeToString()
    card.with_suffix(".onnx").write_bytes(raw)
    told = yaml.safe_load(card.read_text()) | {"sha256": hashlib.sha256(raw).hexdigest()}
    card.write_text(yaml.safe_dump(told))
    with pytest.raises(ModelError, match=r"objects\.onnx: fails on 320x320 pixels: .*"):
        open_object_detector(card, [CPU])


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    file = write_colour_detector(tmp_path).with_suffix(".onnx")
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 0 if damage == "empty" else 300])
    with pytest.raises(ModelError, match=r"objects\.onnx"):
        open_object_detector(file, [CPU])


COUNTS = st.lists(st.integers(0, 4), max_size=30)


@given(COUNTS)
def test_what_is_said_was_seen_twice_and_is_more_than_was_said(counts: list[int]) -> None:
    presence, said = Presence(), 0
    for number, count in enumerate(counts):
        told = presence.update(count, float(number), hold=1e9)
        if told is not None:
            assert said < told <= min(count, counts[number - 1])
            said = told
    doubles = [min(pair) for pair in pairwise(counts)]
    assert said == max(doubles, default=0)


def test_what_was_away_for_long_is_said_again() -> None:
    presence = Presence()
    looks = [(0, 1), (1, 1), (2, 1), (3, 0), (8, 1), (9, 1), (10, 0), (25, 1), (26, 1)]
    told = [presence.update(count, float(time), hold=10) for time, count in looks]
    assert told == [None, 1, None, None, None, None, None, None, 1]


def frame(picture: Any, time: float) -> Frame:
    return Frame(picture, 0, time, time, time)


def watching(tmp_path: Path, said: list[Any], **settings: Any) -> ObjectWatch:
    model = str(write_colour_detector(tmp_path))
    config = ObjectsConfig(model=model, classes=["person", "dog"], **settings)
    return open_watch(config, [CPU], 1, said.append)


def test_a_dog_that_stays_is_said_once_and_while_nothing_moves_it_stays(tmp_path: Path) -> None:
    said: list[Any] = []
    watch = watching(tmp_path, said)
    there = street(("dog", 2, 3))
    for tick in range(20):
        watch.look(frame(there, tick / 10))
    assert [(each.object, each.count) for each in said] == [("dog", 1)]
    assert said[0].box == pytest.approx([2 * CELL, 3 * CELL, CELL, CELL], abs=1)
    watch.pause(1000.0)
    for tick in range(20):
        watch.look(frame(there, 1000.5 + tick / 10))
    assert len(said) == 1
    for tick in range(20):
        watch.look(frame(street(("dog", 2, 3), ("dog", 5, 3)), 1003 + tick / 10))
    assert [each.count for each in said] == [1, 2]
    watch.reset()
    for tick in range(20):
        watch.look(frame(there, 1006 + tick / 10))
    assert [each.count for each in said] == [1, 2, 1]


def test_who_left_before_everything_was_still_is_said_when_they_come_again(tmp_path: Path) -> None:
    said: list[Any] = []
    watch = watching(tmp_path, said)
    visitor = street(("person", 2, 3), ("dog", 5, 3))
    for tick in range(20):
        watch.look(frame(visitor, tick / 10))
    for tick in range(20):
        watch.look(frame(street(("dog", 5, 3)), 2 + tick / 10))
    for tick in range(600):
        watch.pause(4 + tick / 10)
    for tick in range(20):
        watch.look(frame(visitor, 64 + tick / 10))
    assert sorted(each.object for each in said) == ["dog", "person", "person"]


def test_it_looks_at_most_twice_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watching(tmp_path, [])
    looked: list[float] = []
    monkeypatch.setattr(watch._detector, "detect", lambda _: looked.append(1.0) or [])
    for tick in range(100):
        watch.look(frame(street(), tick / 10))
    assert len(looked) == 20


def test_an_unknown_class_is_a_wrong_configuration(tmp_path: Path) -> None:
    model = str(write_colour_detector(tmp_path))
    with pytest.raises(ConfigError, match=r"objects\.classes: model objects does not know 'dgo'"):
        open_watch(ObjectsConfig(model=model, classes=["dgo"]), [CPU], 1, print)
