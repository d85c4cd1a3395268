"""Who is known at this moment: the gallery in memory, kept current behind whoever looks.

A thread of its own reads the file: an enrolment in another process counts within a second, and
nobody who looks ever waits for a disk. A gallery that cannot be read knows nobody, so that a
damaged file keeps the door shut. A disk that is full makes nobody a stranger: whoever was read
stays known.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from daemon.errors import OutputError, PorterError
from daemon.people.gallery import Gallery, open_gallery
from daemon.people.keeper import Keeper
from daemon.people.matching import Match, Matcher, make_matcher
from daemon.people.records import EncoderId, name_key
from daemon.people.schedule import Schedule
from daemon.people.settings import GalleryConfig
from daemon.vision.cards import EncoderCard
from daemon.vision.settings import FacesConfig

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]

LOOK_SECONDS = 0.5
"""How often it is asked whether the gallery has changed."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The gallery at one revision."""

    matcher: Matcher
    schedules: dict[str, Schedule]
    names: dict[str, str]
    """By what two spellings of a name have in common."""


class Roster:
    """Everybody with a template of the encoder in use."""

    def __init__(self, gallery: GalleryConfig, encoder: EncoderCard, faces: FacesConfig) -> None:
        """Read the gallery; an empty one is made if there is none.

        Raises:
            GalleryError: it cannot be used.
            ConfigError: the encoder has no threshold for the false match rate that is asked for.
            ModelError: the encoder's cohort is damaged.
        """
        self._faces = faces
        self._card = encoder
        self._threshold = encoder.threshold(faces.fmr)
        self._encoder = EncoderId.of(encoder)
        self._nobody = _Known(make_matcher([], encoder, faces), {}, {})
        with open_gallery(gallery) as opened:
            # First the revision: a change while it is read is read again.
            self._revision: bytes | None = opened.revision()
            self._known = self._read(opened)
        self._keeper = Keeper(
            "keep the gallery",
            lambda _: open_gallery(gallery),
            self._keep,
            self._forget,
            LOOK_SECONDS,
        )
        self._keeper.start()

    @property
    def count(self) -> int:
        """People who can be recognised."""
        return len(self._known.matcher.people)

    def identify(self, probe: Array) -> Match:
        """Search everybody for a probe, (d,) of length 1 (1:N). For one thread at a time."""
        return self._matcher.identify(probe)

    def verify(self, probe: Array, person: str) -> Match:
        """Compare a probe with one person (1:1). For one thread at a time."""
        return self._matcher.verify(probe, person)

    def adopt(self, faces: FacesConfig) -> None:
        """Compare at the false match rate of `faces` from now on. For the thread that compares.

        Raises:
            ConfigError: the encoder has no threshold for it.
        """
        self._threshold = self._card.threshold(faces.fmr)

    def refusal(self, person: str) -> str | None:
        """Why a person may not come in at this time, in words for people; None: they may."""
        schedule = self._known.schedules.get(person)
        if schedule is None:
            return "is not enrolled any more"
        time.tzset()  # or the zone stays that of the start, whatever the machine's is by now
        return schedule.allows(datetime.now())

    def resolve(self, identity: str) -> str | None:
        """The person of a name, whatever its capitals; None: there is nobody."""
        return self._known.names.get(name_key(" ".join(identity.split())))

    def remember(self, event: str, person: str, probe: Array) -> None:
        """Keep the probe of an event for a while, in case it was a mistake. Returns at once."""
        if not self._keeper.put((event, person, probe.copy(), time.time())):
            log.warning("the disk is too slow; `porter people not` will not know event %s", event)

    def close(self) -> None:
        """Write what waits, and let go of the gallery."""
        self._keeper.close()

    @property
    def _matcher(self) -> Matcher:
        """The gallery's at the threshold in force, whichever was when the gallery was read."""
        matcher = self._known.matcher
        matcher.threshold = self._threshold
        return matcher

    def _keep(self, gallery: Gallery, probe: tuple[str, str, Array, float] | None) -> None:
        """Write a probe if there is one, and read what has changed."""
        if probe is not None:
            self._write(gallery, *probe)
        # First the revision: a change while it is read is read again.
        revision = gallery.revision()
        if revision != self._revision:
            self._known = self._read(gallery)
            self._revision = revision
            log.info("the gallery has changed: %d people known", self.count)

    def _forget(self, error: Exception) -> str:
        """Know nobody until the gallery is read again, unless only the disk is full."""
        if isinstance(error, OutputError):
            return "who is known stays known until it can be read"
        self._known, self._revision = self._nobody, None
        return "nobody is known until it can be read"

    def _write(
        self, gallery: Gallery, event: str, person: str, vector: Array, taken: float
    ) -> None:
        try:
            gallery.remember(event, person, vector, self._encoder, taken)
        except PorterError as error:
            log.warning("%s; `porter people not` will not know event %s", error, event)

    def _read(self, gallery: Gallery) -> _Known:
        people = gallery.people(self._encoder)
        stale = [each.name for each in people if each.stale and not each.templates]
        if stale:
            log.warning(
                "%s cannot be recognised: enrolled with another encoder than %s; "
                "porter people re-enroll, or enroll them again",
                ", ".join(stale),
                self._encoder,
            )
        return _Known(
            make_matcher(gallery.templates(self._encoder), self._card, self._faces),
            {each.name: each.schedule for each in people},
            {name_key(each.name): each.name for each in people},
        )
