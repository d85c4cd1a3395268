"""A sound file that is gone while it is listened to, or waited for."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from daemon.audio.file import FileSource
from daemon.audio.pipeline import Orders, Pipeline
from daemon.audio.sources import make_source
from daemon.config import AudioConfig
from tests.sounds import scene, write


def test_a_file_plays_on_where_another_cannot_be_had(tmp_path: Path) -> None:
    path = write(tmp_path / "talk.wav", scene(1))
    said: list[Any] = []
    over = threading.Event()
    audio = AudioConfig(source="file", path=path, pace="fast")
    source = make_source(audio)
    pipeline = Pipeline(
        source, Orders([], audio, 0), lambda data, _: said.append(data), lambda: None, over.set
    )
    source.open()
    path.unlink()
    none = audio.model_copy(update={"path": tmp_path / "none.wav"})
    pipeline.change(Orders([], none, 1))
    pipeline.start()
    assert over.wait(10)
    assert pipeline.failure is None
    assert said == []
    assert pipeline.audio_seconds == 1.0, "neither cut short nor heard twice"


def test_waiting_for_a_file_ends_when_it_shall_stop(tmp_path: Path) -> None:
    source = FileSource(tmp_path / "none.wav", None)
    threading.Timer(0.2, source.stop).start()
    began = time.monotonic()
    assert not source.wait(10.0)
    assert 0.1 < time.monotonic() - began < 2.0
