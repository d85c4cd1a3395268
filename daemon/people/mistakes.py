"""Faces that were taken for somebody and were not: they become decoys."""

from __future__ import annotations

from pathlib import Path

from daemon.errors import PersonError, SourceError
from daemon.people.enrolment import Rejected, portrait, single
from daemon.people.gallery import Gallery
from daemon.people.records import EncoderId, Template
from daemon.vision.examination import Examiner
from daemon.vision.pictures import read_image


def decoy_of_event(gallery: Gallery, person: str, event: str) -> Template:
    """The face of an event that named a person.

    Raises:
        PersonError: the event is not known, too old, or named somebody else.
    """
    probe = gallery.probe(event)
    if probe is None:
        raise PersonError(
            f"{event}: no such picture, and no event of the last days that named anybody"
        )
    if probe.person != person:
        raise PersonError(f"{event}: that event named {probe.person}, not {person}")
    return Template(
        vector=probe.vector, encoder=probe.encoder, source=f"event {event}", role="decoy"
    )


def decoy_of_picture(examiner: Examiner, photo: Path, *, keep: bool) -> Template:
    """The one face of a picture, however good.

    Raises:
        SourceError: it cannot be read, or shows no face or several.
    """
    image = read_image(photo)
    found = single(examiner.examine(image), photo.name)
    if isinstance(found, Rejected):
        raise SourceError(f"{photo}: {found.message}")
    return Template(
        vector=found.vector,
        encoder=EncoderId.of(examiner.encoder.card),
        source=photo.name,
        role="decoy",
        quality=found.quality,
        picture=portrait(image, found.face) if keep else None,
    )
