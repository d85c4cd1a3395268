"""Who a face belongs to: one person to confirm (1:1) or all of them to search (1:N).

The score of a person is the mean of the scores of their two nearest templates, or the score of the
only one: a vote of the k = 2 nearest neighbours of each person. The second of them has to be near,
too, if not as near as the threshold: so one odd template cannot let a stranger in, however near it
is. The false match rate of a person with several templates stays below that of one comparison, for
which the threshold was chosen; the nearest template alone would make it several times as large
(`bench/gallery_vote.py`). Lower is nearer. A template's score is its squared
Euclidean distance to the probe, or that distance normalised against strangers
(:mod:`daemon.people.normalisation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.errors import GalleryError
from daemon.people.normalisation import (
    UNRELATED,
    CohortNorm,
    Statistics,
    make_norm,
    stranger_distance,
)
from daemon.people.records import Template, name_key
from daemon.vision.cards import EncoderCard
from daemon.vision.settings import FacesConfig

Array = npt.NDArray[np.float32]
Decision = Literal["match", "unknown", "unsure"]
Reason = Literal["near-tie", "decoy"]

RANKED = 5
"""People that a result lists."""
NEAREST = 10
"""Templates that a result lists."""
NORMALISED_MARGIN, DISTANCE_MARGIN = 0.5, 0.05
"""How much nearer one of two people must be, if nobody says otherwise: in normalised scores, which
are counted in deviations among strangers, and in squared distances."""
SECOND_FMR = 1e-2
"""False match rate of the score that a person's second nearest template may have at most."""
STRANGERS_APART = 0.05
"""Share of pairs of strangers who are nearer than faces that are taken for one person's at once."""
_CHUNK = 1024
"""Templates that are normalised at a time, so that many need no more memory than few."""


def make_matcher(
    templates: Sequence[Template], card: EncoderCard, settings: FacesConfig
) -> Matcher:
    """A matcher for templates of the encoder of a card, as configured.

    Raises:
        ConfigError: the card has no threshold for the false match rate that is asked for.
        ModelError: the encoder's cohort is damaged.
        GalleryError: a template is longer or shorter than the encoder makes them.
    """
    for each in templates:
        if not each.fits(card):
            raise GalleryError(
                f"a template of {each.person} has {len(each.vector)} numbers, and the encoder "
                f"{card.name} makes {card.dimension}: porter people remove '{each.person}', "
                "and enrol anew"
            )
    norm = make_norm(card)
    usual = NORMALISED_MARGIN if norm else DISTANCE_MARGIN
    margin = usual if settings.margin is None else settings.margin
    decoy_margin = usual if settings.decoy_margin is None else settings.decoy_margin
    return Matcher(
        templates,
        card.threshold(settings.fmr),
        margin,
        decoy_margin,
        norm,
        stranger_distance(card, STRANGERS_APART),
        card.loosest_threshold(SECOND_FMR),
    )


class Candidate(NamedTuple):
    """A person and the score of a probe with them."""

    person: str
    score: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A template near a probe."""

    id: str
    person: str
    score: float
    distance: float
    """Squared Euclidean distance, 0 to 4."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a comparison of one probe came to."""

    decision: Decision
    """match: it is `person`; unknown: nobody is near enough; unsure: see `reason`."""
    reason: Reason | None
    """near-tie: two people are about as near; decoy: a face that was taken for the person before,
    by mistake, is about as near as they are."""
    person: str | None
    """Who it is; None unless it is a match."""
    score: float | None
    """Of the nearest person; None when there was nobody to compare with."""
    distance: float | None
    """Squared Euclidean distance to the nearest template of that person, 0 to 4."""
    threshold: float
    """What the score has to be below."""
    ranking: tuple[Candidate, ...]
    """The nearest people, nearest first; those after the first are runners-up."""
    people: tuple[str, ...]
    """Who it could be, nearest first: one for a match, several for a near-tie, none if unknown."""
    nearest: tuple[Neighbour, ...]
    """The nearest templates of the people in `ranking`, nearest first."""
    decoy: float | None = None
    """Score of the nearest decoy of the nearest person; None when there is none."""

    @property
    def runner_up(self) -> float | None:
        """Score of the nearest other person; None when there is nobody else."""
        return self.ranking[1].score if len(self.ranking) > 1 else None

    @property
    def scores(self) -> tuple[float, ...]:
        """Scores of `people`."""
        return tuple(each.score for each in self.ranking[: len(self.people)])


