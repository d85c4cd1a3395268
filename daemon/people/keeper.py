"""Works on a file of people behind whoever looks, so that nobody at the door waits for a disk."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from daemon.errors import PorterError
from daemon.people.sealed_database import SealedDatabase

File = TypeVar("File", bound=SealedDatabase)
Chore = TypeVar("Chore")

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""How long the end may wait for the disk."""
MOST_WAITING = 32


class Keeper(Generic[File, Chore]):
    """A thread that keeps a file open, and does one chore after the other on it.

    It outlives whatever goes wrong: then the file is closed, that is said once, and the next chore
    opens it anew.
    """

    def __init__(
        self,
        name: str,
        opened: Callable[[Chore | None], File | None],
        work: Callable[[File, Chore | None], None],
        failed: Callable[[Exception], str],
        every: float,
    ) -> None:
        """Set up.

        Args:
            name: of the thread.
            opened: opens the file for a chore; None: there is none, and nothing to do.
            work: does a chore.
            failed: is told what went wrong, and says what follows from it, for people.
            every: seconds after which there is work without a chore, too.
        """
        self._opened, self._work, self._failed = opened, work, failed
        self._every = every
        self._waiting: queue.Queue[Chore | None] = queue.Queue(MOST_WAITING)
        self._file: File | None = None
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with work without a chore."""
        self._thread.start()

    def put(self, chore: Chore) -> bool:
        """Have a chore done, and return at once; False: the disk does not keep up, it is lost."""
        try:
            self._waiting.put_nowait(chore)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Do what waits, and let go of the file."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        self._try(None)
        while True:
            try:
                chore = self._waiting.get(timeout=self._every)
            except queue.Empty:
                self._try(None)
            else:
                if chore is None:
                    break
                self._try(chore)
        self._let_go()

    def _try(self, chore: Chore | None) -> None:
        try:
            self._file = self._file or self._opened(chore)
            if self._file is not None:
                self._work(self._file, chore)
            self._trouble = ""
        except Exception as error:
            said = f"{error}; {self._failed(error)}"
            self._let_go()
            if said != self._trouble:
                self._trouble = said
                log.error("%s", said, exc_info=not isinstance(error, PorterError))

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
