"""Strangers: which unknown faces at the door were of one person, and how often they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.people.clustering.graph import link, whisper
from daemon.people.matching import Matcher
from daemon.people.visitors import Seen
from daemon.vision.cards import EncoderCard


@dataclass(frozen=True, slots=True, eq=False)
class Stranger:
    """Faces that seem to be of one person."""

    number: int
    """From 1, in the order in which they came first."""
    seen: Sequence[Seen]
    """In the order of time."""
    visits: int
    person: str | None
    """Who it is, if they were enrolled since."""

    @property
    def first(self) -> float:
        """When they were seen first, as of :func:`time.time`."""
        return self.seen[0].taken

    @property
    def last(self) -> float:
        """When they were seen last."""
        return self.seen[-1].taken


def strangers(
    seen: Sequence[Seen], card: EncoderCard, matcher: Matcher, apart: float
) -> list[Stranger]:
    """Group faces by person.

    Args:
        seen: in the order of time.
        card: of their encoder.
        matcher: of the people who are known.
        apart: seconds from one sighting to the next from which it is another visit.

    Raises:
        ConfigError: the card has no operating points.
        ModelError: the encoder's cohort is damaged.
    """
    if not seen:
        return []
    labels = whisper(link(np.stack([each.vector for each in seen]), card))
    groups: dict[int, list[Seen]] = {}
    for each, label in zip(seen, labels.tolist()):
        groups.setdefault(label, []).append(each)
    return [
        Stranger(number, those, count_visits(those, apart), _person(those, matcher))
        for number, those in enumerate(groups.values(), 1)
    ]


def count_visits(seen: Sequence[Seen], apart: float) -> int:
    """How many visits sightings in the order of time were.

    Args:
        seen: at least one.
        apart: seconds between two sightings from which the second is another visit.
    """
    times = np.array([each.taken for each in seen])
    return 1 + int((np.diff(times) > apart).sum())


def _person(seen: Sequence[Seen], matcher: Matcher) -> str | None:
    """Whom more than half of the faces match, as at the door."""
    found = [matcher.identify(each.vector).person for each in seen]
    names = [each for each in found if each is not None]
    most = max(names, key=names.count, default=None)
    return most if most is not None and 2 * names.count(most) > len(seen) else None
