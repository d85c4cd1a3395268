"""The measures of the clustering benchmark are right where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.clustering import _draw, _mean, score


def test_a_right_grouping_and_a_worthless_one() -> None:
    persons = np.repeat([0, 1, 2], 4)
    right = score(persons, (persons + 1) % 3)
    assert (right.rand, right.purity, right.groups, right.people) == (1, 1, 3, 3)
    alone = score(persons, np.arange(12))
    assert (alone.rand, alone.purity, alone.groups) == (0, 1, 12)
    together = score(persons, np.zeros(12, np.intp))
    assert (together.rand, together.groups) == (0, 1)
    assert together.purity == pytest.approx(1 / 3)
    means = _mean([right, alone])
    assert (means["rand"], means["groups_off"]) == (0.5, 3)


def test_a_draw_has_at_most_so_many_of_each() -> None:
    persons = np.array([0] * 9 + [1] * 2)
    chosen = _draw(persons, 5, np.random.default_rng(0))
    assert np.bincount(persons[chosen]).tolist() == [5, 2]
    assert len(set(chosen.tolist())) == 7
