"""The thread that looks: real streams that are lost, blind, still; who looks is a stand-in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from daemon.errors import SourceError
from daemon.fields import Backoff
from daemon.vision.frames import Frame
from daemon.vision.pipeline import CameraPipeline
from daemon.vision.settings import CameraConfig, MotionConfig
from tests.vision.pictures import Stream, noise, numbered, write_video

PATIENCE = 8.0


class Eye:
    """Counts what it is shown."""

    def __init__(self) -> None:
        self.attentive = False
        self.looked: list[float] = []
        self.pauses = 0
        self.resets = 0

    def look(self, frame: Frame) -> None:
        self.looked.append(frame.time)

    def pause(self, time: float) -> None:
        self.pauses += 1

    def reset(self) -> None:
        self.resets += 1


class Looking:
    """A pipeline that runs, and what came of it."""

    def __init__(self, config: CameraConfig) -> None:
        self.config = config
        self.eye = Eye()
        self.said: list[Any] = []
        self.first = threading.Event()
        self.over = threading.Event()
        self.pipeline = CameraPipeline(
            config, self.eye, self.said.append, self.first.set, self.over.set
        )
        self.pipeline.open()
        self.pipeline.start()

    def types(self) -> list[str]:
        return [each.type.removeprefix("porter.camera.") for each in self.said]

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self.types(), self.eye.looked[-3:])
            time.sleep(0.02)

    def stop(self) -> None:
        self.pipeline.stop()
        self.pipeline.join(3)
        assert not self.pipeline.is_alive()
        assert self.over.is_set()


def folder(path: Path, count: int, fps: float) -> CameraConfig:
    """So many pictures."""
    for number in range(count):
        cv2.imwrite(str(path / f"{number}.png"), noise(number))
    backoff = Backoff(initial=0.1, maximum=0.3)
    return CameraConfig(source="folder", path=path, fps=fps, reopen_backoff=backoff)


@pytest.fixture
def stream() -> Iterator[Stream]:
    server = Stream()
    server.start()
    yield server
    if server.runs:
        server.cut()


@pytest.fixture
def looking(stream: Stream) -> Iterator[Looking]:
    running = Looking(
        CameraConfig(
            source="stream",
            url=stream.url,
            stall_seconds=0.6,
            blind_seconds=0.8,
            reopen_backoff=Backoff(initial=0.1, maximum=0.3),
        )
    )
    yield running
    running.stop()


def test_a_lost_stream_is_said_once_waited_for_with_signs_of_life_and_restored(
    stream: Stream, looking: Looking
) -> None:
    assert looking.first.wait(PATIENCE)
    stream.cut()
    looking.wait(lambda: "lost" in looking.types())
    beats = looking.pipeline.beats
    time.sleep(1.0)
    assert looking.pipeline.beats > beats
    assert looking.eye.resets >= 1, "whoever was followed is forgotten"
    assert looking.types() == ["lost"]
    stream.start()
    looking.wait(lambda: "restored" in looking.types())
    assert looking.said[1].seconds_lost > 0.9
    seen = looking.pipeline.pictures
    looking.wait(lambda: looking.pipeline.pictures > seen + 3)


@pytest.mark.parametrize("after", [0.05 * n for n in range(6)])
def test_a_camera_that_is_told_to_stop_is_not_lost(looking: Looking, after: float) -> None:
    assert looking.first.wait(PATIENCE)
    time.sleep(after)
    looking.stop()
    assert looking.pipeline.failure is None
    assert looking.types() == []


def test_a_stream_that_stalls_is_lost(stream: Stream, looking: Looking) -> None:
    assert looking.first.wait(PATIENCE)
    stream.stalled = True
    looking.wait(lambda: "lost" in looking.types())
    assert "no picture" in looking.said[0].reason
    stream.stalled = False
    looking.wait(lambda: "restored" in looking.types())


def test_a_covered_camera_is_blind(stream: Stream, looking: Looking) -> None:
    assert looking.first.wait(PATIENCE)
    stream.picture = np.zeros_like(stream.picture)
    stream.moves = False
    looking.wait(lambda: "blind" in looking.types())
    assert looking.said[0].reason == "black"


def test_where_nothing_moves_nothing_is_looked_at_unless_the_door_waits(
    stream: Stream, looking: Looking
) -> None:
    assert looking.first.wait(PATIENCE)
    stream.moves = False
    looking.wait(lambda: looking.eye.pauses > 5)
    count = len(looking.eye.looked)
    time.sleep(0.5)
    assert len(looking.eye.looked) <= count + 1
    stream.moves = True  # now every picture differs, though by less than the gate wants
    looking.eye.attentive = True
    looking.wait(lambda: len(looking.eye.looked) > count + 4)


def test_another_camera_can_take_its_place(stream: Stream, looking: Looking) -> None:
    assert looking.first.wait(PATIENCE)
    other, eye = Stream(), Eye()
    other.start()
    config = CameraConfig(
        source="stream", url=other.url, reopen_backoff=Backoff(initial=0.1, maximum=0.3)
    )
    looking.pipeline.do(lambda: looking.pipeline.change(eye, config))
    looking.wait(lambda: len(eye.looked) > 3)
    assert str(other.port) in looking.pipeline.description
    assert looking.types() == [], "neither was lost"
    other.cut()


def test_a_camera_that_cannot_be_had_is_lost_and_tried_again(
    stream: Stream, looking: Looking
) -> None:
    assert looking.first.wait(PATIENCE)
    other, eye = Stream(), Eye()
    other.start()
    other.cut()
    config = looking.config.model_copy(update={"url": other.url})
    looking.pipeline.do(lambda: looking.pipeline.change(eye, config))
    looking.wait(lambda: looking.types() == ["lost"])
    other.start()
    looking.wait(lambda: looking.types() == ["lost", "restored"] and len(eye.looked) > 3)
    other.cut()


def test_a_camera_whose_pictures_are_judged_otherwise_stays_open(
    stream: Stream, looking: Looking
) -> None:
    assert looking.first.wait(PATIENCE)
    motion, eye = MotionConfig(enabled=False), Eye()
    config = looking.config.model_copy(update={"motion": motion, "blind_seconds": 0.5})
    before = looking.pipeline._source
    stream.moves = False
    looking.pipeline.do(lambda: looking.pipeline.change(eye, config))
    looking.wait(lambda: looking.types() == ["blind"])
    assert looking.said[0].seconds < 0.8
    assert looking.pipeline._source is before


class Device:
    """A camera that only one can have, and that takes a while to let go."""

    name = description = "device"
    live = endless = True
    had = False

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def open(self) -> None:
        if Device.had:
            raise SourceError("another program uses it")
        Device.had = True

    def read(self) -> Frame | None:
        now = time.monotonic()
        return None if self._stopped.wait(0.1) else Frame(noise(0), 0, now, now, time.time())

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        time.sleep(0.2)
        Device.had = False


def test_a_device_is_let_go_of_before_it_is_opened_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daemon.vision.pipeline.make_source", lambda _: Device())
    running, eye = Looking(CameraConfig()), Eye()
    assert running.first.wait(PATIENCE)
    running.pipeline.do(lambda: running.pipeline.change(eye, CameraConfig(width=1280)))
    running.wait(lambda: running.pipeline.pictures > 3 and eye.pauses + len(eye.looked) > 1)
    running.stop()
    assert running.types() == []


def test_a_single_picture_can_take_the_place_of_a_camera_that_is_lost(
    stream: Stream, looking: Looking, tmp_path: Path
) -> None:
    assert looking.first.wait(PATIENCE)
    stream.cut()
    looking.wait(lambda: "lost" in looking.types())
    config, eye = folder(tmp_path, 1, fps=10.0), Eye()
    looking.pipeline.do(lambda: looking.pipeline.change(eye, config))
    looking.pipeline.do(lambda: time.sleep(0.3))  # all of it has come before it is looked at
    assert looking.over.wait(PATIENCE)
    assert len(eye.looked) == 1


def test_pictures_can_take_the_place_of_a_camera_that_is_lost(
    stream: Stream, looking: Looking, tmp_path: Path
) -> None:
    assert looking.first.wait(PATIENCE)
    stream.cut()
    looking.wait(lambda: "lost" in looking.types())
    config, eye = folder(tmp_path, 3, fps=10.0), Eye()
    looking.pipeline.do(lambda: looking.pipeline.change(eye, config))
    assert looking.over.wait(PATIENCE)
    assert looking.pipeline.failure is None
    assert len(eye.looked) == 3, "it ends with the pictures, not before them"
    assert looking.types() == ["lost", "restored"]


def test_pictures_that_come_slowly_are_no_loss(tmp_path: Path) -> None:
    running = Looking(folder(tmp_path, 3, fps=1.0))
    assert running.over.wait(PATIENCE)
    assert running.pipeline.pictures == 3
    assert running.types() == []


def test_what_there_is_to_do_is_done_on_its_thread(looking: Looking) -> None:
    names: list[str] = []
    looking.pipeline.do(lambda: names.append(threading.current_thread().name))
    looking.wait(lambda: bool(names))
    assert names == ["look at stream"]


def test_a_video_is_looked_at_to_its_end_and_repeated_pictures_are_not(tmp_path: Path) -> None:
    moving = [noise(n) for n in range(10)]
    still = [numbered(90)] * 10
    path = write_video(tmp_path / "v.avi", moving + still)
    config = CameraConfig.model_validate(
        {"source": "file", "path": path, "pace": "fast", "motion": {"enabled": False}}
    )
    running = Looking(config)
    assert running.over.wait(PATIENCE)
    assert running.pipeline.failure is None
    assert running.pipeline.pictures == 20
    assert len(running.eye.looked) == 11
    assert running.eye.pauses == 9
    assert running.types() == []


def test_what_fails_in_the_looker_ends_the_pipeline_and_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", [noise(n) for n in range(10)])
    over = threading.Event()

    class Broken(Eye):
        def look(self, frame: Frame) -> None:
            raise ValueError("out of order")

    pipeline = CameraPipeline(
        CameraConfig(source="file", path=path), Broken(), print, lambda: None, over.set
    )
    pipeline.open()
    pipeline.start()
    assert over.wait(PATIENCE)
    pipeline.join(2)
    assert isinstance(pipeline.failure, ValueError)
