"""Pictures from a folder, in the order of their names."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from daemon.errors import SourceError
from daemon.vision.frames import Frame
from daemon.vision.pictures import pictures_of, read_image, rotate

log = logging.getLogger(__name__)


class FolderSource:
    """Every picture of a folder, once."""

    name = "folder"
    endless = False

    def __init__(self, path: Path, fps: float, turn: int = 0, *, paced: bool = True) -> None:
        """Give `fps` pictures a second, turned by `turn` degrees."""
        self.live = paced
        self.description = str(path)
        self._path = path
        self._fps = fps
        self._turn = turn
        self._stopped = threading.Event()
        self._number = 0

    def open(self) -> None:
        """List the folder."""
        self._files = pictures_of(self._path)
        self.description = f"{self._path} ({len(self._files)} pictures)"
        self._started, self._started_wall = time.monotonic(), time.time()

    def read(self) -> Frame | None:
        """The next picture; those that cannot be read are named and left out."""
        while not self._stopped.is_set() and self._number < len(self._files):
            path, position = self._files[self._number], self._number / self._fps
            self._number += 1
            try:
                image = rotate(read_image(path), self._turn)
            except SourceError as error:
                log.warning("%s; left out", error)
                continue
            if self.live and self._stopped.wait(self._started + position - time.monotonic()):
                return None
            captured = self._started + position if self.live else time.monotonic()
            taken = self._started_wall + position
            return Frame(image, self._number, self._started + position, captured, taken)
        return None

    def stop(self) -> None:
        """End with the next picture."""
        self._stopped.set()

    def close(self) -> None:
        """Nothing is held open."""
