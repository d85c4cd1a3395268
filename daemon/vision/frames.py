"""Pictures and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(height, width, 3), blue, green, red."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of a camera. The image is valid until the next one is asked for."""

    image: Image
    number: int
    """Counts the pictures of a source, with those that were skipped."""
    time: float
    """Seconds on the clock of the source: of the picture in a video, of the machine for a camera.
    What belongs together in time is decided by this."""
    captured: float
    """:func:`time.monotonic` when it was captured: how old it is is decided by this."""
    taken: float
    """:func:`time.time` when it was captured, for people."""


class CameraLost(Exception):
    """The camera stopped delivering; it may come back. The message is the reason."""


class FrameSource(Protocol):
    """A camera, stream, video or folder that one thread opens, reads and closes."""

    name: str
    """What kind it is: device, stream, file or folder."""
    description: str
    """For people: the device or file and the size of its pictures."""
    live: bool
    """Whether it runs by the wall clock."""
    endless: bool
    """Whether its end is a loss (a camera) and not just the end (a video)."""

    def open(self) -> None:
        """Open it.

        Raises:
            SourceError: it cannot be had; the message says what to do.
        """

    def read(self) -> Frame | None:
        """Wait for the next picture; None at the end or after :meth:`stop`.

        Raises:
            CameraLost: no picture came.
            SourceError: the picture is damaged.
        """

    def stop(self) -> None:
        """Make a waiting :meth:`read` in another thread return soon."""

    def close(self) -> None:
        """Release it. Closing what is closed does nothing."""
