"""Strangers who came to the door: their embeddings, encrypted, for a limited time.

A file of its own beside the gallery, sealed with the gallery's key: whatever happens to it, the
gallery is not touched and the door does not wait. There are no pictures and no names in it. What
the file shows without the key: how many faces there are, when they came, and by which encoder.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daemon.people.database import VISITORS
from daemon.people.gallery import gallery_path
from daemon.people.keys import Key, load_key
from daemon.people.records import EncoderId, Vector
from daemon.people.sealed_database import SealedDatabase
from daemon.people.settings import GalleryConfig, VisitorsConfig

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A stranger's face, once at the door."""

    id: str
    vector: Vector
    """(dimension,) of length 1."""
    taken: float
    """Seconds, as of :func:`time.time`."""


def visitors_path(gallery: GalleryConfig) -> Path:
    """Where the strangers of a configuration are kept, or would be."""
    return gallery_path(gallery).with_name("visitors.db")


def open_visitors(gallery: GalleryConfig, settings: VisitorsConfig) -> Visitors:
    """Open the file of visitors; an empty one is made if there is none.

    Raises:
        GalleryError: it cannot be used; the message says why and what to do.
        OutputError: it cannot be made.
    """
    there = gallery_path(gallery).exists() or visitors_path(gallery).exists()
    return Visitors(visitors_path(gallery), load_key(gallery.key, create=not there), settings)


class Visitors(SealedDatabase):
    """The open file, for one thread at a time."""

    kind = VISITORS

    def __init__(self, path: Path, key: Key, settings: VisitorsConfig) -> None:
        super().__init__(path, key)
        self._settings = settings

    def keep(self, vector: Vector, encoder: EncoderId, taken: float) -> None:
        """Keep a face, and erase what is too old or too much.

        Args:
            vector: (dimension,) of length 1.
            encoder: that made it.
            taken: when, as of :func:`time.time`.
        """
        id = secrets.token_hex(8)
        sealed = self._sealer.seal(
            np.ascontiguousarray(vector, "<f4").tobytes(), "visitors", id, encoder.sha256
        )
        with self._writing():
            self._database.execute(
                "INSERT INTO visitors VALUES (?, ?, ?, ?, ?, ?)",
                (id, encoder.name, encoder.version, encoder.sha256, sealed, taken),
            )
        self.expire()

    def expire(self) -> int:
        """Erase what is older than the configuration allows, or too much; how many that was."""
        return self._delete(
            "taken < ? OR id NOT IN (SELECT id FROM visitors ORDER BY taken DESC, rowid DESC"
            " LIMIT ?)",
            time.time() - self._settings.keep_days * DAY_SECONDS,
            self._settings.at_most,
        )

    def all(self, encoder: EncoderId) -> list[Seen]:
        """Everybody of an encoder, in the order in which they came.

        Raises:
            GalleryError: something in the file was changed without the key, or is damaged.
        """
        rows = self._rows(
            "SELECT id, vector, taken FROM visitors WHERE model_sha256 = ? AND taken >= ?"
            " ORDER BY taken, rowid",
            encoder.sha256,
            time.time() - self._settings.keep_days * DAY_SECONDS,
        )
        return [Seen(id, self._vector(sealed, id, encoder), taken) for id, sealed, taken in rows]

    def forget(self, ids: Sequence[str] | None = None) -> int:
        """Erase some, or everything, for good; how many that was."""
        if ids is None:
            return self._delete("TRUE")
        return sum(self._delete("id = ?", each) for each in ids)

    def _delete(self, condition: str, *values: object) -> int:
        with self._writing():
            return self._database.execute(
                f"DELETE FROM visitors WHERE {condition}", values
            ).rowcount

    def _vector(self, sealed: bytes, id: str, encoder: EncoderId) -> Vector:
        raw = self._open(sealed, "a visitor", "visitors", id, encoder.sha256)
        return np.frombuffer(raw, "<f4")
