"""A thread that captures, so that whoever looks always gets the newest picture."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from daemon.errors import SourceError
from daemon.vision.frames import CameraLost, Frame, FrameSource, Image

log = logging.getLogger(__name__)

MOST_HANGING = 3
"""Threads of a source that are left behind at a time: each holds memory, and perhaps the device."""


class Capture:
    """The newest picture of a source that runs by the wall clock.

    A driver or a dead connection can hang in the middle of a read, and nothing can wake it: then
    the thread is left behind, with its source, and a new one is made; but not without end.
    """

    def __init__(self, make: Callable[[], FrameSource], stall_seconds: float) -> None:
        self._make = make
        self._stall = stall_seconds
        self._last = 0.0
        self._reader: _Reader | None = None
        self._left: list[_Reader] = []
        """Those that were left behind."""
        self.source = make()

    def open(self) -> None:
        """Open the source and begin to capture.

        Raises:
            SourceError: it cannot be had.
        """
        self.source.open()
        self._reader = _Reader(self.source)
        self._last = time.monotonic()
        self._reader.start()

    def newest(self, patience: float) -> Frame | None:
        """Wait, at most `patience` seconds, for a picture that was not given yet.

        Returns:
            The newest picture, valid until the next call; None when there is none yet, or none
            any more (`ended`).

        Raises:
            CameraLost: none came from a camera for the time of a stall, or its stream ended.
            SourceError: the source is damaged.
        """
        reader = self._reader
        if reader is None:
            raise CameraLost(f"{self.source.description}: not open yet")
        frame = reader.take(patience)
        if frame is not None:
            self._last = time.monotonic()
        elif not self.source.endless:
            return None
        elif reader.ended:
            raise CameraLost(f"{self.source.description}: the stream ended")
        elif time.monotonic() - self._last > self._stall:
            raise CameraLost(f"{self.source.description}: no picture for {self._stall:g} s")
        return frame

    @property
    def ended(self) -> bool:
        """Whether all pictures were given that there are."""
        return self._reader is not None and self._reader.exhausted

    def reopen(self) -> bool:
        """Let go of the source, and try to open a new one like it."""
        self.close()
        if len(self._left) >= MOST_HANGING:
            return False
        self.source = self._make()
        try:
            self.open()
        except SourceError:
            return False
        return True

    def close(self, patience: float = 0.0) -> None:
        """Stop, and wait at most `patience` seconds until the source is closed.

        A thread that hangs is left behind; it closes its source if it ever wakes up.
        """
        self._left = [each for each in self._left if each.is_alive()]
        if self._reader is not None:
            self._reader.stop()
            self._reader.join(patience)
            self._left.append(self._reader)
            self._reader = None
            if len(self._left) == MOST_HANGING:
                log.error(
                    "%s: %d attempts to read it hang; no other until one of them ends",
                    self.source.description,
                    MOST_HANGING,
                )


class _Reader(threading.Thread):
    """Reads one source until it ends, fails or is told to stop; closes it."""

    def __init__(self, source: FrameSource) -> None:
        super().__init__(name=f"capture {source.name}", daemon=True)
        self._source = source
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._held: Image = np.zeros((0, 0, 3), np.uint8)
        self._failure: BaseException | None = None
        self.ended = False
        self.stopped = False

    def run(self) -> None:
        try:
            while not self.stopped and (frame := self._source.read()) is not None:
                with self._changed:
                    self._frame = frame
                    self._changed.notify()
        except BaseException as failure:  # whoever waits for a picture must hear of it
            self._failure = failure
        finally:
            self._source.close()
            with self._changed:
                self.ended = True
                self._changed.notify()

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to take, and no failure to hear of."""
        with self._changed:
            return self.ended and self._frame is None and self._failure is None

    def take(self, patience: float) -> Frame | None:
        """The newest picture; None: none within `patience` seconds, or none any more."""
        deadline = time.monotonic() + patience
        with self._changed:
            while self._frame is None and not self.ended and not self.stopped:
                if not self._changed.wait(deadline - time.monotonic()):
                    return None
            frame, self._frame = self._frame, None
            if frame is None:
                if self._failure is not None:
                    raise self._failure
                return None
            # The source will fill the same memory again, while this picture is being looked at.
            if self._held.shape != frame.image.shape:
                self._held = np.empty_like(frame.image)
            np.copyto(self._held, frame.image)
        return replace(frame, image=self._held)

    def stop(self) -> None:
        with self._changed:
            self.stopped = True
            self._changed.notify()
        self._source.stop()
