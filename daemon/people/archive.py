"""People in a file that a passphrase protects, to carry them from one device to another.

A line of JSON says the format and how the key comes from the passphrase (scrypt, RFC 7914); what
follows is one sealed JSON document, bound to that line. The parameters cost 128 MiB and a good part
of a second, which makes guessing dear.
"""

from __future__ import annotations

import json
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from daemon.errors import GalleryError
from daemon.people import wire
from daemon.people.gallery import Gallery
from daemon.people.records import Template, clean_name, name_key
from daemon.people.schedule import ALWAYS, Schedule, parse_schedule
from daemon.people.sealing import SealBroken, Sealer
from daemon.vision.cards import EncoderCard

FORMAT = "porter people"
VERSION = 1
COST = {"n": 1 << 17, "r": 8, "p": 1}
"""Of scrypt, as OWASP's password storage cheat sheet has it."""
MOST_COST = {"n": 1 << 20, "r": 16, "p": 4}
"""A file that asks for more was made to harm."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A person in an archive."""

    name: str
    schedule: Schedule
    templates: tuple[Template, ...]


def export(gallery: Gallery, passphrase: str) -> bytes:
    """Everybody in a gallery, with templates, decoys, schedules and the pictures that were kept."""
    templates: dict[str, list[dict[str, Any]]] = {}
    for each in gallery.templates(pictures=True):
        templates.setdefault(each.person, []).append(wire.to_json(each))
    people = [
        {
            "name": each.name,
            "schedule": str(each.schedule),
            "templates": templates.get(each.name, []),
        }
        for each in gallery.people()
    ]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kdf": "scrypt",
        **COST,
        "salt": secrets.token_hex(16),
    }
    line = json.dumps(header)
    sealer = Sealer(_derive(passphrase, header))
    return line.encode() + b"\n" + sealer.seal(json.dumps(people).encode(), line)


def read(raw: bytes, passphrase: str, place: str, card: EncoderCard) -> list[Exported]:
    """The people in an archive.

    Args:
        raw: the whole file.
        passphrase: that it was made with.
        place: of the file, for messages.
        card: of the encoder in use, whose templates must be as long as it makes them.

    Raises:
        GalleryError: it is no archive, of a newer version, the passphrase is wrong, or it is
            damaged.
    """
    line, _, sealed = raw.partition(b"\n")
    header = _header(line, place)
    try:
        plain = Sealer(_derive(passphrase, header)).open(sealed, line.decode())
    except SealBroken:
        raise GalleryError(f"{place}: wrong passphrase, or the file is damaged") from None
    try:
        people = json.loads(plain)
        if not isinstance(people, list):
            raise TypeError("no list of people")
        found = [
            Exported(
                clean_name(each["name"]),
                parse_schedule(each["schedule"]),
                tuple(wire.from_json(template) for template in each["templates"]),
            )
            for each in people
        ]
        for each in found:
            if not all(template.fits(card) for template in each.templates):
                raise ValueError(f"a template of {each.name} is not of {card.dimension} numbers")
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryError(f"{place}: not what this Porter understands: {error}") from None
    return found


def merge(gallery: Gallery, person: Exported, *, force: bool, apart: float) -> str:
    """Take over one person of an archive.

    Somebody who is known by the same name gets what is new, and keeps their schedule. When the two
    do not look alike nothing is taken, unless by force.

    Args:
        gallery: takes them over.
        person: of an archive.
        force: also if they do not look alike.
        apart: squared distance from which two faces are surely not of one person.

    Returns:
        What came of it, for people.
    """
    here = {name_key(each.name): each for each in gallery.people()}.get(name_key(person.name))
    if here is None:
        if not person.templates:
            return "left out: without a template"
        gallery.enrol(person.name, person.templates, person.schedule)
        return f"new, {_counted(person.templates)}"
    known = gallery.templates(person=here.name)
    there = {(each.encoder, each.role, each.vector.tobytes()) for each in known}
    new = [
        each
        for each in person.templates
        if (each.encoder, each.role, each.vector.tobytes()) not in there
    ]
    if not force and _look_different(new, known, apart):
        return "left out: looks like somebody else of the same name here; --force takes both as one"
    if new:
        gallery.enrol(here.name, new)
    report = f"known, {_counted(new)} added" if new else "known, nothing new"
    if person.schedule not in (ALWAYS, here.schedule):
        report += f"; keeps its schedule ({here.schedule}), the file has {person.schedule}"
    return report


def _counted(templates: Sequence[Template]) -> str:
    """`3 templates and 1 decoy`."""
    words = []
    for role, name in (("own", "template"), ("decoy", "decoy")):
        count = sum(each.role == role for each in templates)
        if count or role == "own":
            words.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " and ".join(words)


def _look_different(new: Sequence[Template], known: Sequence[Template], apart: float) -> bool:
    """Whether no new template is near any known one of the same encoder, though there are some."""
    distances = [
        float(np.sum((one.vector - other.vector) ** 2))
        if one.vector.shape == other.vector.shape
        else np.inf
        for one in new
        for other in known
        if (one.role, other.role) == ("own", "own") and one.encoder == other.encoder
    ]
    return bool(distances) and min(distances) > apart


def _header(line: bytes, place: str) -> dict[str, Any]:
    try:
        header = json.loads(line.decode()) if len(line) < 1000 else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise GalleryError(f"{place}: not a file of porter people export")
    if header.get("version") != VERSION:
        raise GalleryError(
            f"{place}: of version {header.get('version')!r}, and this Porter knows {VERSION}; "
            "update Porter"
        )
    fair = all(
        type(header.get(name)) is int and 1 <= header[name] <= most
        for name, most in MOST_COST.items()
    )
    salt = header.get("salt")
    if not (fair and header["n"] >= 2 and header["n"].bit_count() == 1) or not (
        isinstance(salt, str) and salt.isascii()
    ):
        raise GalleryError(f"{place}: its first line is damaged")
    return header


def _derive(passphrase: str, header: dict[str, Any]) -> bytes:
    cost = {name: header[name] for name in COST}
    kdf = Scrypt(salt=header["salt"].encode(), length=32, **cost)
    return kdf.derive(unicodedata.normalize("NFC", passphrase).encode())
