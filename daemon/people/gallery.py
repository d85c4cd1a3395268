"""The gallery: who was enrolled, with their templates and decoys, encrypted at rest.

What the file shows without the key: how many people, templates, decoys and probes there are, when
they were made, and by which encoder. Names, schedules, vectors, pictures and the rest are sealed
(:mod:`daemon.people.sealing`), each bound to its row, so that no row can be exchanged for another.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from daemon.errors import GalleryError, PersonError
from daemon.paths import file_identity, state_directory
from daemon.people.database import GALLERY
from daemon.people.keys import Key, load_key
from daemon.people.records import EncoderId, Person, Probe, Template, Vector, clean_name, name_key
from daemon.people.schedule import ALWAYS, Schedule, parse_schedule
from daemon.people.sealed_database import SealedDatabase
from daemon.people.settings import GalleryConfig
from daemon.validation import suggest
from daemon.vision.events import Quality

MOST_PROBES = 200
PROBE_DAYS = 7.0
"""Longer than this nobody says any more: that was not me."""


def gallery_path(settings: GalleryConfig) -> Path:
    """Where the gallery of a configuration is, or would be."""
    return settings.path or state_directory() / "gallery.db"


def open_gallery(settings: GalleryConfig) -> Gallery:
    """Open the gallery of a configuration; an empty one, and its key, are made if there is none.

    Raises:
        GalleryError: it cannot be used; the message says why and what to do.
        OutputError: it cannot be made.
    """
    path = gallery_path(settings)
    return Gallery(path, load_key(settings.key, create=not path.exists()))


class Gallery(SealedDatabase):
    """An open gallery, for one thread at a time."""

    kind = GALLERY

    def __init__(self, path: Path, key: Key) -> None:
        super().__init__(path, key, revision=secrets.token_bytes(8))

    def revision(self) -> bytes:
        """Differs after every change of people, templates, decoys or schedules, by whomever.

        Raises:
            GalleryError: the file has gone or is another one now, such as a copy put back; or it
                cannot be read.
        """
        if file_identity(self.path) != self._file:
            raise GalleryError(f"{self.path}: has gone, or another file is in its place")
        rows = self._rows("SELECT value FROM meta WHERE name = 'revision'")
        if not rows or not isinstance(rows[0][0], bytes):
            raise self._changed("its revision")
        return rows[0][0]

    def people(self, encoder: EncoderId | None = None) -> list[Person]:
        """Everybody, by name.

        Args:
            encoder: whose templates are current; None counts those of all.
        """
        sha256 = encoder.sha256 if encoder else None
        rows = self._rows(
            "SELECT people.id, people.name, people.created, people.schedule,"
            " sum(role = 'own' AND (?1 IS NULL OR model_sha256 = ?1)),"
            " sum(role = 'own' AND ?1 IS NOT NULL AND model_sha256 != ?1),"
            " sum(role = 'decoy'), count(picture)"
            " FROM people LEFT JOIN templates ON templates.person = people.id GROUP BY people.id",
            sha256,
        )
        found = [
            Person(
                self._text(name, "people", id, "name"),
                created,
                self._schedule(schedule, id),
                *(count or 0 for count in counts),
            )
            for id, name, created, schedule, *counts in rows
        ]
        return sorted(found, key=lambda each: each.name.casefold())

    def person(self, name: str) -> Person:
        """Somebody by name, whatever its capitals.

        Raises:
            PersonError: nobody has this name.
        """
        wanted = name_key(clean_name(name))
        everybody = self.people()
        for each in everybody:
            if name_key(each.name) == wanted:
                return each
        raise PersonError(f"{name}: nobody of this name is enrolled; {_hint(name, everybody)}")

    def templates(
        self, encoder: EncoderId | None = None, *, person: str | None = None, pictures: bool = False
    ) -> list[Template]:
        """Templates and decoys, those of a person one after the other.

        Args:
            encoder: only those that it made.
            person: only those of this person.
            pictures: whether to fill in the pictures.

        Raises:
            PersonError: nobody has this name.
            GalleryError: something in the file was changed without the key, or is damaged.
        """
        names = dict(self._identities())
        rows = self._rows(
            "SELECT id, person, role, model, model_version, model_sha256, vector, details,"
            f" {'picture' if pictures else 'NULL'}, created FROM templates"
            " WHERE (?1 IS NULL OR model_sha256 = ?1) AND (?2 IS NULL OR person = ?2)"
            " ORDER BY person, created, id",
            encoder.sha256 if encoder else None,
            self._identify(person) if person is not None else None,
        )
        return [self._template(row, names) for row in rows]

    def enrol(
        self, name: str, templates: Sequence[Template], schedule: Schedule | None = None
    ) -> None:
        """Add templates to a person, who is new or known; all of them, or none if it fails.

        Args:
            name: of the person; a known one keeps the capitals it has.
            templates: to add, at least one.
            schedule: when the person may come in; None keeps what is known, or is: always.

        Raises:
            PersonError: this can be no name.
            OutputError: the file cannot be written; nothing was changed.
        """
        assert templates, "nobody is enrolled without a template"
        name = clean_name(name)
        with self._change():
            id = self._find(name)
            if id is None:
                id = secrets.token_hex(8)
                self._database.execute(
                    "INSERT INTO people VALUES (?, ?, ?, ?, ?)",
                    (
                        id,
                        self._sealer.digest(name_key(name)),
                        self._sealer.seal(name.encode(), "people", id, "name"),
                        self._sealer.seal(str(schedule or ALWAYS).encode(), "schedule", id),
                        _now(),
                    ),
                )
            elif schedule is not None:
                self._set_schedule(id, schedule)
            for each in templates:
                self._insert(id, each)

    def add_decoy(self, name: str, decoy: Template) -> None:
        """Keep a face that was taken for a person and is not.

        Raises:
            PersonError: nobody has this name.
        """
        with self._change():
            self._insert(self._identify(name), replace(decoy, role="decoy"))

    def remove_decoys(self, name: str) -> int:
        """Forget all decoys of a person, for good; how many there were.

        Raises:
            PersonError: nobody has this name.
        """
        with self._change():
            return self._database.execute(
                "DELETE FROM templates WHERE person = ? AND role = 'decoy'",
                (self._identify(name),),
            ).rowcount

    def set_schedule(self, name: str, schedule: Schedule) -> None:
        """When a person may come in.

        Raises:
            PersonError: nobody has this name.
        """
        with self._change():
            self._set_schedule(self._identify(name), schedule)

    def remove(self, name: str) -> None:
        """Erase a person with everything that was kept of them, for good.

        Raises:
            PersonError: nobody has this name.
        """
        with self._change():
            self._database.execute("DELETE FROM people WHERE id = ?", (self._identify(name),))

    def replace(self, stored: Sequence[Template], made: Sequence[Template]) -> None:
        """Put templates of another encoder in the place of stored ones, all or none.

        Those whose person was removed meanwhile are not made again.
        """
        with self._change():
            for old, new in zip(stored, made, strict=True):
                for (person,) in self._database.execute(
                    "DELETE FROM templates WHERE id = ? RETURNING person", (old.id,)
                ).fetchall():
                    self._insert(person, replace(new, created=old.created))

    def remember(
        self,
        event: str,
        person: str,
        vector: Vector,
        encoder: EncoderId,
        taken: float | None = None,
    ) -> None:
        """Keep the probe of an event for a while: 200 events, and no longer than seven days.

        It waits for the disk, so it is nothing for the thread that looks. A person who was removed
        meanwhile is not remembered.

        Args:
            event: id of the event that named the person.
            person: the name.
            vector: (dimension,) the probe.
            encoder: that made it.
            taken: when, as of :func:`time.time`; None is now.
        """
        now = time.time()
        with self._writing():
            id = self._find(person)
            if id is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        event,
                        id,
                        encoder.name,
                        encoder.version,
                        encoder.sha256,
                        self._sealer.seal(_to_bytes(vector), "probes", event, id, encoder.sha256),
                        now if taken is None else taken,
                    ),
                )
            self._database.execute(
                "DELETE FROM probes WHERE taken < ? OR event NOT IN"
                " (SELECT event FROM probes ORDER BY taken DESC, rowid DESC LIMIT ?)",
                (now - PROBE_DAYS * 86_400, MOST_PROBES),
            )

    def probe(self, event: str) -> Probe | None:
        """The probe of an event, if it is still kept."""
        rows = self._rows(
            "SELECT person, model, model_version, model_sha256, vector, taken FROM probes"
            " WHERE event = ? AND taken >= ?",
            event,
            time.time() - PROBE_DAYS * 86_400,
        )
        if not rows:
            return None
        person, model, version, sha256, sealed, taken = rows[0]
        names = dict(self._identities())
        vector = _to_vector(self._open(sealed, "a probe", "probes", event, person, sha256))
        return Probe(event, names[person], EncoderId(model, version, sha256), vector, taken)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else change anything between what is read and what is written inside.

        Raises:
            OutputError: the file cannot be written; nothing was changed.
            GalleryError: another program has been writing for long.
        """
        with self._writing():
            yield

    @contextmanager
    def _change(self) -> Iterator[None]:
        """A transaction after which the gallery has another revision."""
        with nullcontext() if self._database.in_transaction else self._writing():
            yield
            self._database.execute(
                "UPDATE meta SET value = ? WHERE name = 'revision'", (secrets.token_bytes(8),)
            )

    def _identities(self) -> list[tuple[str, str]]:
        """Id and name of everybody."""
        rows = self._rows("SELECT id, name FROM people")
        return [(id, self._text(name, "people", id, "name")) for id, name in rows]

    def _find(self, name: str) -> str | None:
        digest = self._sealer.digest(name_key(name))
        for id, sealed in self._rows("SELECT id, name FROM people WHERE name_digest = ?", digest):
            if name_key(self._text(sealed, "people", id, "name")) == name_key(name):
                return str(id)
            raise self._changed("a name")
        return None

    def _identify(self, name: str) -> str:
        id = self._find(clean_name(name))
        if id is None:
            raise PersonError(
                f"{name}: nobody of this name is enrolled; {_hint(name, self.people())}"
            )
        return id

    def _set_schedule(self, id: str, schedule: Schedule) -> None:
        sealed = self._sealer.seal(str(schedule).encode(), "schedule", id)
        self._database.execute("UPDATE people SET schedule = ? WHERE id = ?", (sealed, id))

    def _schedule(self, sealed: bytes, id: str) -> Schedule:
        return parse_schedule(self._text(sealed, "schedule", id))

    def _insert(self, person: str, template: Template) -> None:
        id = secrets.token_hex(8)
        encoder = template.encoder
        place = (id, person, template.role, encoder.sha256)
        details = {
            "source": template.source,
            "quality": asdict(template.quality) if template.quality else None,
        }
        picture = template.picture
        self._database.execute(
            "INSERT INTO templates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                id,
                person,
                template.role,
                encoder.name,
                encoder.version,
                encoder.sha256,
                self._sealer.seal(_to_bytes(template.vector), "vector", *place),
                self._sealer.seal(json.dumps(details).encode(), "details", *place),
                self._sealer.seal(picture, "picture", *place) if picture else None,
                template.created or _now(),
            ),
        )

    def _template(self, row: tuple[Any, ...], names: dict[str, str]) -> Template:
        id, person, role, model, version, sha256, vector, details, picture, created = row
        place = (id, person, role, sha256)
        name = names.get(person)
        what = f"a template of {name or 'nobody'}"
        facts = json.loads(self._open(details, what, "details", *place))
        return Template(
            vector=_to_vector(self._open(vector, what, "vector", *place)),
            encoder=EncoderId(model, version, sha256),
            source=facts["source"],
            role=role,
            quality=Quality(**facts["quality"]) if facts["quality"] else None,
            picture=self._open(picture, what, "picture", *place) if picture else None,
            created=created,
            id=id,
            person=str(name),
        )

    def _text(self, sealed: bytes, *context: str) -> str:
        return self._open(sealed, "a person", *context).decode()


def _hint(name: str, everybody: Sequence[Person]) -> str:
    names = [each.name for each in everybody]
    return suggest(name, names) if names else "nobody is enrolled yet: porter enroll NAME PHOTO"


def _to_bytes(vector: Vector) -> bytes:
    return np.ascontiguousarray(vector, "<f4").tobytes()


def _to_vector(raw: bytes) -> Vector:
    return np.frombuffer(raw, "<f4").astype(np.float32)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
