"""The thread that looks: from a camera through the gate and the networks to events.

What it has to say goes out through callables; what it is told it does between two pictures.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from daemon.errors import SourceError
from daemon.events import Data
from daemon.fields import Backoff
from daemon.vision.capture import Capture
from daemon.vision.events import CameraBlind, CameraRestored
from daemon.vision.events import CameraLost as CameraLostEvent
from daemon.vision.frames import CameraLost, Frame, FrameSource
from daemon.vision.motion import Blindness, MotionGate
from daemon.vision.settings import CameraConfig, MotionConfig
from daemon.vision.sources import make_source

log = logging.getLogger(__name__)

SLICE_SECONDS = 0.5
"""Longest wait for a picture between two signs of life."""
LETTING_GO_SECONDS = 1.0
"""Longest wait until a camera is let go of that another one shall take the place of."""


class Looker(Protocol):
    """What looks at pictures."""

    @property
    def attentive(self) -> bool:
        """Whether it wants every picture, also when nothing moves."""

    def look(self, frame: Frame) -> None:
        """Look at a picture."""

    def pause(self, time: float) -> None:
        """Nothing is to be seen at `time` (seconds): nothing moves, or the picture repeats."""

    def reset(self) -> None:
        """Forget whom it follows, as after a gap."""


class Watch(Protocol):
    """What sees every picture, also where nothing moves."""

    def see(self, frame: Frame) -> None:
        """Take a picture in which something can be seen."""

    def interrupt(self) -> None:
        """Nothing can be seen: the camera is covered, or lost."""


class CameraPipeline(threading.Thread):
    """Looks until the pictures end, a failure, or :meth:`stop`.

    Its callables run on this thread and must return at once: `publish` for what there is to say,
    `looking` after the first picture, `finished` at the end.
    """

    def __init__(
        self,
        config: CameraConfig,
        looker: Looker,
        publish: Callable[[Data], None],
        looking: Callable[[], None],
        finished: Callable[[], None],
        watch: Watch | None = None,
    ) -> None:
        super().__init__(name=f"look at {config.source}", daemon=True)
        self.beats = 0
        """Signs of life. Grows with every picture, and while a lost camera is waited for."""
        self.pictures = 0
        """Pictures that came."""
        self.failure: BaseException | None = None
        """Why it ended, if it did not end well."""
        self._config = config
        self._looker = looker
        self._watch = watch
        self._publish = publish
        self._looking = looking
        self._finished = finished
        self._stopping = threading.Event()
        self._tasks: deque[Callable[[], None]] = deque()
        self._gate = MotionGate(config.motion)
        self._blindness = Blindness(config.blind_seconds)
        # A video read as fast as possible loses nothing: no thread in between.
        self._source: FrameSource | Capture = self._make()

    @property
    def description(self) -> str:
        """For people: the camera and the size of its pictures."""
        return self._frames.description

    @property
    def _frames(self) -> FrameSource:
        return self._source.source if isinstance(self._source, Capture) else self._source

    def open(self) -> None:
        """Open the camera, before :meth:`start`.

        Raises:
            SourceError: it cannot be had.
        """
        self._source.open()

    def stop(self) -> None:
        """End soon. From any thread."""
        self._stopping.set()
        self._frames.stop()

    def do(self, task: Callable[[], None]) -> None:
        """Call `task` on the thread of the pipeline, between two pictures. From any thread."""
        self._tasks.append(task)

    def adopt(self, motion: MotionConfig) -> None:
        """Let other changes count as motion from now on. Call it on the thread of the pipeline."""
        self._gate.adopt(motion)

    def change(
        self, looker: Looker, config: CameraConfig | None, watch: Watch | None = None
    ) -> None:
        """Look with `looker` and `watch` from now on, at the camera of `config` if there is one.

        Call it by :meth:`do`. A camera that cannot be had counts as lost, and is tried again; one
        of which only is changed how its pictures are judged stays open.
        """
        self._looker.reset()
        self._looker, self._watch = looker, watch
        if config is None:
            return
        before, self._config = self._config, config
        if config.blind_seconds != before.blind_seconds:
            self._blindness = Blindness(config.blind_seconds)
        if _opened_alike(before, config):
            self.adopt(config.motion)
            return
        self._gate = MotionGate(config.motion)
        self._blindness.reset()
        if isinstance(self._source, Capture):
            # It may be the same device again, which only one can have.
            self._source.close(LETTING_GO_SECONDS)
        else:
            self._source.close()
        self._source = Capture(lambda: make_source(config), config.stall_seconds)
        with contextlib.suppress(SourceError):
            self._source.open()

    def run(self) -> None:
        """Look. The source is open already, and closed when this returns."""
        try:
            while not self._stopping.is_set():
                self._do_tasks()
                frame = self._next()
                if frame is not None:
                    self._see(frame)
                elif self._ended:
                    break
        except BaseException as failure:  # whatever it is, the service must hear of it
            self.failure = failure
        finally:
            self._source.close()
            self._finished()

    def _do_tasks(self) -> None:
        """Show life, and do what there is to do."""
        self.beats += 1
        while self._tasks:
            self._tasks.popleft()()

    @property
    def _ended(self) -> bool:
        return not isinstance(self._source, Capture) or (
            self._source.ended and not self._frames.endless
        )

    def _make(self) -> FrameSource | Capture:
        source = make_source(self._config)
        if not source.live:
            return source
        return Capture(lambda: make_source(self._config), self._config.stall_seconds)

    def _next(self) -> Frame | None:
        if not isinstance(self._source, Capture):
            return self._source.read()
        try:
            return self._source.newest(SLICE_SECONDS)
        except CameraLost as lost:
            if self._stopping.is_set():  # that is why nothing comes any more
                return None
            return self._recover(self._source, str(lost))

    def _see(self, frame: Frame) -> None:
        self.pictures += 1
        blind = self._blindness.update(frame.image, frame.time)
        if blind is not None and self._frames.endless:
            self._publish(CameraBlind(reason=blind[0], seconds=round(blind[1], 1)))
        if self._watch is not None:
            if self._blindness.black:
                self._watch.interrupt()
            else:
                self._watch.see(frame)
        moving = self._gate.update(frame.image, frame.time)
        # The same picture again is no new evidence of anything.
        if (moving or self._looker.attentive) and not self._blindness.repeated:
            self._looker.look(frame)
        else:
            self._looker.pause(frame.time)
        if self.pictures == 1:
            self._looking()

    def _recover(self, capture: Capture, reason: str) -> Frame | None:
        """Wait for the camera, with longer and longer waits between two attempts.

        Another one that takes its place meanwhile was tried already, and may be open.
        """
        lost_at = time.monotonic()
        self._looker.reset()
        if self._watch is not None:
            self._watch.interrupt()
        self._publish(CameraLostEvent(reason=reason))
        waits = _waits(self._config.reopen_backoff)
        while not self._stopping.is_set():
            if self._source is not capture:
                assert isinstance(self._source, Capture), "change makes no other"
                capture, waits = self._source, _waits(self._config.reopen_backoff)
            elif not self._rest(next(waits), capture) or not capture.reopen():
                continue
            frame = self._first(capture)
            if frame is not None:
                self._gate.reset()
                self._blindness.reset()
                lost = round(time.monotonic() - lost_at, 3)
                self._publish(CameraRestored(seconds_lost=lost, camera=self.description))
                return frame
            if self._ended:
                return None
        return None

    def _first(self, capture: Capture) -> Frame | None:
        """The first picture after a loss; a camera that opens but does not deliver is lost."""
        while not self._stopping.is_set() and self._source is capture:
            self._do_tasks()
            try:
                frame = capture.newest(SLICE_SECONDS)
            except CameraLost:
                return None
            if frame is not None or capture.ended:
                return frame
        return None

    def _rest(self, seconds: float, capture: Capture) -> bool:
        """Wait, with signs of life and doing what there is to do.

        Returns:
            Whether it was waited for `capture` to the end: nobody said stop or put another there.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._do_tasks()
            if self._source is not capture:
                return False
            if self._stopping.wait(min(left, SLICE_SECONDS)):
                return False
        return True


def _opened_alike(one: CameraConfig, other: CameraConfig) -> bool:
    """Whether two differ at most in what is decided after a picture has come, or none."""
    return one == other.model_copy(
        update={name: getattr(one, name) for name in ("motion", "blind_seconds", "reopen_backoff")}
    )


def _waits(backoff: Backoff) -> Iterator[float]:
    """Seconds to wait before each attempt, without end."""
    wait = backoff.initial
    while True:
        yield wait
        wait = min(2 * wait, backoff.maximum)
