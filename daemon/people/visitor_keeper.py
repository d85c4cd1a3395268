"""Keeps the embeddings of strangers behind whoever looks, and erases them in time.

A thread of its own writes: a full disk or a file that somebody else holds costs a line in the log
and that one face, never a picture or the door.
"""

from __future__ import annotations

import math
import time
from collections import deque

import numpy as np
import numpy.typing as npt

from daemon.people.clustering.scores import score_at
from daemon.people.keeper import Keeper
from daemon.people.records import EncoderId
from daemon.people.settings import GalleryConfig, VisitorsConfig
from daemon.people.visitors import Visitors, open_visitors, visitors_path
from daemon.vision.cards import EncoderCard

Array = npt.NDArray[np.float32]

EXPIRE_SECONDS = 600.0
"""How often is looked for what is too old."""
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
        self._recent: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._keeper = Keeper(
            "keep visitors",
            self._open,
            self._write,
            lambda _: "visitors are not kept",
            EXPIRE_SECONDS,
        )

    def start(self) -> None:
        """Begin. Where nothing is to be kept, what was kept before is still erased in time."""
        self._keeper.start()

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
        self._keeper.put((vector.copy(), taken))

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self._keeper.close()

    def _open(self, face: tuple[Array, float] | None) -> Visitors | None:
        there = face is not None or visitors_path(self._gallery).exists()
        return open_visitors(self._gallery, self._visitors) if there else None

    def _write(self, file: Visitors, face: tuple[Array, float] | None) -> None:
        """Keep a face if there is one, and erase what is too old."""
        if face is None:
            file.expire()
        else:
            file.keep(face[0], self._encoder, face[1])
