"""Keeps the embeddings of strangers behind whoever looks, and erases them in time.

A thread of its own writes: a full disk or a file that somebody else holds costs a line in the log
and that one face, never a picture or the door.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time
from collections import deque

import numpy as np
import numpy.typing as npt

from daemon.errors import PorterError
from daemon.people.clustering.scores import score_at
from daemon.people.records import EncoderId
from daemon.people.settings import GalleryConfig, VisitorsConfig
from daemon.people.visitors import Visitors, open_visitors, visitors_path
from daemon.vision.cards import EncoderCard

Array = npt.NDArray[np.float32]

log = logging.getLogger(__name__)

EXPIRE_SECONDS = 600.0
"""How often is looked for what is too old."""
CLOSE_SECONDS = 1.0
"""How long the end may wait for the disk."""
MOST_WAITING = 32
MOST_A_MINUTE = 20
"""Faces that are kept in a minute; a crowd, or somebody who waves pictures, fills no disk."""
DOUBTFUL_FMR = 0.01
"""A face that is as near to somebody enrolled as so small a share of strangers may be theirs, on a
bad picture; it is not kept."""


class VisitorKeeper:
    """Takes the faces of strangers."""

    def __init__(
        self, gallery: GalleryConfig, visitors: VisitorsConfig, encoder: EncoderCard
    ) -> None:
        """Set up; nothing is opened yet.

        Raises:
            ConfigError: the encoder's card has no operating points.
        """
        self._gallery = gallery
        self._visitors = visitors
        self._encoder = EncoderId.of(encoder)
        self._doubtful = score_at(encoder, DOUBTFUL_FMR) if visitors.enabled else math.inf
        self._waiting: queue.Queue[tuple[Array, float] | None] = queue.Queue(MOST_WAITING)
        self._recent: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._file: Visitors | None = None
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="keep visitors", daemon=True)

    def start(self) -> None:
        """Begin. Where nothing is to be kept, what was kept before is still erased in time."""
        self._thread.start()

    def keep(self, vector: Array, taken: float, score: float | None) -> None:
        """Keep the face of a stranger. Returns at once.

        Args:
            vector: (d,) of length 1.
            taken: when, as of :func:`time.time`.
            score: of the nearest person who is enrolled; None when nobody is.
        """
        if not self._visitors.enabled or (score is not None and score < self._doubtful):
            return
        now = time.monotonic()
        if len(self._recent) == MOST_A_MINUTE and now - self._recent[0] < 60:
            return
        self._recent.append(now)
        with contextlib.suppress(queue.Full):  # the disk does not keep up: this one is lost
            self._waiting.put_nowait((vector.copy(), taken))

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        self._write(None)
        while True:
            try:
                face = self._waiting.get(timeout=EXPIRE_SECONDS)
            except queue.Empty:
                self._write(None)
            else:
                if face is None:
                    break
                self._write(face)
        self._let_go()

    def _write(self, face: tuple[Array, float] | None) -> None:
        """Keep a face if there is one, and erase what is too old."""
        try:
            if self._file is None and (face or visitors_path(self._gallery).exists()):
                self._file = open_visitors(self._gallery, self._visitors)
            if self._file is not None and face is not None:
                self._file.keep(face[0], self._encoder, face[1])
            elif self._file is not None:
                self._file.expire()
            self._trouble = ""
        except PorterError as error:
            self._let_go()
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("%s; visitors are not kept", error)

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
