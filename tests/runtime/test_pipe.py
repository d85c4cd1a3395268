"""Raw sound on a pipe: how often a reader wakes, and how fast it goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.audio.pipe import PipeSource

STEPS = 2
BLOCK = STEPS * HOP


@pytest.fixture
def pipe() -> Iterator[tuple[PipeSource, int]]:
    """A source and the descriptor that its sound is written to."""
    reading, writing = os.pipe()
    source = PipeSource(STEPS, 2.0, reading)
    source.open()
    yield source, writing
    source.close()
    os.close(reading)


def write(descriptor: int, samples: np.ndarray, chunk: int, pause: float) -> threading.Thread:
    """Write int16 samples in chunks, from a thread of its own, and close."""

    def run() -> None:
        begun = time.monotonic()
        for number, at in enumerate(range(0, len(samples), chunk)):
            time.sleep(max(0.0, begun + number * pause - time.monotonic()))
            os.write(descriptor, samples[at : at + chunk].tobytes())
        os.close(descriptor)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def hear(source: PipeSource) -> np.ndarray:
    """All the blocks of a source, one after the other."""
    blocks, pcm = [], np.zeros(BLOCK, np.float32)
    while source.read(pcm) is not None:
        blocks.append(pcm.copy())
    return np.concatenate(blocks)


def test_small_pieces_in_real_time_do_not_each_wake_the_reader(
    pipe: tuple[PipeSource, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, writing = pipe
    reads = 0
    readv = os.readv

    def counted(descriptor: int, buffers: list[memoryview]) -> int:
        nonlocal reads
        reads += 1
        return readv(descriptor, buffers)

    monkeypatch.setattr(os, "readv", counted)
    sound = np.random.default_rng(0).integers(-9_000, 9_000, 12 * BLOCK).astype("<i2")
    piece = SAMPLE_RATE // 100
    thread = write(writing, sound, piece, piece / SAMPLE_RATE)
    heard = hear(source)
    thread.join()
    assert heard == pytest.approx(sound / 32_768)
    # 192 pieces, 16 of them in the first block, which cannot know yet that they come in real time.
    assert reads < 90


def test_sound_that_is_there_is_not_waited_for(pipe: tuple[PipeSource, int]) -> None:
    source, writing = pipe
    sound = np.random.default_rng(1).integers(-9_000, 9_000, 125 * BLOCK).astype("<i2")
    begun = time.monotonic()
    thread = write(writing, sound, 10 * BLOCK, 0.0)
    heard = hear(source)
    thread.join()
    assert time.monotonic() - begun < 5  # of 20 s of sound
    assert heard == pytest.approx(sound / 32_768)
