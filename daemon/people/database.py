"""Files of people: made whole, opened with care, and their failures in plain words.

SQLite with a rollback journal, which is there only while something is written. At any other time
the file alone is everything: it can be copied, and a copy can take its place, while the daemon
runs. (A write-ahead log outlives the file that it belongs to, and is replayed into its successor.)
What is deleted is overwritten (`secure_delete`); what the journal kept of it goes with the journal.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import GalleryError, OutputError
from daemon.people.files import drafted, make_folder, plain_failures, settle

PATIENCE_SECONDS = 10.0
"""How long another program may write before this one gives up."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file holds."""

    name: str
    application: int
    """In the header of the file."""
    format: int
    """Of the tables; a file of a newer one is refused."""
    tables: str
    """SQL that makes them; the first is `meta`, of names and values."""
    setting: str
    """With which a person says where it is."""
    remedy: str
    """What to do with a damaged one."""
    check: bytes
    """What a file holds, sealed, to tell whether a key is its own."""
    check_context: tuple[str, ...]
    """Where it is sealed to."""


_META = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
"""

GALLERY = Kind(
    name="gallery",
    application=0x506F7274,  # `Port`
    format=1,
    setting="gallery.path",
    remedy="put a copy in its place, or move it away to start anew",
    check=b"porter gallery",
    check_context=("meta", "check"),
    tables=_META
    + """
CREATE TABLE people (
    id TEXT PRIMARY KEY,
    name_digest BLOB NOT NULL UNIQUE,
    name BLOB NOT NULL,
    schedule BLOB NOT NULL,
    created TEXT NOT NULL
);
CREATE TABLE templates (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('own', 'decoy')),
    model TEXT NOT NULL,
    model_version TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    vector BLOB NOT NULL,
    details BLOB NOT NULL,
    picture BLOB,
    created TEXT NOT NULL
);
CREATE INDEX templates_person ON templates (person);
CREATE TABLE probes (
    event TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    model_version TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    vector BLOB NOT NULL,
    taken REAL NOT NULL
);
CREATE INDEX probes_person ON probes (person);
""",
)

VISITORS = Kind(
    name="file of visitors",
    application=0x506F7256,  # `PorV`
    format=1,
    setting="gallery.path, beside which it lies",
    remedy="remove it to start anew",
    check=b"porter visitors",
    check_context=("visitors", "check"),
    tables=_META
    + """
CREATE TABLE visitors (
    id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    model_version TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    vector BLOB NOT NULL,
    taken REAL NOT NULL
);
CREATE INDEX visitors_taken ON visitors (taken);
""",
)


_SETTINGS = (
    "journal_mode = DELETE",
    "synchronous = EXTRA",  # whoever was removed stays so after a power cut
    "foreign_keys = ON",
    "secure_delete = ON",
    "temp_store = MEMORY",
)


def create(path: Path, meta: dict[str, bytes], kind: Kind) -> None:
    """Make an empty file; one that another process makes at the same time stays.

    Args:
        path: of the file; its folder is made, too.
        meta: what the table `meta` shall hold.
        kind: what it is for.

    Raises:
        OutputError: it cannot be made.
    """
    make_folder(path.parent)
    draft = drafted(path)
    with plain_failures(path), plain_words(path, kind):
        try:
            os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as database:
                database.executescript(f"BEGIN; {kind.tables}")
                database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
                database.execute(f"PRAGMA application_id = {kind.application}")
                database.execute(f"PRAGMA user_version = {kind.format}")
                database.execute("COMMIT")
            settle(draft, path)
        finally:
            for leftover in ("", "-journal"):
                draft.with_name(draft.name + leftover).unlink(missing_ok=True)


def connect(path: Path, kind: Kind) -> sqlite3.Connection:
    """Open a file that is there. The connection is for one thread at a time.

    Raises:
        GalleryError: it is damaged, not of this kind, or of a newer format.
    """
    with plain_words(path, kind):
        # mode=rw: never makes an empty file in the place of one that has gone.
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=PATIENCE_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if application != kind.application:
                raise GalleryError(
                    f"{path}: not a {kind.name} of Porter; set another {kind.setting}"
                )
            if version > kind.format:
                raise GalleryError(
                    f"{path}: written by a newer Porter (format {version}, this one knows "
                    f"{kind.format}); update Porter"
                )
            for setting in _SETTINGS:
                database.execute(f"PRAGMA {setting}")
        except BaseException:
            database.close()
            raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, whatever happens in between."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite rolls back at the next start, too
                database.execute("ROLLBACK")
        raise


@contextmanager
def plain_words(path: Path, kind: Kind) -> Iterator[None]:
    """Turn what SQLite says into one line with the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        # What sqlite3 finds out itself has no code; it comes from contents that cannot be.
        extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if extended == sqlite3.SQLITE_READONLY_DBMOVED:
            raise GalleryError(f"{path}: has gone, or another file is in its place") from None
        code = extended & 0xFF
        if code in _OUTPUT_FAILURES:
            raise OutputError(
                f"{path}: {_OUTPUT_FAILURES[code]}, and try again; nothing was changed"
            ) from None
        damaged = f"damaged, or not a {kind.name}; {kind.remedy}"
        raise GalleryError(f"{path}: {_GALLERY_FAILURES.get(code, damaged)} ({error})") from None


_OUTPUT_FAILURES = {
    sqlite3.SQLITE_FULL: "no space left on the disk; make room",
    sqlite3.SQLITE_IOERR: "cannot be written: look whether the disk is full or damaged",
    sqlite3.SQLITE_READONLY: "no permission to write: become who owns it",
}
_GALLERY_FAILURES = {
    sqlite3.SQLITE_BUSY: f"another program has been using it for {PATIENCE_SECONDS:g} s; try again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; does this user have permission?",
    sqlite3.SQLITE_PERM: "no permission",
}
