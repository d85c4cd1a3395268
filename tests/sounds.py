"""Sounds for the tests: tones over noise at known times."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

RATE = 16_000
LOW = 500.0
"""Frequency, in hertz, of the word that the models in :mod:`tests.models` call "low"."""
HIGH = 2_000.0

Array = npt.NDArray[np.float32]


def scene(
    seconds: float,
    tones: Mapping[float, float] = {},
    *,
    amplitude: float = 0.3,
    length: float = 0.2,
    noise: float = 0.01,
    rate: int = RATE,
    seed: int = 0,
) -> Array:
    """Noise with tones in it: (seconds * rate,) in [-1, 1].

    Args:
        tones: frequency in hertz by its start in seconds.
        length: of each tone, in seconds.
    """
    samples = np.random.default_rng(seed).normal(0, noise, round(seconds * rate))
    for start, frequency in tones.items():
        first = round(start * rate)
        time = np.arange(round(length * rate)) / rate
        samples[first : first + len(time)] += amplitude * np.sin(2 * np.pi * frequency * time)
    return np.clip(samples, -1, 1).astype(np.float32)


def write(path: Path, samples: Array, rate: int = RATE, channels: int = 1) -> Path:
    """Write a sound file, the same on every channel."""
    soundfile.write(path, np.repeat(samples[:, None], channels, axis=1), rate)
    return path


def s16le(samples: Array) -> bytes:
    """Raw 16-bit samples, as `arecord -t raw -f S16_LE` gives them."""
    return (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
