"""Raw sound on standard input, as from `arecord -t raw -f S16_LE -r 16000 -c 1 | porter run`."""

from __future__ import annotations

import errno
import os
import select
import threading
import time

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.audio.sources import AudioLost, Waiting, idle, slices
from daemon.errors import SourceError

Array = npt.NDArray[np.float32]

_NONE = -1, -1
_WIDTH = 2
_SCALE = np.float32(1 / 32_768)


class PipeSource:
    """16-bit little-endian mono samples at 16 kHz; the sound ends when the writer closes."""

    name = "pipe"
    description = "standard input, s16le, 16 kHz, mono"
    live = True

    def __init__(self, hops: int, stall_seconds: float, descriptor: int = 0) -> None:
        self.hops = hops
        self._descriptor = descriptor
        self._stall = stall_seconds
        self._bytes = bytearray(hops * HOP * _WIDTH)
        self._view = memoryview(self._bytes)
        self._samples = np.frombuffer(self._bytes, "<i2")
        self._filled = 0
        self._ended = False
        self._poll = select.poll()
        self._nap = select.poll()
        self._waker = _NONE
        self._real_time = False
        # Another thread may tell it to stop just while it closes.
        self._closing = threading.Lock()
        self.overflows = self.padding = 0

    def open(self) -> None:
        """Check that somebody writes."""
        if os.isatty(self._descriptor):
            raise SourceError(
                "audio.source: pipe, but standard input is a terminal; pipe sound into it: "
                "arecord -q -t raw -f S16_LE -r 16000 -c 1 | porter run"
            )
        self._waker = os.pipe()
        self._poll.register(self._descriptor, select.POLLIN)
        self._poll.register(self._waker[0], select.POLLIN)
        self._nap.register(self._waker[0], select.POLLIN)

    def read(self, pcm: Array, waiting: Waiting = idle) -> float | None:
        """Wait for a block of sound; the last one is filled up with silence."""
        begun = time.monotonic()
        while self._filled < len(self._bytes) and not self._ended:
            if self._real_time:
                self._sleep_till_full()
            ready = self._wait_for_sound(waiting)
            if ready is None:
                return None
            if not ready:
                raise AudioLost(f"no sound on standard input for {self._stall:g} s")
            self._ended = not self._take()
        # A writer that has all its sound ready, as `cat` has, must not be waited for.
        self._real_time = time.monotonic() - begun > self._seconds(len(self._bytes)) / 2
        if self._filled < _WIDTH:
            return None
        missing = len(self._bytes) - self._filled
        if missing:
            self._bytes[self._filled :] = bytes(missing)
            self.padding += missing // _WIDTH
        self._filled = 0
        np.multiply(self._samples, _SCALE, out=pcm)
        return time.time()

    def wait(self, seconds: float) -> bool:
        """Wait for the writer to go on, or to close."""
        return bool(self._wait(seconds))

    def reopen(self) -> bool:
        """Whether the writer went on, or closed."""
        return bool(self._wait(0))

    def stop(self) -> None:
        """Wake the reader."""
        with self._closing:
            if self._waker != _NONE:
                os.write(self._waker[1], b"x")

    def close(self) -> None:
        """Leave standard input alone; only the waker goes."""
        if self._waker == _NONE:
            return
        self._poll.unregister(self._waker[0])
        self._nap.unregister(self._waker[0])
        self._poll.unregister(self._descriptor)
        with self._closing:
            for descriptor in self._waker:
                os.close(descriptor)
            self._waker = _NONE

    def _sleep_till_full(self) -> None:
        """Let the rest of a block gather: waking for each piece of it would cost more than it."""
        self._nap.poll(self._seconds(len(self._bytes) - self._filled) * 1000)

    @staticmethod
    def _seconds(size: int) -> float:
        return size / (_WIDTH * SAMPLE_RATE)

    def _wait_for_sound(self, waiting: Waiting) -> bool | None:
        for seconds in slices(self._stall):
            ready = self._wait(seconds)
            if ready is not False:
                return ready
            waiting()
        return False

    def _wait(self, seconds: float) -> bool | None:
        """Whether there is something to read (or the end); None when told to stop."""
        ready = [descriptor for descriptor, _ in self._poll.poll(seconds * 1000)]
        return None if self._waker[0] in ready else bool(ready)

    def _take(self) -> bool:
        try:
            count = os.readv(self._descriptor, [self._view[self._filled :]])
        except OSError as error:
            if error.errno == errno.EISDIR:
                raise SourceError("standard input is a folder; pipe sound into it") from None
            raise SourceError(f"standard input cannot be read: {error.strerror}") from None
        self._filled += count
        return count > 0
