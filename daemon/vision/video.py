"""Pictures from a video file, by the wall clock or as fast as it goes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daemon.errors import SourceError
from daemon.vision.camera import BUFFERS
from daemon.vision.frames import Frame, Image
from daemon.vision.pictures import quiet, rotate

if TYPE_CHECKING:
    import cv2


class VideoSource:
    """A video that OpenCV can read."""

    name = "file"
    endless = False

    def __init__(self, path: Path, fps: float, turn: int = 0, *, paced: bool = True) -> None:
        """Give at most `fps` pictures for each second of the video, turned by `turn` degrees."""
        self.live = paced
        self.description = str(path)
        self._path = path
        self._fps = fps
        self._turn = turn
        self._capture: cv2.VideoCapture | None = None
        self._stopped = threading.Event()
        self._buffers: list[Image | None] = [None] * BUFFERS
        self._slot = 0
        self._number = 0
        self.shape = (0, 0)
        """Height and width, once it is open; (0, 0) if the file does not say."""
        self.rate = 25.0
        """Pictures a second, once it is open."""
        self.promised = 0
        """How many pictures its header says there are, once it is open; where it says only how long
        it is, as many as there would be at its rate."""
        self.position = 0.0
        """Seconds from its beginning to the last picture."""

    def open(self) -> None:
        """Open the file and check that it holds pictures."""
        import cv2

        quiet()
        try:
            with self._path.open("rb") as file:
                empty = not file.read(1)
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be opened: {error.strerror}") from None
        if empty:
            raise SourceError(f"{self._path}: the file is empty")
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise SourceError(f"{self._path}: not a video that can be read")
        self._capture = capture
        self.rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.shape = (height, width)
        self.description = f"{self._path} ({width} x {height}, {self.rate:g} pictures a second)"
        self.promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._started, self._started_wall = time.monotonic(), time.time()
        self._next = 0.0
        self.position = -1 / self.rate

    def read(self) -> Frame | None:
        """The next picture that is wanted."""
        assert self._capture is not None, "read before open"
        while not self._stopped.is_set() and self._capture.grab():
            position = self.position = self._time_of_picture()
            self._number += 1
            if position < self._next - 0.5 / self.rate:
                continue
            # What a gap left out is not made up for.
            self._next = max(self._next + 1 / self._fps, position)
            got, picture = self._capture.retrieve(self._buffers[self._slot])
            if not got or picture is None:
                raise SourceError(f"{self._path}: damaged at {position:.1f} s")
            image = self._buffers[self._slot] = np.asarray(picture, np.uint8)
            self._slot = (self._slot + 1) % BUFFERS
            if self.live and self._stopped.wait(self._started + position - time.monotonic()):
                return None
            captured = self._started + position if self.live else time.monotonic()
            taken = self._started_wall + position
            image = rotate(image, self._turn)
            return Frame(image, self._number, self._started + position, captured, taken)
        if not self._stopped.is_set():
            self._check_length()
        return None

    def stop(self) -> None:
        """End with the next picture."""
        self._stopped.set()

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _time_of_picture(self) -> float:
        """As the file says, which may be other than its rate; by the rate if it says nothing."""
        import cv2

        assert self._capture is not None, "read before open"
        told = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return told if told > self.position else self.position + 1 / self.rate

    def _check_length(self) -> None:
        """A cut file ends silently; its header knows how long it was."""
        if self._number == 0:
            raise SourceError(f"{self._path}: holds no pictures that can be read")
        # The count may be a guess from the length, and the length one from the count and the rate.
        share = max(self._number, self.position * self.rate + 1) / max(self.promised, 1)
        if self.promised > 0 and share < 0.9:
            raise SourceError(
                f"{self._path}: truncated: {share:.0%} of the promised pictures are there"
            )
