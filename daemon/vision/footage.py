"""A video file from end to end, as fast as it can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.listing import Skip, list_files
from daemon.vision.frames import Image
from daemon.vision.pictures import SUFFIXES as PICTURES
from daemon.vision.video import VideoSource

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}
"""Files that count as videos."""
EVERY = 1000.0
"""Pictures a second, more than any video has."""


def list_footage(given: Iterable[Path], *, skip: Skip | None = None) -> list[Path]:
    """The pictures and videos that are meant by files, folders and patterns.

    See :func:`daemon.listing.list_files`.

    Raises:
        SourceError: a folder cannot be listed or holds neither, or nothing fits a pattern.
    """
    return list_files(given, PICTURES | SUFFIXES, "pictures or videos", skip=skip)


def is_video(path: Path) -> bool:
    """Whether a file is called as videos are."""
    return path.suffix.lower() in SUFFIXES


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
        self.shape = self._source.shape
        """Height and width, as the header says."""
        self.length = max(0, self._source.promised)
        """Pictures that its header promises."""
        self.given = 0
        """Pictures that were read so far."""

    @property
    def seconds(self) -> float:
        """From the beginning to the picture that was given last."""
        return self._source.position

    def __iter__(self) -> Iterator[Image]:
        """The pictures; each is valid until the next one is asked for.

        Raises:
            SourceError: the video is damaged or cut off.
        """
        try:
            while (frame := self._source.read()) is not None:
                self.given += 1
                yield frame.image
        finally:
            self._source.close()
