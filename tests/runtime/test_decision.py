"""The decision rule, as a person would describe it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.audio.decision import Decision, Rule, decide
from daemon.audio.features import STEP_SECONDS

probabilities = st.lists(st.floats(0, 1, width=32), max_size=120)
rules = st.builds(
    Rule,
    threshold=st.floats(0.05, 0.95),
    smoothing=st.integers(1, 6),
    refractory=st.floats(0, 3),
)


def test_fires_where_the_smoothed_probability_rises_to_the_threshold() -> None:
    (firing,) = decide([0, 0.2, 0.6, 0.9, 0.9, 0.1, 0], Rule(0.75, smoothing=2))
    assert firing.step == 3  # (0.6 + 0.9) / 2 = 0.75
    assert firing.probability == pytest.approx(0.9)


def test_a_single_high_step_does_not_fire_a_smoothed_word() -> None:
    assert decide([0, 0, 1, 0, 0], Rule(0.5, smoothing=3)) == []


def test_a_word_that_stays_high_fires_once() -> None:
    assert len(decide([0.9] * 100, Rule(0.5, smoothing=2, refractory=1.0))) == 1


def test_refractory_time_hides_an_echo_and_not_the_next_word() -> None:
    word, gap = [0.9, 0.9], [0.0, 0.0]
    steps = word + gap + word + [0.0] * 20 + word
    firings = decide(steps, Rule(0.5, smoothing=1, refractory=1.0))
    assert [firing.step for firing in firings] == [0, 26]


def test_a_retracted_firing_does_not_hide_the_next() -> None:
    decision = Decision(Rule(0.5, refractory=2.0))
    assert decision.update(0.9)
    decision.retract()
    decision.update(0.0)
    assert decision.update(0.9)


@given(probabilities, rules)
def test_never_twice_within_the_refractory_time(steps: list[float], rule: Rule) -> None:
    fired = [firing.step for firing in decide(steps, rule)]
    assert all(b - a >= round(rule.refractory / STEP_SECONDS) for a, b in pairwise(fired))


@given(probabilities, rules)
def test_equals_the_definition(steps: list[float], rule: Rule) -> None:
    padded = np.concatenate([np.zeros(rule.smoothing - 1), steps])
    smoothed = [padded[i : i + rule.smoothing].mean() for i in range(len(steps))]
    for firing in decide(steps, rule):
        assert smoothed[firing.step] >= rule.threshold - 1e-6
        assert firing.step == 0 or smoothed[firing.step - 1] < rule.threshold + 1e-6
    if not any(value >= rule.threshold - 1e-6 for value in smoothed):
        assert decide(steps, rule) == []


@given(probabilities, rules, st.integers(0, 60))
def test_reset_forgets_and_time_goes_on(steps: list[float], rule: Rule, before: int) -> None:
    decision = Decision(rule)
    for _ in range(before):
        decision.update(0.99)
    decision.reset()
    fired = [f.step - before for p in steps if (f := decision.update(p))]
    assert fired == [f.step for f in decide(steps, rule)]
