"""Which pictures become templates, and which of many are chosen."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.control import Client, Control
from daemon.door.settings import ControlConfig
from daemon.errors import PorterError, SourceError
from daemon.inference import CPU
from daemon.people import wire
from daemon.people.capture import COMMAND, CaptureDesk, CaptureOrder, DaemonCamera, LocalCamera
from daemon.people.enrolment import (
    WORTH_ADDING,
    Rejected,
    choose,
    from_portrait,
    portrait,
    reembed,
    repeated,
    sort_out,
    take,
)
from daemon.people.guide import CHOSEN, WANTED, Collection
from daemon.people.matching import Matcher
from daemon.people.records import Template
from daemon.vision.detector import open_detector
from daemon.vision.encoder import open_encoder
from daemon.vision.events import Quality
from daemon.vision.examination import Examiner
from daemon.vision.frames import Frame
from daemon.vision.settings import CameraConfig, QualityConfig
from daemon.vision.tracking import Tracker
from tests.faces import draw, write_face_models
from tests.people.people import near, template, vector
from tests.vision.pictures import Stream, write_video

ADA, BOB = vector(1), vector(2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_face_models(tmp_path_factory.mktemp("models"))
    return write_face_models(folder, encoder="other", seed=8)


@pytest.fixture(scope="module")
def examiner(models: Path) -> Examiner:
    return open_examiner(models, "face")


def open_examiner(models: Path, encoder: str) -> Examiner:
    return Examiner(
        open_detector(models / "facedetect.yaml", [CPU]),
        open_encoder(models / f"{encoder}.yaml", [CPU]),
        QualityConfig(),
    )


def quality(sharpness: float = 0.5, size: float = 150.0, yaw: float = 0.0) -> Quality:
    return Quality(size=size, sharpness=sharpness, brightness=0.5, yaw=yaw, pitch=0.0)


def matcher(*templates: Template) -> Matcher:
    return Matcher(templates, 0.6, 0.05, 0.05)


# Taking


def test_one_good_face_is_a_template(examiner: Examiner) -> None:
    found = take(examiner, draw(1), "ada.png", keep_picture=False)
    assert isinstance(found, Template)
    assert found.encoder.name == "face"
    assert found.source == "ada.png"
    assert found.picture is None
    assert np.linalg.norm(found.vector) == pytest.approx(1)


def test_a_kept_picture_gives_the_same_face_again(examiner: Examiner, models: Path) -> None:
    found = take(examiner, draw(3, 1, 2), "x", keep_picture=True)
    assert isinstance(found, Rejected)
    found = take(examiner, draw(1), "ada.png", keep_picture=True)
    assert isinstance(found, Template)
    assert found.picture is not None
    assert from_portrait(found.picture).shape == (224, 224, 3)
    again = reembed(examiner, found)
    assert isinstance(again, Template)
    assert np.sum((again.vector - found.vector) ** 2) < 0.05
    other = reembed(open_examiner(models, "other"), found)
    assert isinstance(other, Template)
    assert other.encoder.name == "other"
    assert np.sum((other.vector - found.vector) ** 2) > 0.5


def test_a_large_portrait_is_kept_smaller(examiner: Examiner) -> None:
    (found,) = examiner.examine(draw(1))
    large = np.kron(draw(1), np.ones((8, 8, 1), np.uint8)).astype(np.uint8)
    face = type(found.face)(found.face.box * 8, found.face.landmarks * 8, 0.9)
    assert max(from_portrait(portrait(large, face)).shape) == 640


def test_vectors_do_not_change_when_the_next_face_is_looked_at(examiner: Examiner) -> None:
    first = examiner.examine(draw(1))[0].vector
    before = first.copy()
    examiner.examine(draw(2))
    assert np.array_equal(first, before)


# Sorting out


def test_the_same_picture_twice_adds_nothing() -> None:
    one = template(vector=ADA, source="one.jpg")
    assert repeated(template(vector=near(ADA, 0.0005), source="two.jpg"), [one]) == Rejected(
        "two.jpg", "repeated", "the same picture as one.jpg"
    )
    assert repeated(template(vector=near(ADA, 0.05)), [one]) is None


def test_who_does_not_fit_the_others_is_left_out() -> None:
    own = [template(vector=near(ADA, 0.2, n), source=f"{n}.jpg") for n in range(3)]
    odd = template(vector=BOB, source="odd.jpg")
    kept, rejected = sort_out([odd, *own], [], "Ada", matcher())
    assert kept == own
    assert [(each.source, each.reason) for each in rejected] == [("odd.jpg", "another person")]
    kept, rejected = sort_out([odd], own, "Ada", matcher())
    assert (kept, len(rejected)) == ([], 1)


def test_who_is_enrolled_under_another_name_is_left_out() -> None:
    known = matcher(template(vector=BOB, person="Bob", id="1"))
    new = [template(vector=near(BOB, 0.3), source="b.jpg"), template(vector=ADA, source="a.jpg")]
    kept, (flaw,) = sort_out(new, [], "Ada", known)
    assert [each.source for each in kept] == ["a.jpg"]
    assert (flaw.source, flaw.reason) == ("b.jpg", "taken")
    assert "looks like Bob, who is enrolled (score 0.3" in flaw.message
    kept, rejected = sort_out(new[:1], [], "bob", known)
    assert (len(kept), rejected) == (1, [])
    assert sort_out(new[:1], [], "Ada", known)[0] == []


# Choosing


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)), max_size=12), st.integers(1, 6))
def test_chosen_ones_begin_with_the_best_and_all_differ(
    seeds: list[tuple[int, float]], count: int
) -> None:
    views = [
        template(vector=near(ADA, 0.3, seed), quality=quality(sharpness))
        for seed, sharpness in seeds
    ]
    chosen = choose(views, count)
    different = {seed for seed, _ in seeds}
    assert len(chosen) == min(count, len(different))
    if chosen:
        best = max(sharpness for _, sharpness in seeds)
        assert chosen[0].quality is not None
        assert chosen[0].quality.sharpness == best
    for number, one in enumerate(chosen):
        for other in chosen[:number]:
            assert np.sum((one.vector - other.vector) ** 2) >= WORTH_ADDING


def test_the_farthest_view_is_chosen_next() -> None:
    views = [
        template(vector=ADA, quality=quality(0.9), source="best"),
        template(vector=near(ADA, 0.1, 1), quality=quality(0.8), source="near"),
        template(vector=near(ADA, 0.6, 2), quality=quality(0.1), source="far"),
    ]
    assert [each.source for each in choose(views, 2)] == ["best", "far"]


# In front of a camera


@pytest.mark.parametrize(
    ("view", "shown", "good"),
    [
        ("straight", "straight", True),
        ("straight", "left", False),
        ("left", "left", True),
        ("left", "right", False),
        ("right", "right", True),
        ("right", "straight", False),
    ],
)
def test_a_view_takes_heads_that_are_turned_as_asked(
    examiner: Examiner, view: Any, shown: str, good: bool
) -> None:
    collection = Collection(view, "camera", keep_pictures=False)
    for seed in range(WANTED + 3):
        collection.add(examiner, draw(1, view=shown, noise=15, seed=seed))
    assert collection.full == good
    assert len(collection.good) == (WANTED if good else 0)
    assert len(collection.best) == (CHOSEN[collection.view] if good else 0)
    if not good:
        flaw, count = collection.rejected["turned"]
        assert count == WANTED + 3
        assert "look" in flaw.message or "turn" in flaw.message


def test_a_live_camera_is_asked_until_there_is_enough(examiner: Examiner) -> None:
    stream = Stream(fps=30)
    stream.picture = draw(1)
    stream.start()
    try:
        config = CameraConfig(source="stream", url=stream.url, stall_seconds=2.0)
        with LocalCamera(config, examiner, keep=False) as camera:
            assert camera.collect("straight", 20.0).full
            began = time.monotonic()
            assert camera.collect("left", 0.5).good == []
            assert time.monotonic() - began < 5
            stream.stalled = True
            with pytest.raises(SourceError, match="no picture"):
                camera.collect("straight", 30.0)
    finally:
        stream.cut()


def test_a_video_is_searched_for_each_view(examiner: Examiner, tmp_path: Path) -> None:
    pictures = [draw(1, view=view, seed=n) for view in ("left", "straight") for n in range(4)]
    video = write_video(tmp_path / "a.avi", pictures)
    config = CameraConfig(source="file", path=video, pace="fast")
    with LocalCamera(config, examiner, keep=False) as camera:
        assert len(camera.collect("straight", 1.0).good) == 4
        assert len(camera.collect("left", 1.0).good) == 4
        assert camera.collect("right", 1.0).rejected["turned"][1] == 8


def test_the_daemon_takes_the_pictures_when_it_has_the_camera(
    examiner: Examiner, tmp_path: Path
) -> None:
    """Control socket, desk and a thread that looks, as in the daemon."""
    observers: list[Any] = [None]
    ended = threading.Event()

    def look() -> None:
        tracker, number = Tracker(), 0
        while not ended.wait(0.01):
            number += 1
            image = draw(1, noise=10, seed=number)
            faces = examiner._detector.detect(image)
            present, _ = tracker.update(faces, number / 10)
            if observers[0] is not None:
                observers[0](Frame(image, number, number / 10, 0.0, 0.0), present)

    def observe(observer: Any) -> None:
        observers[0] = observer

    desk = CaptureDesk(examiner, lambda: "/dev/video0", keep=True, observe=observe)
    looking = threading.Thread(target=look)
    looking.start()

    async def serve() -> tuple[Collection, Collection, str]:
        control = Control(tmp_path / "porter.sock")
        control.on(COMMAND, CaptureOrder, desk.capture)
        await control.start()
        camera = DaemonCamera(Client(ControlConfig(path=tmp_path / "porter.sock"), patience=30))
        try:
            waiting = asyncio.create_task(asyncio.to_thread(camera.collect, "left", 2.0))
            await asyncio.sleep(0.5)
            refused = ""
            try:
                await asyncio.to_thread(camera.collect, "straight", 20.0)
            except PorterError as error:
                refused = str(error)
            left = await waiting
            return await asyncio.to_thread(camera.collect, "straight", 20.0), left, refused
        finally:
            await control.stop()

    try:
        straight, left, refused = asyncio.run(serve())
    finally:
        ended.set()
        looking.join()
    assert straight.full
    assert straight.source == "/dev/video0"
    assert all(each.picture for each in straight.good)
    assert {each.encoder.name for each in straight.good} == {"face"}
    assert left.good == []
    assert left.rejected["turned"][1] > 3
    assert "somebody else is being enrolled" in refused
    assert observers == [None]


@given(st.integers(0, 100), st.binary(min_size=1, max_size=50) | st.none(), st.booleans())
def test_templates_survive_the_wire(seed: int, picture: bytes | None, decoy: bool) -> None:
    sent = template(
        seed,
        picture=picture,
        quality=quality() if decoy else None,
        role="decoy" if decoy else "own",
        created="2026-01-01T00:00:00Z",
    )
    got = wire.from_json(wire.to_json(sent))
    assert np.array_equal(got.vector, sent.vector)
    for name in ("encoder", "source", "role", "quality", "picture", "created"):
        assert getattr(got, name) == getattr(sent, name)


@pytest.mark.parametrize(
    "change",
    [
        {"vector": "AAAA"},
        {"vector": "no base64!"},
        {"vector": wire._text(np.full(128, np.nan, "<f4").tobytes())},
        {"role": "boss"},
        {"encoder": {"name": "x"}},
        {"quality": {"size": 1}},
    ],
)
def test_what_is_no_template_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        wire.from_json(wire.to_json(template(1)) | change)