class Matcher:
    """Compares probes with templates. It has buffers: for one thread at a time."""

    def __init__(
        self,
        templates: Sequence[Template],
        threshold: float,
        margin: float,
        decoy_margin: float,
        normalisation: CohortNorm | None = None,
        apart: float = UNRELATED,
        second: float | None = None,
    ) -> None:
        """Put all templates into one matrix.

        Args:
            templates: templates and decoys of one encoder.
            threshold: a score below it is a match.
            margin: two people whose scores differ by less are a near-tie.
            decoy_margin: by how much a person must be nearer than any decoy of theirs.
            normalisation: None takes distances for scores.
            apart: squared distance from which two faces are not taken for one person's.
            second: score that the second nearest template of a person must be below for a match;
                None: any.
        """
        own = sorted(
            (each for each in templates if each.role == "own"), key=lambda each: each.person
        )
        self.threshold = threshold
        self.apart = apart
        self._second = second
        self._margin = margin
        self._decoy_margin = decoy_margin
        self._own = _Pool(own, normalisation)
        self._ids = [each.id for each in own]
        owners: list[int] = []
        self._people: list[str] = []
        for each in own:
            if not self._people or self._people[-1] != each.person:
                self._people.append(each.person)
            owners.append(len(self._people) - 1)
        self._index = {name_key(name): index for index, name in enumerate(self._people)}
        # Templates of a person lie one after the other: person i has those of bounds i to i + 1.
        self._bounds = np.searchsorted(owners, np.arange(len(self._people) + 1))
        self._counts = np.diff(self._bounds)
        decoys: dict[str, list[Template]] = {}
        for each in templates:
            if each.role == "decoy":
                decoys.setdefault(each.person, []).append(each)
        self._decoys = {name: _Pool(those, normalisation) for name, those in decoys.items()}
        self._normalisation = normalisation

    @property
    def people(self) -> list[str]:
        """Everybody with a template."""
        return self._people

    @property
    def _lead(self) -> float:
        """How much the score of a person may be below that of their second nearest template."""
        return np.inf if self._second is None else max(0.0, self._second - self.threshold)

    def identify(self, probe: Array) -> Match:
        """Search everybody for a probe, (d,) of length 1."""
        if not self._people or not np.isfinite(probe).all():
            return self._nobody()
        strangers = self._strangers(probe)
        scores, distances = self._own.compare(probe, strangers)
        votes = vote(scores, self._bounds, self._counts, self._lead)
        count = min(RANKED, len(votes))
        near = np.argpartition(votes, count - 1)[:count]
        near = near[np.lexsort((near, votes[near]))]
        rows = [slice(*self._bounds[index : index + 2]) for index in near]
        ranking = [
            _Ranked(self._people[i], float(votes[i]), each.start, scores[each], distances[each])
            for i, each in zip(near, rows)
        ]
        return self._decide(probe, strangers, ranking)

    def verify(self, probe: Array, person: str) -> Match:
        """Compare a probe, (d,) of length 1, with one person, whatever the capitals of the name."""
        index = self._index.get(name_key(person))
        if index is None or not np.isfinite(probe).all():
            return self._nobody()
        strangers = self._strangers(probe)
        rows = slice(*self._bounds[index : index + 2])
        scores, distances = self._own.compare(probe, strangers, rows)
        (score,) = vote(scores, np.array([0, len(scores)]), np.array([len(scores)]), self._lead)
        ranked = _Ranked(self._people[index], float(score), rows.start, scores, distances)
        return self._decide(probe, strangers, [ranked])

    def _decide(self, probe: Array, strangers: Statistics | None, ranked: list[_Ranked]) -> Match:
        first = ranked[0]
        pool = self._decoys.get(first.person)
        decoy = float(pool.compare(probe, strangers)[0].min()) if pool else None
        as_near = [each.person for each in ranked if each.score - first.score < self._margin]
        decision: Decision = "match"
        reason: Reason | None = None
        people: tuple[str, ...] = (first.person,)
        # A score that is not a number is below nothing.
        if not first.score < self.threshold:
            decision, people = "unknown", ()
        elif len(as_near) > 1:
            decision, reason, people = "unsure", "near-tie", tuple(as_near)
        elif decoy is not None and not decoy - first.score >= self._decoy_margin:
            decision, reason = "unsure", "decoy"
        return Match(
            decision=decision,
            reason=reason,
            person=first.person if decision == "match" else None,
            score=first.score,
            distance=float(first.distances.min()),
            threshold=self.threshold,
            ranking=tuple(Candidate(each.person, each.score) for each in ranked),
            people=people,
            nearest=self._neighbours(ranked),
            decoy=decoy,
        )

    def _neighbours(self, ranked: list[_Ranked]) -> tuple[Neighbour, ...]:
        found = [
            Neighbour(self._ids[each.start + row], each.person, float(score), float(distance))
            for each in ranked
            for row, (score, distance) in enumerate(zip(each.scores, each.distances))
        ]
        return tuple(sorted(found, key=lambda each: each.score)[:NEAREST])

    def _strangers(self, probe: Array) -> Statistics | None:
        return self._normalisation.statistics(probe[None]) if self._normalisation else None

    def _nobody(self) -> Match:
        return Match("unknown", None, None, None, None, self.threshold, (), (), ())


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """A person among the nearest."""

    person: str
    score: float
    start: int
    """Row of their first template."""
    scores: Array
    """Of their templates, as the next."""
    distances: Array


