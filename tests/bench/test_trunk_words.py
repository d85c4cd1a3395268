"""Misses at a given number of false accepts, by which trunks are compared."""

from __future__ import annotations

import numpy as np
import pytest

from bench.trunk_words import _in_pink, _misses


def test_misses_fall_as_more_false_accepts_are_allowed() -> None:
    labels = np.zeros((4, 125), np.int8)
    probabilities = np.zeros((4, 125), np.float32)
    labels[:, 60:65] = 1
    for clip, height in enumerate((0.9, 0.7, 0.5, 0.3)):
        probabilities[clip, 58:66] = height
    probabilities[0, 20:28] = 0.6
    assert _misses(probabilities, labels, allowed=0) == pytest.approx(0.5)
    assert _misses(probabilities, labels, allowed=1) == pytest.approx(0.0)


def test_pink_noise_lies_as_far_below_the_clip_as_asked() -> None:
    time = np.arange(16_000) / 16_000
    clips = (8_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[None]
    noise = (_in_pink(clips, 10.0).astype(float) - clips) / 32_768
    level = 8_000 / 32_768 / np.sqrt(2)
    assert 20 * np.log10(level / noise.std()) == pytest.approx(10.0, abs=0.3)
