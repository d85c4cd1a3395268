"""Pictures from videos, folders, streams and devices, with what can go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.errors import SourceError
from daemon.vision.camera import CameraSource, list_cameras, without_password
from daemon.vision.capture import MOST_HANGING, Capture
from daemon.vision.frames import CameraLost, Frame
from daemon.vision.pictures import read_image, rotate
from daemon.vision.settings import CameraConfig
from daemon.vision.sources import make_source
from tests.vision.pictures import Stream, noise, numbered, write_video


def all_frames(config: CameraConfig) -> list[tuple[float, int]]:
    """Time since the first picture, and brightness, of every picture of a source."""
    source = make_source(config)
    source.open()
    found = []
    while (frame := source.read()) is not None:
        found.append((frame.time, int(np.median(frame.image))))
    source.close()
    return [(round(at - found[0][0], 3), level) for at, level in found]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "v.avi", [numbered(5 * n) for n in range(30)], fps=30)


def test_a_video_gives_no_more_pictures_a_second_than_are_wanted(video: Path) -> None:
    config = CameraConfig(source="file", path=video, pace="fast", fps=10)
    frames = all_frames(config)
    assert [at for at, _ in frames] == pytest.approx([0.1 * n for n in range(10)], abs=0.002)
    assert [level for _, level in frames] == pytest.approx([15 * n for n in range(10)], abs=3)


def test_a_paced_video_takes_as_long_as_it_is(video: Path) -> None:
    began = time.monotonic()
    frames = all_frames(CameraConfig(source="file", path=video, fps=10))
    assert len(frames) == 10
    assert 0.85 < time.monotonic() - began < 2


def test_a_folder_gives_its_pictures_by_name_and_names_what_it_leaves_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, level in (("b.png", 20), ("a.png", 10), ("d.png", 40)):
        cv2.imwrite(str(tmp_path / name), numbered(level))
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not looked at")
    config = CameraConfig(source="folder", path=tmp_path, pace="fast")
    assert [level for _, level in all_frames(config)] == [10, 20, 40]
    assert "c.jpg: not a picture, or damaged" in caplog.text


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"", "is empty"), (b"nothing that plays" * 99, "not a video")],
)
def test_a_file_that_is_no_video_is_one_clear_line(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "v.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=says) as caught:
        make_source(CameraConfig(source="file", path=path)).open()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def slow_video(path: Path, count: int) -> Path:
    """A Matroska file that says 30 pictures a second and has 24, as of a camera in the dark."""
    size = noise(0).shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(noise(number))
    writer.release()
    content = bytearray(path.read_bytes())
    unit = content.index(b"\x2a\xd7\xb1\x83") + 4  # nanoseconds, of every time but the rate
    content[unit : unit + 3] = (1_250_000).to_bytes(3, "big")
    path.write_bytes(content)
    return path


def test_a_video_slower_than_it_says_is_whole_and_its_times_are_its_own(tmp_path: Path) -> None:
    path = slow_video(tmp_path / "v.mkv", 72)
    frames = all_frames(CameraConfig(source="file", path=path, pace="fast", fps=60))
    assert [at for at, _ in frames] == pytest.approx([n / 24 for n in range(72)], abs=0.002)
    frames = all_frames(CameraConfig(source="file", path=path, pace="fast", fps=6))
    assert [at for at, _ in frames] == pytest.approx([n / 6 for n in range(18)], abs=0.002)


@pytest.mark.parametrize("name", ["v.avi", "v.mkv"])
def test_a_truncated_video_is_not_just_a_short_one(tmp_path: Path, name: str) -> None:
    whole = tmp_path / name
    if whole.suffix == ".mkv":
        slow_video(whole, 72)
    else:
        write_video(whole, [noise(n) for n in range(40)])
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"truncated|not a video|damaged"):
        all_frames(CameraConfig(source="file", path=whole, pace="fast"))


def test_a_camera_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(SourceError, match=r"/dev/video97: no such camera; there is "):
        CameraSource(CameraConfig(device=97)).open()


def test_a_device_that_is_no_camera_is_one_clear_line() -> None:
    with pytest.raises(SourceError, match=r"/dev/null: not a camera"):
        CameraSource(CameraConfig(device="/dev/null")).open()


def test_a_password_in_an_address_is_never_shown() -> None:
    shown = without_password("rtsp://ada:secret@camera.local:554/live?x=1")
    assert shown == "rtsp://camera.local:554/live?x=1"
    assert without_password("/dev/video0") == "/dev/video0"
    shown = without_password("http://cam/cgi?loginuse=ada&loginpas=secret&Token=abc&fps=5&flag")
    assert shown == "http://cam/cgi?loginuse=...&loginpas=...&Token=...&fps=5&flag"
    assert without_password("http://cam/live?&=&a=1&key=") == "http://cam/live?&=&a=1&key="


def test_pictures_turn_clockwise() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 0] = 255
    turned = rotate(picture, 90)
    assert turned.shape == (3, 2, 3)
    assert turned[0, 1, 0] == 255
    assert np.array_equal(rotate(rotate(picture, 180), 180), picture)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_pictures_of_files_are_turned_as_those_of_a_camera(tmp_path: Path, kind: str) -> None:
    dark_left = noise(0)
    dark_left[:, :80] //= 4
    if kind == "folder":
        path = tmp_path
        cv2.imwrite(str(path / "a.png"), dark_left)
    else:
        path = write_video(tmp_path / "v.avi", [dark_left])
    config = {"source": kind, "path": path, "pace": "fast", "rotate": 90}
    source = make_source(CameraConfig.model_validate(config))
    source.open()
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.image.shape == (160, 120, 3)
    assert frame.image[:80].mean() < 40 < 100 < frame.image[80:].mean()


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 cut", b"GIF89a"])
def test_a_broken_picture_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"p\.jpg: (the file is empty|not a picture)"):
        read_image(path)


@pytest.fixture
def stream() -> Iterator[Stream]:
    server = Stream()
    server.start()
    yield server
    if server.runs:
        server.cut()


def capture_of(stream: Stream, stall: float = 1.0) -> Capture:
    config = CameraConfig(source="stream", url=stream.url, stall_seconds=stall)
    return Capture(lambda: make_source(config), stall)


def look_on(capture: Capture) -> None:
    for _ in range(30):
        capture.newest(0.2)


def test_capture_gives_the_newest_picture_and_each_only_once(stream: Stream) -> None:
    capture = capture_of(stream)
    capture.open()
    first = capture.newest(2.0)
    assert first is not None
    number = first.number
    time.sleep(0.6)
    second = capture.newest(2.0)
    assert second is not None
    assert second.number > number + 3, "the pictures in between are gone"
    assert time.monotonic() - second.captured < 0.5
    third = capture.newest(2.0)
    assert third is not None
    assert third.number > second.number
    capture.close()


def test_a_stream_that_stalls_or_is_cut_is_lost_and_comes_back(stream: Stream) -> None:
    capture = capture_of(stream)
    capture.open()
    assert capture.newest(2.0) is not None
    stream.stalled = True
    with pytest.raises(CameraLost):
        look_on(capture)
    stream.stalled = False
    assert capture.reopen()
    assert capture.newest(3.0) is not None
    stream.cut()
    with pytest.raises(CameraLost):
        look_on(capture)
    assert not capture.reopen()
    stream.start()
    assert capture.reopen()
    assert capture.newest(3.0) is not None
    capture.close()


def test_no_stream_is_one_clear_line(stream: Stream) -> None:
    stream.cut()
    with pytest.raises(SourceError, match=r"no pictures from this stream; check camera\.url"):
        capture_of(stream).open()


class Driver:
    """A camera that takes its time for a picture."""

    name = description = "device"
    live = endless = True

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stopped = threading.Event()

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        time.sleep(self._seconds)
        now = time.monotonic()
        return None if self._stopped.is_set() else Frame(noise(0), 0, now, now, time.time())

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        pass


def test_a_slow_camera_is_lost_after_the_time_of_a_stall_and_not_before() -> None:
    capture = Capture(lambda: Driver(0.5), stall_seconds=1.0)
    capture.open()
    found = [capture.newest(0.1) for _ in range(18)]
    capture.close()
    assert sum(each is not None for each in found) in (2, 3)
    capture = Capture(lambda: Driver(3.0), stall_seconds=0.3)
    capture.open()
    began = time.monotonic()
    with pytest.raises(CameraLost, match=r"no picture for 0\.3 s"):
        look_on(capture)
    assert 0.3 <= time.monotonic() - began < 1.0
    capture.close()


def test_a_camera_that_hangs_whenever_it_is_opened_holds_few_threads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[Driver] = []

    def make() -> Driver:
        made.append(Driver(1.0))
        return made[-1]

    capture = Capture(make, stall_seconds=0.2)
    before = threading.active_count()
    capture.open()
    assert [capture.reopen() for _ in range(6)] == [True] * 2 + [False] * 4
    assert threading.active_count() - before == MOST_HANGING == len(made)
    assert caplog.text.count("no other until one of them ends") == 1
    time.sleep(1.5)
    assert capture.reopen(), "they have let go"
    capture.close()


def test_a_camera_that_is_just_being_unplugged_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, files in enumerate([("index", "name"), ("index",), ()]):
        (tmp_path / f"video{number}").mkdir()
        for name in files:
            (tmp_path / f"video{number}" / name).write_text("0\n")
    monkeypatch.setattr("daemon.vision.camera.Path", lambda _: tmp_path)
    assert list_cameras() == [("/dev/video0", "0")]
