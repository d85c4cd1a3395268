"""Where sound comes from. Every source gives 16 kHz mono in blocks of whole hops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from daemon.config import AudioConfig

Array = npt.NDArray[np.float32]
Waiting = Callable[[], None]
"""Is called now and then while nothing comes."""

SLICE_SECONDS = 1.0
"""Longest wait between two signs of life."""


class AudioLost(Exception):
    """The source stopped delivering; it may come back. The message is the reason."""


def idle() -> None:
    """Nobody has to know."""


def slices(seconds: float) -> Iterator[float]:
    """A wait in parts, until so much time has passed."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        yield min(left, SLICE_SECONDS)


class Source(Protocol):
    """A stream of sound that one thread opens, reads and closes."""

    name: str
    """What kind it is: microphone, file or pipe."""
    description: str
    """For people: the device or file, its rate and channels."""
    live: bool
    """Whether it runs by the wall clock, so that the age of a sample means something."""
    hops: int
    """Hops in a block."""
    overflows: int
    """Times that sound was lost because nobody took it in time."""
    padding: int
    """Samples of silence that were added at the end, among those that were given."""

    def open(self) -> None:
        """Open it.

        Raises:
            SourceError: it cannot be had; the message says what to do.
        """

    def read(self, pcm: Array, waiting: Waiting = idle) -> float | None:
        """Wait for the next block.

        Args:
            pcm: (hops * 1280,); filled with samples in [-1, 1].
            waiting: called once a second while there is none.

        Returns:
            The wall time, as of :func:`time.time`, at which the block's last sample was taken;
            None at the end of the sound or after :meth:`stop`.

        Raises:
            AudioLost: no sound came in time.
            SourceError: the sound is damaged.
        """

    def wait(self, seconds: float) -> bool:
        """After :class:`AudioLost`: wait, at most `seconds`, for a sign that it is back."""

    def reopen(self) -> bool:
        """After :class:`AudioLost`: whether it is back and :meth:`read` makes sense again."""

    def stop(self) -> None:
        """Make a waiting call in another thread return soon; the source is then only closed."""

    def close(self) -> None:
        """Release it. Closing what is closed does nothing."""


def make_source(config: AudioConfig) -> Source:
    """The source that the configuration asks for, not yet open."""
    steps = config.steps_per_wakeup
    if config.source == "file":
        from daemon.audio.file import FileSource

        assert config.path is not None, "the configuration is checked for this"
        return FileSource(config.path, None if config.pace == "fast" else steps)
    if config.source == "pipe":
        from daemon.audio.pipe import PipeSource

        return PipeSource(steps, config.stall_seconds)
    from daemon.audio.microphone import MicrophoneSource

    return MicrophoneSource(config.device, steps, config.stall_seconds)
