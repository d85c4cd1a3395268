"""What a clip is heard in when a model is measured: quiet around it, and noise at a set SNR."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from daemon.audio.features import HOP, SAMPLE_RATE
from export.data.manifests import Audio

QUIET_BEFORE, QUIET_AFTER = 1.0, 0.8
"""Seconds around a clip: a word cut close must still fill the network's view, and leave it."""
QUIET_DBFS = -75.0
"""RMS level of what surrounds a clip: the noise floor of a decent microphone."""
SPEECH_RANGE_DB = 25.0
"""Frames within this range of a clip's loudest 20 ms count as active speech."""


@dataclass(frozen=True)
class Condition:
    """Clean, or noise mixed in; equal seeds and clip names give equal noise."""

    snr_db: float | None = None
    """Active-speech level over noise level, in dB; None mixes nothing in."""
    noises: Sequence[Audio] = field(default=(), repr=False)
    """Noise recordings to cut excerpts from; none means pink noise."""
    noise_name: str = "pink"
    seed: int = 0

    def __str__(self) -> str:
        return "clean" if self.snr_db is None else f"{self.noise_name} at {self.snr_db:g} dB SNR"

    def surround(self, samples: Audio, name: str) -> Audio:
        """A clip as the model hears it.

        Args:
            samples: (n,) in [-1, 1] at 16 kHz.
            name: name of the clip, which picks its noise.

        Returns:
            (1280 k,) with quiet before and after, noise over all of it; peak at most 1.
        """
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        before, after = round(QUIET_BEFORE * SAMPLE_RATE), round(QUIET_AFTER * SAMPLE_RATE)
        hops = -(-(before + len(samples) + after) // HOP)
        heard = rng.standard_normal(hops * HOP, np.float32) * np.float32(10 ** (QUIET_DBFS / 20))
        heard[before : before + len(samples)] += samples
        if self.snr_db is not None:
            noise = self._noise(len(heard), rng)
            level = speech_level(samples) * 10 ** (-self.snr_db / 20)
            heard += noise * np.float32(level / max(float(np.sqrt(np.mean(noise**2))), 1e-9))
        loudest = float(np.abs(heard).max())
        return heard if loudest <= 1 else heard / np.float32(loudest)

    def _noise(self, length: int, rng: np.random.Generator) -> Audio:
        if not self.noises:
            return pink(length, rng)
        recording = self.noises[int(rng.integers(len(self.noises)))]
        start = int(rng.integers(len(recording)))
        return np.resize(np.roll(recording, -start), length)


def speech_level(samples: Audio) -> float:
    """RMS of the active part of a clip (n,): pauses do not count, so neither does their length."""
    block = SAMPLE_RATE // 50
    power = np.square(samples[: len(samples) // block * block].reshape(-1, block)).mean(1)
    if not len(power):
        return float(np.sqrt(np.mean(samples**2)))
    return float(np.sqrt(power[power >= power.max() * 10 ** (-SPEECH_RANGE_DB / 10)].mean()))


def pink(length: int, rng: np.random.Generator) -> Audio:
    """Noise whose power falls by 3 dB an octave from 20 Hz on: (length,), RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    hertz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20.0)), length)
    level = np.sqrt(np.mean(shaped**2))
    noise: Audio = (shaped / level).astype(np.float32)
    return noise