class _Pool:
    """Vectors that are compared together."""

    def __init__(self, templates: Sequence[Template], normalisation: CohortNorm | None) -> None:
        dimension = len(templates[0].vector) if templates else 0
        self._vectors = np.zeros((len(templates), dimension), np.float32)
        for row, each in zip(self._vectors, templates):
            row[:] = each.vector
        self._distances = np.zeros(len(templates), np.float32)
        self._normalisation = normalisation
        self._strangers = None
        if normalisation and templates:
            self._strangers = _statistics(self._vectors, normalisation)

    def compare(
        self, probe: Array, strangers: Statistics | None, rows: slice = slice(None)
    ) -> tuple[Array, Array]:
        """Scores and squared distances of some rows, (n,) each; overwritten by the next call."""
        distances = self._distances[rows]
        # |a - b|² = 2 - 2 a·b for vectors of length 1; rounding must not make it negative.
        np.dot(self._vectors[rows], probe, out=distances)
        distances *= -2
        distances += 2
        np.maximum(distances, 0, out=distances)
        if self._normalisation is None or strangers is None or self._strangers is None:
            return distances, distances
        mean, deviation = self._strangers
        known = mean[rows], deviation[rows]
        return self._normalisation.scores(distances, strangers, known), distances


def _statistics(vectors: Array, normalisation: CohortNorm) -> Statistics:
    parts = [
        normalisation.statistics(vectors[start : start + _CHUNK])
        for start in range(0, max(1, len(vectors)), _CHUNK)
    ]
    means, deviations = zip(*parts)
    return np.concatenate(means), np.concatenate(deviations)


def vote(
    scores: Array, bounds: npt.NDArray[np.intp], counts: npt.NDArray[np.intp], lead: float = np.inf
) -> Array:
    """Score of each person: the mean of their two lowest, or the only one.

    Args:
        scores: (n,) of templates, those of a person one after the other.
        bounds: (people + 1,) where each person's begin, and the end.
        counts: (people,) how many each has, at least one.
        lead: a person's score is at most so much below their second lowest.

    Returns:
        (people,).

    >>> scores = np.float32([0.5, 0.25, 0.25, 0.75])
    >>> vote(scores, np.array([0, 3, 4]), np.array([3, 1])).tolist()
    [0.25, 0.75]
    """
    starts = bounds[:-1]
    lowest = np.minimum.reduceat(scores, starts)
    is_lowest = scores == np.repeat(lowest, counts)
    second = np.minimum.reduceat(np.where(is_lowest, np.float32(np.inf), scores), starts)
    twice = np.add.reduceat(is_lowest, starts, dtype=np.int32) > 1
    second[twice | (counts == 1)] = lowest[twice | (counts == 1)]
    return np.maximum((lowest + second) / 2, second - np.float32(lead))
