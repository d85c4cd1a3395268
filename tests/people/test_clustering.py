"""Grouping without being told: on points whose groups are known, and against the formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cards import read_card
from daemon.errors import ConfigError
from daemon.people.clustering.density import dense
from daemon.people.clustering.elbow import elbow, inertia, tried
from daemon.people.clustering.graph import link, whisper
from daemon.people.clustering.grouping import Method, group
from daemon.people.clustering.kmeans import kmeans
from daemon.people.clustering.scores import score_at, score_rows
from daemon.people.clustering.xmeans import bic, components, xmeans
from daemon.people.normalisation import CohortNorm, load_cohort
from daemon.vision.cards import EncoderCard
from tests.faces import write_face_models
from tests.people.people import near, vector

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> EncoderCard:
    folder = write_face_models(tmp_path_factory.mktemp("models"))
    return read_card(folder / "face.yaml", EncoderCard)


def blobs(
    groups: int, each: int, dimension: int, spread: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Spheres whose middles are at least 10 apart in each coordinate or more."""
    rng = np.random.default_rng(seed)
    middles = 12.0 * rng.permutation(np.arange(groups))[:, None] * np.ones(dimension)
    middles += rng.uniform(-1, 1, middles.shape)
    persons = np.repeat(np.arange(groups), each)
    return middles[persons] + rng.normal(0, spread, (len(persons), dimension)), persons


def same(labels: np.ndarray, persons: np.ndarray) -> bool:
    pairs = set(zip(labels.tolist(), persons.tolist()))
    return len(pairs) == len(set(labels.tolist())) == len(set(persons.tolist()))


@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(20, 25),
    st.integers(4, 8),
    st.floats(0.05, 0.6),
    st.integers(0, 99),
)
def test_xmeans_finds_how_many_well_separated_groups_there_are(
    groups: int, each: int, dimension: int, spread: float, seed: int
) -> None:
    points, persons = blobs(groups, each, dimension, spread, seed)
    found = xmeans(points)
    # Few points of one group may by chance lie like two; no cluster holds two groups.
    assert groups <= len(np.unique(found)) <= groups + 1
    assert all(len(np.unique(persons[found == each])) == 1 for each in np.unique(found))


def test_xmeans_makes_no_more_groups_than_it_may() -> None:
    points, _ = blobs(6, 10, 3, 0.2, 1)
    assert len(set(xmeans(points, k_max=4).tolist())) <= 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_xmeans_of_hardly_anything(count: int) -> None:
    assert len(xmeans(np.zeros((count, 4)))) == count


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(3, 6), st.integers(1, 5), st.integers(0, 2**32))
def test_bic_is_the_likelihood_of_the_mixture_less_its_parameters(
    groups: int, each: int, dimension: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(groups * each, dimension))
    labels = np.repeat(np.arange(groups), each)
    rows = len(points)
    means = np.stack([points[labels == g].mean(0) for g in range(groups)])
    squares = ((points - means[labels]) ** 2).sum(1)
    variance = squares.sum() / (dimension * (rows - groups))
    densities = np.exp(-squares / (2 * variance)) / (2 * np.pi * variance) ** (dimension / 2)
    shares = np.bincount(labels) / rows
    likelihood = np.log(shares[labels] * densities).sum()
    parameters = groups - 1 + groups * dimension + 1
    assert bic(points, labels) == pytest.approx(likelihood - parameters / 2 * np.log(rows))


def test_bic_of_as_many_groups_as_points_is_the_worst() -> None:
    assert bic(np.eye(3), np.arange(3)) == -np.inf


def test_components_keep_distances_nearly() -> None:
    rng = np.random.default_rng(0)
    flat = np.pad(rng.normal(size=(30, 4)), ((0, 0), (0, 60)))
    turned = flat @ np.linalg.qr(rng.normal(size=(64, 64)))[0]
    kept = components(turned)
    assert kept.shape == (30, 30)
    assert ((kept - kept.mean(0)) ** 2).sum() >= 0.95 * ((flat - flat.mean(0)) ** 2).sum()


