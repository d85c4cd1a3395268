"""Sound from any device sounds the same to the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.audio.resample import Converter


def tone(rate: int, channels: int, hertz: float = 1_000.0, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    mono = (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    return np.repeat(mono[:, None], channels, axis=1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_tone_stays_the_tone_that_it_is(rate: int, channels: int) -> None:
    out = Converter(rate, channels)(tone(rate, channels), last=True)
    assert abs(len(out) - 16_000) <= 2
    inner = slice(2_000, 14_000)
    np.testing.assert_allclose(out[inner], tone(16_000, 1)[inner, 0], atol=2e-3)


@given(st.lists(st.integers(1, 30_000), max_size=12))
@settings(max_examples=30, deadline=None)
def test_any_chunking_gives_the_same_samples(cuts: list[int]) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, (44_100, 2)).astype(np.float32)
    whole = Converter(44_100, 2)(sound, last=True)
    convert, parts = Converter(44_100, 2), np.split(sound, sorted(cuts))
    pieces = [convert(part, last=part is parts[-1]) for part in parts]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


def test_what_16_khz_cannot_hold_does_not_come_back_as_something_else() -> None:
    out = Converter(48_000, 1)(tone(48_000, 1, hertz=12_000), last=True)
    assert np.abs(out[2_000:14_000]).max() < 1e-3


def test_channels_in_opposition_cancel() -> None:
    sound = tone(16_000, 2)
    sound[:, 1] *= -1
    assert np.abs(Converter(16_000, 2)(sound)).max() == 0
