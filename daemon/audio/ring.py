"""A ring between one thread that writes sound and one that reads it.

No locks and no allocation: the writer alone moves `written`, the reader alone moves `taken`, and
both only grow. What does not fit is dropped and counted, for a writer must never wait.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Ring:
    """A ring of frames; a frame is one sample of every channel."""

    def __init__(self, capacity: int, channels: int = 1) -> None:
        self._frames = np.zeros((capacity, channels), np.float32)
        self._capacity = capacity
        self.written = 0
        """Frames ever written."""
        self.taken = 0
        """Frames ever read."""
        self.dropped = 0
        """Frames that did not fit."""

    @property
    def available(self) -> int:
        """Frames that can be read now."""
        return self.written - self.taken

    def write(self, frames: Array) -> bool:
        """Append frames, (n, channels); False if they do not fit and are dropped."""
        count, start = len(frames), self.written % self._capacity
        if count > self._capacity - self.available:
            self.dropped += count
            return False
        first = min(count, self._capacity - start)
        self._frames[start : start + first] = frames[:first]
        if first < count:
            self._frames[: count - first] = frames[first:]
        self.written += count
        return True

    def read(self, out: Array) -> bool:
        """Take `len(out)` frames, (n, channels); False, and nothing taken, if there are fewer."""
        count, start = len(out), self.taken % self._capacity
        if count > self.available:
            return False
        first = min(count, self._capacity - start)
        out[:first] = self._frames[start : start + first]
        if first < count:
            out[first:] = self._frames[: count - first]
        self.taken += count
        return True

    def clear(self) -> None:
        """Drop what was not read. Call it from the reader's side."""
        self.taken = self.written
