"""Scores normalised against strangers: the numbers of the formula, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ModelError
from daemon.people.normalisation import CohortNorm, load_cohort


def units(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_formula_number_by_number():
    cohort, probes, templates = units(50), units(3, seed=1), units(4, seed=2)
    norm = CohortNorm(cohort, 10)
    of_probes, of_templates = norm.statistics(probes), norm.statistics(templates)
    for p, probe in enumerate(probes):
        for t, template in enumerate(templates):
            distance = ((probe - template) ** 2).sum()
            to_probe = np.sort(((cohort - probe) ** 2).sum(1))[:10]
            to_template = np.sort(((cohort - template) ** 2).sum(1))[:10]
            expected = 0.5 * (
                (distance - to_probe.mean()) / to_probe.std()
                + (distance - to_template.mean()) / to_template.std()
            )
            given = norm.scores(
                np.array([distance]),
                (of_probes[0][p : p + 1], of_probes[1][p : p + 1]),
                (of_templates[0][t : t + 1], of_templates[1][t : t + 1]),
            )
            assert given[0] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_pairs_and_all_against_all_agree():
    norm, vectors = CohortNorm(units(80), 20), units(6, seed=3)
    distances = 2 - 2 * vectors @ vectors.T
    mean, deviation = norm.statistics(vectors)
    whole = norm.scores(
        distances, (mean[:, None], deviation[:, None]), (mean[None], deviation[None])
    )
    assert np.allclose(whole, whole.T, atol=1e-5)
    row = norm.scores(distances[2], (mean[2:3], deviation[2:3]), (mean, deviation))
    assert np.allclose(row, whole[2], atol=1e-5)


@given(st.integers(0, 1000), st.integers(1, 60))
def test_a_nearer_face_never_scores_as_less_alike(seed, nearest):
    norm, (probe, template) = CohortNorm(units(40), nearest), units(2, seed=seed)
    of_probe, of_template = norm.statistics(probe[None]), norm.statistics(template[None])
    scores = norm.scores(np.linspace(0, 4, 9), of_probe, of_template)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()


def test_one_who_is_near_to_everybody_is_judged_more_strictly():
    """Strangers crowd around one face; at one distance from it less is said than elsewhere."""
    crowd = units(1)[0]
    near = units(60, seed=4) * 0.5 + crowd
    cohort = np.concatenate([near / np.linalg.norm(near, axis=1, keepdims=True), units(60, seed=5)])
    norm = CohortNorm(cohort, 30)
    lonely = -crowd
    distance = np.array([0.3])
    in_crowd, alone = norm.statistics(crowd[None]), norm.statistics(lonely[None])
    assert norm.scores(distance, in_crowd, in_crowd) > norm.scores(distance, alone, alone)


def test_a_cohort_of_one_face_divides_by_no_zero():
    norm = CohortNorm(np.tile(units(1), (5, 1)), 3)
    statistics = norm.statistics(units(2, seed=1))
    assert np.isfinite(norm.scores(np.array([1.0, 2.0]), statistics, statistics)).all()


def test_a_cohort_is_read_in_half_precision(tmp_path):
    path = tmp_path / "cohort.npy"
    np.save(path, units(7).astype(np.float16))
    cohort = load_cohort(path)
    assert cohort.dtype == np.float32
    assert np.allclose(np.linalg.norm(cohort, axis=1), 1, atol=1e-6)
    assert np.allclose(cohort, units(7), atol=1e-3)


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_what_is_no_cohort_is_refused(tmp_path, content):
    path = tmp_path / "cohort.npy"
    if content is None:
        np.save(path, np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="no cohort"):
        load_cohort(path)
