"""Videos are written whole, or not at all."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.errors import OutputError
from daemon.vision.writing import VIDEO_CODECS, write_video

ROOM = 200_000
"""Bytes that a file may have on the disk of this test."""


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files that get no longer, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def pictures(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("ending", VIDEO_CODECS)
def test_a_full_disk_leaves_the_video_that_was_there(
    tmp_path: Path, small_disk: None, ending: str
) -> None:
    path = tmp_path / f"walk{ending}"
    assert write_video(path, pictures(3, 0), 10.0) == 3
    before = path.read_bytes()
    with pytest.raises(OutputError, match="cannot be written whole; is the disk full"):
        write_video(path, pictures(60, 1), 10.0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    video = cv2.VideoCapture(str(path))
    assert video.read()[0]
    video.release()


@pytest.mark.parametrize("ending", VIDEO_CODECS)
@pytest.mark.parametrize(("count", "rate"), [(1, 30.0), (2, 12.5), (50, 29.97), (31, 7.0)])
def test_a_whole_video_is_kept(tmp_path: Path, ending: str, count: int, rate: float) -> None:
    path = tmp_path / f"walk{ending}"
    assert write_video(path, pictures(count, 2), rate) == count
    assert path.exists()
