"""A sound file that is deleted while another one, which cannot be had, shall take its place."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from daemon.audio.file import FileSource
from daemon.audio.pipeline import Orders, Pipeline
from daemon.fields import Backoff
from tests.sounds import scene, write


def test_a_file_is_waited_for_without_haste_and_read_when_it_is_there_again(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "talk.wav", scene(1))
    said: list[Any] = []
    over = threading.Event()
    backoff = Backoff(initial=0.1, maximum=0.3)
    source = FileSource(path, None)
    pipeline = Pipeline(source, [], backoff, said.append, lambda: None, over.set)
    source.open()
    away = path.rename(tmp_path / "away.wav")
    pipeline.change(Orders([], backoff, FileSource(tmp_path / "none.wav", None)))
    pipeline.start()
    time.sleep(1.0)
    assert [each.type for each in said] == ["porter.audio.lost"]
    assert 1 < pipeline.beats < 30, "it shows life, and does not spin"
    away.rename(path)
    assert over.wait(5)
    assert pipeline.failure is None
    assert [each.type for each in said] == ["porter.audio.lost", "porter.audio.restored"]
    assert pipeline.heard > 16_000


def test_waiting_for_a_file_ends_when_it_shall_stop(tmp_path: Path) -> None:
    source = FileSource(tmp_path / "none.wav", None)
    threading.Timer(0.2, source.stop).start()
    began = time.monotonic()
    assert not source.wait(10.0)
    assert 0.1 < time.monotonic() - began < 2.0
