"""Counting on whole series agrees with the daemon's decision rule, step by step."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.audio.decision import Rule, decide
from export.wake.scoring import firings, smooth, threshold_for

# Coarse values make ties and plateaus likely, which is where counting goes wrong. In 32nds, sums
# are exact: equal means are equal in every bit.
probabilities = st.lists(st.integers(0, 32), min_size=1, max_size=120).map(
    lambda values: np.array(values, np.float32) / np.float32(32)
)
# Thresholds between all possible means, so that no rounding decides.
thresholds = st.integers(1, 240).map(lambda value: value / 241 + 1e-4)


@given(probabilities, thresholds, st.integers(1, 4), st.sampled_from([0.0, 0.08, 0.3, 1.0]))
def test_fires_where_the_daemon_fires(
    series: np.ndarray, threshold: float, smoothing: int, refractory: float
) -> None:
    fired = firings(smooth(series, smoothing), threshold, refractory)
    expected = decide(series, Rule(threshold, smoothing, refractory))
    assert fired == [firing.step for firing in expected]


@given(probabilities, st.integers(0, 4), st.sampled_from([0.0, 0.3, 1.0]))
def test_threshold_is_the_lowest_that_keeps_the_promise(
    series: np.ndarray, allowed: int, refractory: float
) -> None:
    smoothed = smooth(series, 2)
    found = threshold_for(smoothed, refractory, allowed)

    def count(threshold: float) -> int:
        return len(decide(series, Rule(threshold, 2, refractory)))

    # Means of two values lie on a grid of 1/64; a threshold within each gap stands for all in it.
    grid = [(step - 0.5) / 64 for step in range(1, 66)]
    assert all(count(threshold) <= allowed for threshold in [found, *grid] if threshold >= found)
    below = [threshold for threshold in grid if threshold < found]
    if below:
        assert count(max(below)) > allowed


def test_smoothing_starts_from_silence() -> None:
    assert smooth(np.array([0.9, 0.9, 0.9], np.float32), 3).round(3).tolist() == [0.3, 0.6, 0.9]
