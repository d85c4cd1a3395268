"""A video from end to end: its pictures with what was found in each, and the video drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from daemon.errors import OutputError
from daemon.vision.frames import Image
from daemon.vision.video import VideoSource

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}
"""Files that count as videos."""
EVERY = 1000.0
"""Pictures a second, more than any video has."""


class Footage:
    """All pictures of a video, as fast as they can be read."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            SourceError: it cannot be read.
        """
        self._source = VideoSource(path, EVERY, paced=False)
        self._source.open()
        self.rate = self._source.rate
        """Pictures a second."""
        self.length = max(0, self._source.promised)
        """Pictures that its header promises."""

    def __iter__(self) -> Iterator[Image]:
        """The pictures; each is valid until the next one is asked for.

        Raises:
            SourceError: the video is damaged or cut off.
        """
        try:
            while (frame := self._source.read()) is not None:
                yield frame.image
        finally:
            self._source.close()


class Recorder:
    """Writes a video (MP4) of the size of its first picture."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: Image) -> None:
        """Add a picture.

        Raises:
            OutputError: the file cannot be written.
        """
        if self._writer is None:
            size = (image.shape[1], image.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate, size)
            if not self._writer.isOpened():
                raise OutputError(f"{self._path}: cannot be written")
        self._writer.write(image)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


@contextmanager
def recording(path: Path | None, rate: float) -> Iterator[Recorder | None]:
    """A recorder that is closed in the end; None without a path."""
    recorder = Recorder(path, rate) if path is not None else None
    try:
        yield recorder
    finally:
        if recorder is not None:
            recorder.close()
