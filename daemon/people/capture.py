"""Who takes the pictures of an enrolment: this process, or the daemon that has the camera."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any, Protocol

from pydantic import Field

from daemon.control import Client, Peer
from daemon.errors import PorterError, SourceError
from daemon.people import wire
from daemon.people.enrolment import Rejected
from daemon.people.guide import Collection, View
from daemon.validation import Settings
from daemon.vision.capture import Capture
from daemon.vision.examination import Examiner
from daemon.vision.frames import CameraLost, Frame, FrameSource
from daemon.vision.settings import CameraConfig
from daemon.vision.sources import make_source
from daemon.vision.tracking import Track

COMMAND = "capture"
"""Of the control socket: take pictures of a view."""
FRAME_SECONDS = 3.0
"""Longest wait for a picture."""


class Camera(Protocol):
    """What takes pictures of a view, for so many seconds at most."""

    def collect(self, view: View, seconds: float) -> Collection:
        """Take pictures until there are enough.

        Raises:
            SourceError: the camera stopped delivering.
            PorterError: the daemon says why not.
        """


class LocalCamera:
    """The camera of the configuration, used by this process."""

    def __init__(self, config: CameraConfig, examiner: Examiner, keep: bool) -> None:
        self._config = config
        self._examiner = examiner
        self._keep = keep
        self._capture: Capture | None = None

    def __enter__(self) -> LocalCamera:
        """Open it.

        Raises:
            SourceError: it cannot be had.
        """
        if make_source(self._config).live:
            capture = Capture(lambda: make_source(self._config), self._config.stall_seconds)
            capture.open()
            self._capture = capture
        return self

    def __exit__(self, *_: object) -> None:
        if self._capture is not None:
            self._capture.close()

    def collect(self, view: View, seconds: float) -> Collection:
        """Take pictures until there are enough."""
        if self._capture is not None:
            frames = _live(self._capture, seconds)
            collection = Collection(view, self._capture.source.description, self._keep)
        else:
            # A video or folder that is read fast: each view is looked for in all of it.
            source = make_source(self._config)
            source.open()
            frames = _all(source)
            collection = Collection(view, source.description, self._keep)
        with closing(frames):
            for frame in frames:
                collection.add(self._examiner, frame.image)
                if collection.full:
                    break
        return collection


class DaemonCamera:
    """The camera of a running daemon, asked through its control socket."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def collect(self, view: View, seconds: float) -> Collection:
        """Let the daemon take pictures until there are enough."""
        said = self._client.ask(COMMAND, view=view, seconds=seconds)
        collection = Collection(view, said["source"], said["keep_pictures"])
        collection.good = [wire.from_json(each) for each in said["good"]]
        for each in said["rejected"]:
            flaw = Rejected(said["source"], each["reason"], each["message"])
            collection.rejected[flaw.reason] = (flaw, each["count"])
        return collection


class CaptureOrder(Settings):
    """What a command asks of the daemon."""

    view: View
    seconds: float = Field(ge=1, le=60)


Observer = Callable[[Frame, list[Track]], None]


class CaptureDesk:
    """The daemon's side: takes pictures of a view while it goes on looking."""

    def __init__(
        self,
        examiner: Examiner,
        source: Callable[[], str],
        keep: bool,
        observe: Callable[[Observer | None], None],
    ) -> None:
        """Be ready.

        Args:
            examiner: of the thread that looks, with its detector and encoder.
            source: says which camera it is, for people.
            keep: whether pictures are kept.
            observe: lets a callable see every picture with its faces, on the thread that looks;
                None ends it.
        """
        self._examiner = examiner
        self._source = source
        self._keep = keep
        self._observe = observe
        self._busy = False

    async def capture(self, order: CaptureOrder, peer: Peer) -> Mapping[str, Any]:
        """Answer the command `capture`.

        Raises:
            PorterError: somebody else is being enrolled.
        """
        if self._busy:
            raise PorterError("somebody else is being enrolled right now; try again")
        loop = asyncio.get_running_loop()
        full = asyncio.Event()
        collection = Collection(order.view, self._source(), self._keep)

        def see(frame: Frame, tracks: list[Track]) -> None:
            collection.add(self._examiner, frame.image, [track.face for track in tracks])
            if collection.full:
                loop.call_soon_threadsafe(full.set)

        self._busy = True
        self._observe(see)
        try:
            async with asyncio.timeout(order.seconds):
                await full.wait()
        except TimeoutError:
            pass  # what there is may do
        finally:
            self._observe(None)
            self._busy = False
        return {
            "source": self._source(),
            "keep_pictures": self._keep,
            "good": [wire.to_json(each) for each in list(collection.good)],
            "rejected": [
                {"reason": flaw.reason, "message": flaw.message, "count": count}
                for flaw, count in list(collection.rejected.values())
            ],
        }


def _live(capture: Capture, seconds: float) -> Generator[Frame, None, None]:
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until and not capture.ended:
            frame = capture.newest(FRAME_SECONDS)
            if frame is not None:
                yield frame
    except CameraLost as lost:
        raise SourceError(str(lost)) from None


def _all(source: FrameSource) -> Generator[Frame, None, None]:
    try:
        while (frame := source.read()) is not None:
            yield frame
    finally:
        source.close()