def test_kmeans_with_fewer_different_points_than_groups_has_no_empty_group() -> None:
    groups = kmeans(np.repeat(np.eye(2), 3, 0), 4)
    assert len(groups.centres) == len(set(groups.labels.tolist())) == 2


def test_the_knee_is_at_the_number_of_groups() -> None:
    points, _ = blobs(4, 12, 3, 0.3, 2)
    ks = tried(12)
    curve = elbow(ks, [inertia(points, k) for k in ks])
    assert curve.inertias[0] > curve.inertias[3] > 0
    # Middles lie in a row: half of what there is to gain is gained by the first cut.
    assert curve.knee in (2, 3, 4)


def test_many_values_of_k_are_tried_where_the_curve_bends() -> None:
    ks = tried(500)
    assert (ks[0], ks[-1]) == (1, 500)
    assert len(ks) <= 24
    assert ks[:4] == [1, 2, 3, 4] or ks[1] <= 2


def faces(counts: list[int], distance: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Views of people, (n, 128), and whose they are."""
    found = [
        near(vector(50 + person), distance, 100 * person + view)
        for person, count in enumerate(counts)
        for view in range(count)
    ]
    return np.stack(found), np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize("method", ["graph", "xmeans", "density", "kmeans"])
def test_every_method_finds_people_who_are_easily_told_apart(
    card: EncoderCard, method: Method
) -> None:
    vectors, persons = faces([12, 9, 7, 5])
    found = group(vectors, card, method, 4 if method == "kmeans" else None)
    assert same(found.labels, persons)
    assert found.count == 4
    # The largest first.
    assert np.bincount(found.labels).tolist() == [12, 9, 7, 5]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_whispers_need_no_number_and_no_order(
    card: EncoderCard, counts: list[int], random: object
) -> None:
    vectors, persons = faces(counts)
    order = np.random.default_rng(random.randint(0, 2**31)).permutation(len(persons))  # type: ignore[attr-defined]
    assert same(whisper(link(vectors[order], card)), persons[order])


@pytest.mark.parametrize("method", ["graph", "xmeans", "density", "kmeans"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_faces_are_no_trouble(card: EncoderCard, method: Method, count: int) -> None:
    vectors = np.stack([vector(7)] * count) if count else np.zeros((0, 128), np.float32)
    found = group(vectors, card, method)
    assert len(found.labels) == count


def test_more_people_than_faces_are_as_many_as_faces(card: EncoderCard) -> None:
    assert group(np.stack([vector(1), vector(2)]), card, k=9).count == 2


def test_noise_stays_alone(card: EncoderCard) -> None:
    vectors, _ = faces([6, 6, 1, 1])
    assert np.bincount(dense(vectors, card)).tolist().count(1) == 2


def test_a_threshold_between_operating_points_lies_between_theirs(card: EncoderCard) -> None:
    assert score_at(card, 1e-4) == pytest.approx(0.6)
    assert 0.6 < score_at(card, 3e-4) < 0.7
    assert score_at(card, 0.1) == pytest.approx(0.7)
    with pytest.raises(ConfigError, match="no operating points"):
        score_at(card.model_copy(update={"operating_points": []}), 1e-3)


def test_scores_of_many_are_those_of_each_pair_as_the_door_counts_them() -> None:
    shipped = read_card(ROOT / "models/face.yaml", EncoderCard)
    assert shipped.cohort is not None
    cohort = load_cohort(ROOT / "models" / shipped.cohort.file)
    norm = CohortNorm(cohort, shipped.cohort.nearest)
    vectors = cohort[:600] + np.float32(0.02)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    blocks = list(score_rows(vectors, shipped))
    assert [start for start, _ in blocks] == [0, 512]
    scores = np.concatenate([rows for _, rows in blocks])
    first, second = vectors[3], vectors[580]
    distance = np.float32(2 - 2 * first @ second)
    expected = norm.scores(distance, norm.statistics(first[None]), norm.statistics(second[None]))
    assert scores[3, 580] == pytest.approx(float(expected[0]), abs=1e-4)
    assert scores[3, 580] == pytest.approx(scores[580, 3], abs=1e-4)
