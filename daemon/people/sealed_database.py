"""A file of people that is sealed with a key: opened with that key, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from daemon.errors import GalleryError
from daemon.paths import file_identity
from daemon.people import database
from daemon.people.database import Kind, plain_words, transaction
from daemon.people.keys import Key
from daemon.people.sealing import SealBroken, Sealer


class SealedDatabase:
    """An open file, for one thread at a time."""

    kind: ClassVar[Kind]
    """What it holds."""

    def __init__(self, path: Path, key: Key, **meta: bytes) -> None:
        """Open a file; an empty one is made if there is none.

        Args:
            path: of the file.
            key: that it is, or shall be, sealed with.
            meta: what a new one says of itself, by name.

        Raises:
            GalleryError: it cannot be used; the message says why and what to do.
            OutputError: it cannot be made.
        """
        self.path = path
        self._sealer = Sealer(key.secret)
        if not path.exists():
            check = self._sealer.seal(self.kind.check, *self.kind.check_context)
            database.create(path, {"check": check, **meta}, self.kind)
        # First which file it is: one that takes its place meanwhile is noticed.
        self._file = file_identity(path)
        self._database = database.connect(path, self.kind)
        try:
            self._check(key)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All that is written inside, or nothing; failures in plain words."""
        with plain_words(self.path, self.kind), transaction(self._database):
            yield

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with plain_words(self.path, self.kind):
            return self._database.execute(query, values).fetchall()

    def _open(self, sealed: bytes, what: str, *context: str) -> bytes:
        try:
            return self._sealer.open(sealed, *context)
        except SealBroken:
            raise self._changed(what) from None

    def _changed(self, what: str) -> GalleryError:
        return GalleryError(f"{self.path}: {what} was changed or damaged; {self.kind.remedy}")

    def _check(self, key: Key) -> None:
        rows = self._rows("SELECT value FROM meta WHERE name = 'check'")
        try:
            right = bool(rows) and (
                self._sealer.open(rows[0][0], *self.kind.check_context) == self.kind.check
            )
        except SealBroken:
            right = False
        if not right:
            raise GalleryError(
                f"{self.path}: the key {key.path} does not fit this {self.kind.name}; put back the "
                "key that it was made with, or move the file away to start anew"
            )
