"""Comparing probes with templates: the vote, ties, decoys, and the same as a plain loop."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.people.matching import RANKED, Matcher, vote
from daemon.people.normalisation import CohortNorm
from daemon.people.records import Template
from tests.people.people import Vector, near, template, vector

ADA, BOB = vector(1), vector(2)


def matcher(
    *templates: Template,
    threshold: float = 1.0,
    margin: float = 0.05,
    decoy_margin: float = 0.05,
    norm: CohortNorm | None = None,
) -> Matcher:
    numbered = [
        template(vector=each.vector, person=each.person, role=each.role, id=str(number))
        for number, each in enumerate(templates)
    ]
    return Matcher(numbered, threshold, margin, decoy_margin, norm)


def of(person: str, *vectors: Vector, role: str = "own") -> list[Template]:
    return [template(vector=each, person=person, role=role) for each in vectors]


def squared(one: Vector, other: Vector) -> float:
    return sum((float(a) - float(b)) ** 2 for a, b in zip(one, other))


def plain_scores(
    probe: Vector, templates: Sequence[Template], norm: CohortNorm | None
) -> dict[str, float]:
    """The score of each person, by loops and sums in double precision."""
    scores: dict[str, list[float]] = {}
    for each in templates:
        if each.role != "own":
            continue
        distance = squared(probe, each.vector)
        if norm is not None:
            views = []
            for one in (probe, each.vector):
                all_ = sorted(squared(one, each) for each in norm.cohort)[: norm.nearest]
                mean = sum(all_) / len(all_)
                deviation = (sum((x - mean) ** 2 for x in all_) / len(all_)) ** 0.5
                views.append((distance - mean) / deviation)
            distance = sum(views) / 2
        scores.setdefault(each.person, []).append(distance)
    return {name: sum(sorted(all_)[:2]) / len(all_[:2]) for name, all_ in scores.items()}


crowds = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 10_000)), min_size=1, max_size=20
).map(lambda rows: [template(seed, person=f"p{person}") for person, seed in rows])


@pytest.mark.parametrize("normalised", [False, True], ids=["distance", "normalised"])
@settings(max_examples=25, deadline=None)
@given(crowd=crowds, seed=st.integers(10_001, 20_000))
def test_the_matrix_gives_what_a_plain_loop_gives(
    crowd: list[Template], seed: int, normalised: bool
) -> None:
    norm = CohortNorm(np.stack([vector(9, n) for n in range(12)]), 5) if normalised else None
    probe = vector(seed)
    expected = plain_scores(probe, crowd, norm)
    found = matcher(*crowd, threshold=-1e6, margin=0.0, norm=norm).identify(probe)
    ranked = sorted(expected.values())[:RANKED]
    assert [each.score for each in found.ranking] == pytest.approx(ranked, abs=1e-3)
    for name, score in found.ranking:
        assert score == pytest.approx(expected[name], abs=1e-3)
    assert found.decision == "unknown"
    for name, score in expected.items():
        alone = matcher(*crowd, threshold=1e6, norm=norm).verify(probe, name)
        assert (alone.decision, alone.person) == ("match", name)
        assert alone.score == pytest.approx(score, abs=1e-3)


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    values=st.lists(st.integers(0, 6), min_size=40, max_size=40),
)
def test_the_vote_is_the_mean_of_the_two_lowest(counts: list[int], values: list[int]) -> None:
    bounds = np.concatenate([[0], np.cumsum(counts)])
    scores = np.float32(values[: bounds[-1]])
    parts = [sorted(scores[a:b])[:2] for a, b in itertools.pairwise(bounds)]
    expected = [float(np.mean(part)) for part in parts]
    assert vote(scores, bounds, np.array(counts)).tolist() == expected


def test_one_odd_template_cannot_let_a_stranger_in() -> None:
    stranger = vector(5)
    known = of("Ada", near(stranger, 0.1), ADA, near(ADA, 0.2))
    found = matcher(*known).identify(stranger)
    assert found.distance == pytest.approx(0.1, abs=1e-3)
    assert found.decision == "unknown"


def test_nor_however_near_it_is_to_them() -> None:
    # Normalised scores have no lower bound: the mean of -10 and 0 is below a threshold of -4.4.
    scores, counts = np.float32([-10.0, -0.1, 0.2, -10.0]), np.array([3, 1])
    bounds = np.array([0, 3, 4])
    assert vote(scores, bounds, counts)[0] < -4.4
    three, one = vote(scores, bounds, counts, lead=-2.0 - -4.4)
    assert three == pytest.approx(-0.1 - 2.4)
    assert one == -10.0


def test_the_second_template_may_be_less_near_than_the_threshold() -> None:
    known = of("Ada", near(ADA, 0.1, 1), near(ADA, 0.6, 2), near(ADA, 0.7, 3))
    for second, decision in ((None, "match"), (0.7, "match"), (0.55, "unknown")):
        found = Matcher(known, 0.5, 0.05, 0.05, second=second).identify(ADA)
        assert found.decision == decision


def test_a_match_names_the_person_and_its_figures() -> None:
    people = [*of("Ada", near(ADA, 0.2, 1), near(ADA, 0.4, 2), near(ADA, 1.6, 3)), *of("Bob", BOB)]
    found = matcher(*people).identify(ADA)
    assert (found.decision, found.reason, found.person) == ("match", None, "Ada")
    assert found.score == pytest.approx(0.3, abs=1e-3)
    assert found.distance == pytest.approx(0.2, abs=1e-3)
    assert found.people == ("Ada",)
    assert found.scores == (found.score,)
    assert found.ranking[1].person == "Bob"
    assert found.runner_up == found.ranking[1].score
    assert [each.id for each in found.nearest] == ["0", "1", "2", "3"]
    assert [each.distance for each in found.nearest] == sorted(e.distance for e in found.nearest)


def test_the_threshold_itself_is_no_match() -> None:
    score = matcher(*of("Ada", near(ADA, 0.5))).identify(ADA).score
    assert score is not None
    assert matcher(*of("Ada", near(ADA, 0.5)), threshold=score).identify(ADA).decision == "unknown"
    above = float(np.nextafter(np.float32(score), np.float32(9)))
    assert matcher(*of("Ada", near(ADA, 0.5)), threshold=above).identify(ADA).decision == "match"


@pytest.mark.parametrize(
    ("second", "decision"), [(0.30, "unsure"), (0.34, "unsure"), (0.36, "match")]
)
def test_near_ties_are_unsure(second: float, decision: str) -> None:
    people = [*of("Ada", near(ADA, 0.3, 1)), *of("Bob", near(ADA, second, 2))]
    found = matcher(*people, *of("Cleo", near(ADA, 1.2, 3))).identify(ADA)
    assert found.decision == decision
    if decision == "unsure":
        assert (found.reason, found.person) == ("near-tie", None)
        assert sorted(found.people) == ["Ada", "Bob"]
        assert len(found.scores) == 2


def test_a_near_tie_of_two_who_are_too_far_is_unknown() -> None:
    people = [*of("Ada", near(ADA, 1.1, 1)), *of("Bob", near(ADA, 1.1, 2))]
    found = matcher(*people).identify(ADA)
    assert (found.decision, found.reason, found.people) == ("unknown", None, ())


@pytest.mark.parametrize(
    ("decoy", "decision"), [(0.1, "unsure"), (0.3, "unsure"), (0.34, "unsure"), (0.36, "match")]
)
def test_a_decoy_that_is_about_as_near_keeps_the_door_shut(decoy: float, decision: str) -> None:
    people = [*of("Ada", near(ADA, 0.3, 1)), *of("Ada", near(ADA, decoy, 2), role="decoy")]
    for found in (matcher(*people).identify(ADA), matcher(*people).verify(ADA, "Ada")):
        assert found.decision == decision
        assert found.decoy == pytest.approx(decoy, abs=1e-3)
        if decision == "unsure":
            assert (found.reason, found.people, found.person) == ("decoy", ("Ada",), None)


def test_a_decoy_counts_for_its_own_person_only() -> None:
    people = [*of("Ada", near(ADA, 0.3, 1)), *of("Bob", BOB), *of("Bob", ADA, role="decoy")]
    assert matcher(*people).identify(ADA).decision == "match"


@settings(deadline=None)
@given(st.integers(0, 500), st.floats(0.0, 0.5), st.floats(0.05, 1.5))
def test_more_decoys_and_wider_margins_never_admit_more(
    seed: int, margin: float, threshold: float
) -> None:
    people = [*of("Ada", near(ADA, 0.3, seed)), *of("Bob", near(ADA, 0.6, seed + 1))]
    plain = matcher(*people, threshold=threshold, margin=0.0, decoy_margin=0.0)
    wider = matcher(*people, threshold=threshold, margin=margin)
    decoyed = matcher(*people, *of("Ada", vector(seed), role="decoy"), threshold=threshold)
    if plain.identify(ADA).decision != "match":
        assert wider.identify(ADA).decision != "match"
        assert decoyed.identify(ADA).decision != "match"


def test_verification_ignores_capitals_and_everybody_else() -> None:
    people = [*of("Ada", near(ADA, 0.3, 1)), *of("Bob", near(ADA, 0.31, 2))]
    found = matcher(*people).verify(ADA, "aDA")
    assert (found.decision, found.person, found.runner_up) == ("match", "Ada", None)
    assert matcher(*people).verify(BOB, "Ada").decision == "unknown"


@pytest.mark.parametrize(
    "probe", [np.full(128, np.nan, np.float32), np.full(128, np.inf, np.float32)]
)
def test_a_probe_that_is_no_vector_is_unknown(probe: Vector) -> None:
    known = matcher(*of("Ada", ADA))
    for found in (known.identify(probe), known.verify(probe, "Ada")):
        assert (found.decision, found.score, found.person) == ("unknown", None, None)


def test_without_people_nobody_is_known() -> None:
    for found in (matcher().identify(ADA), matcher().verify(ADA, "Ada")):
        assert (found.decision, found.score, found.ranking) == ("unknown", None, ())
    only_decoys = matcher(*of("Ada", ADA, role="decoy"))
    assert only_decoys.identify(ADA).decision == "unknown"


@pytest.mark.parametrize("normalised", [False, True], ids=["distance", "normalised"])
def test_in_an_empty_gallery_everybody_is_unknown(normalised: bool) -> None:
    norm = CohortNorm(np.stack([vector(9, n) for n in range(12)]), 5) if normalised else None
    matcher = Matcher([], 0.5, 0.05, 0.05, norm)
    assert matcher.people == []
    for match in (matcher.identify(vector(1, 1)), matcher.verify(vector(1, 1), "Ada")):
        assert (match.decision, match.person, match.score) == ("unknown", None, None)
