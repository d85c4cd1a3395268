"""Intervals of shares."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export import intervals
from export.intervals import wilson


def test_the_example_holds() -> None:
    assert doctest.testmod(intervals).failed == 0


@given(st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_its_share_and_mirrors(count: int, rest: int) -> None:
    low, high = wilson(count, count + rest)
    assert 0 <= low <= high <= 1
    if count + rest:
        assert low <= count / (count + rest) <= high
    assert wilson(rest, count + rest) == pytest.approx((1 - high, 1 - low))
