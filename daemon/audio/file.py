"""Sound from a file: anything that libsndfile reads, by the wall clock or as fast as it goes."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.audio.resample import Converter
from daemon.audio.ring import Ring
from daemon.audio.sources import Waiting, idle
from daemon.errors import SourceError

if TYPE_CHECKING:
    import soundfile

Array = npt.NDArray[np.float32]

FAST_HOPS = 25
"""Hops in a block when speed counts: two seconds, which is enough to hide the cost of a call."""
FLUSH_SECONDS = 0.64
"""Silence after the last sample, so that a word at the very end of a file is heard."""
_CHUNK_SECONDS = 1.0
_UNKNOWN = {0, 0x7FFFFFFF, 0xFFFFFFFF}
"""Lengths in the header of a WAV file that was written to a pipe."""


class FileSource:
    """A sound file, converted to 16 kHz mono."""

    name = "file"

    def __init__(self, path: Path, hops: int | None) -> None:
        """Read `path` in real time, `hops` at a time; None reads it as fast as possible."""
        self._path = path
        self.live = hops is not None
        self.hops = hops or FAST_HOPS
        self.description = str(path)
        self.overflows = self.padding = 0
        self._stopped = threading.Event()
        self._file: soundfile.SoundFile | None = None
        self._started = self._started_wall = 0.0
        self._given = 0

    def open(self) -> None:
        """Open the file and check that it holds sound, all of it."""
        import soundfile

        try:
            with self._path.open("rb"):  # the system's reason is clearer than libsndfile's
                pass
            file = soundfile.SoundFile(os.fsencode(self._path))  # also names that are no UTF-8
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be opened: {error.strerror}") from None
        except soundfile.LibsndfileError as error:
            if self._path.stat().st_size == 0:
                raise SourceError(f"{self._path}: the file is empty") from None
            reason = str(error.error_string).rstrip(".")
            raise SourceError(f"{self._path}: not a sound file: {reason}") from None
        self._file = file
        self._check()
        self.description = f"{self._path} ({file.samplerate} Hz, channels: {file.channels})"
        chunk = int(file.samplerate * _CHUNK_SECONDS)
        self._chunk = np.zeros((chunk, file.channels), np.float32)
        self._converter = Converter(file.samplerate, file.channels)
        self._frames = 0
        self._ended = False
        self._ring = Ring(FAST_HOPS * HOP + 4 * SAMPLE_RATE)
        self._given = 0
        self._started, self._started_wall = time.monotonic(), time.time()

    def read(self, pcm: Array, waiting: Waiting = idle) -> float | None:
        """Give the next block; by the wall clock, when a microphone would have given it."""
        while self._ring.available < len(pcm) and not self._ended:
            self._fill()
        if self._stopped.is_set() or self._ring.available == 0:
            return None
        if not self._ring.read(pcm[:, None]):
            left = self._ring.available
            self._ring.read(pcm[:left, None])
            pcm[left:] = 0
            self.padding += len(pcm) - left
        self._given += len(pcm)
        position = self._given / SAMPLE_RATE
        if self.live:
            # From the start of the file, not from the last block: no drift.
            self._stopped.wait(max(0.0, self._started + position - time.monotonic()))
        return None if self._stopped.is_set() else self._started_wall + position

    def wait(self, seconds: float) -> bool:
        """Let time pass; nothing tells that a file is there again but an attempt."""
        self._stopped.wait(seconds)
        return False

    def reopen(self) -> bool:
        """Open it anew, from its beginning: it was gone when it was to be opened again."""
        self.close()
        try:
            self.open()
        except SourceError:
            return False
        return True

    def stop(self) -> None:
        """End at the next block."""
        self._stopped.set()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _fill(self) -> None:
        assert self._file is not None, "read before open"
        import soundfile

        try:
            frames = self._file.read(out=self._chunk)
        except soundfile.LibsndfileError as error:
            raise SourceError(f"{self._path}: damaged: {error.error_string}") from None
        self._frames += len(frames)
        self._ended = len(frames) < len(self._chunk)
        # The length of an MP3 file without a header for it is an estimate.
        if self._ended and self._frames < 0.98 * self._file.frames:
            raise SourceError(self._truncated(self._frames, self._file.frames))
        if not np.isfinite(frames.sum()):
            raise SourceError(f"{self._path}: damaged: holds samples that are not numbers")
        self._ring.write(self._converter(frames, last=self._ended)[:, None])
        if self._ended:
            silence = np.zeros((int(FLUSH_SECONDS * SAMPLE_RATE), 1), np.float32)
            self._ring.write(silence)
            self.padding += len(silence)

    def _check(self) -> None:
        assert self._file is not None, "checked before open"
        if self._file.frames == 0:
            raise SourceError(f"{self._path}: holds no sound")
        # libsndfile shortens a cut file silently, but says so in its notes.
        notes = self._file.extra_info
        size = re.search(r"^ *(?:data|SSND) *: (\d+) \(should be (\d+)\)", notes, re.MULTILINE)
        if size and int(size[1]) not in _UNKNOWN and int(size[1]) > int(size[2]):
            raise SourceError(self._truncated(int(size[2]), int(size[1])))
        if "lacks an end-of-stream bit" in notes:
            raise SourceError(f"{self._path}: truncated: the Ogg stream has no end")

    def _truncated(self, have: int, want: int) -> str:
        return f"{self._path}: truncated: {have / want:.0%} of the promised sound is there"
