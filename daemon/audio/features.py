"""The spectrogram that training and running share, and the timing of its steps.

The log-mel spectrogram follows the front end of Google's speech embedding network, as published
with openWakeWord: 25 ms Hann windows every 10 ms, 32 Slaney mel bands from 60 to 3,800 Hz, in
decibels. The streaming graph holds these matrices as frozen layers; :func:`log_mel` is the same in
NumPy, for plots and for checks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""Samples per second of everything that a model hears."""
WINDOW = 400
"""Samples of a spectrogram window (25 ms)."""
FRAME = 160
"""Samples from one spectrogram frame to the next (10 ms)."""
FRAMES_PER_STEP = 8
"""Frames that the trunk folds into one embedding."""
HOP = FRAME * FRAMES_PER_STEP
"""Samples from one step (hypercolumn, probability) to the next (80 ms)."""
STEP_SECONDS = HOP / SAMPLE_RATE
FFT = 512
MEL_BANDS = 32
MEL_LOW_HZ, MEL_HIGH_HZ = 60.0, 3_800.0
FLOOR_POWER = 1.0
"""Mel power that counts as silence, with samples on the scale of 16-bit integers."""
SAMPLE_SCALE = 32_768.0

Array = npt.NDArray[np.float32]


def window_dft() -> tuple[Array, Array]:
    """Hann-windowed DFT rows for the bins that the mel bands use.

    Returns:
        cosine and sine parts, each (bins, 400), for samples in [-1, 1]; bins as in
        :func:`mel_filters`.
    """
    time = np.arange(WINDOW)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / WINDOW)
    angle = 2 * np.pi * np.arange(*_bin_range())[:, None] * time / FFT
    scale = SAMPLE_SCALE * hann
    return (np.cos(angle) * scale).astype(np.float32), (np.sin(angle) * scale).astype(np.float32)


def mel_filters() -> Array:
    """Slaney-style triangular mel filters, area-normalised: (bins, 32), only the bins in use."""
    return _all_mel_filters()[slice(*_bin_range())].astype(np.float32)


def log_mel(samples: Array) -> Array:
    """Log-mel spectrogram of a whole clip.

    Args:
        samples: (n,) in [-1, 1] at 16 kHz, n >= 400.

    Returns:
        (frames, 32), `10 log10(power) / 10 + 2` with powers on the 16-bit scale, at least 2.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::FRAME]
    cosine, sine = window_dft()
    power = (frames @ cosine.T) ** 2 + (frames @ sine.T) ** 2
    levels = np.log10(np.maximum(power @ mel_filters(), FLOOR_POWER)) + 2.0
    return levels.astype(np.float32)


def _bin_range() -> tuple[int, int]:
    used = np.flatnonzero(_all_mel_filters().any(1))
    return int(used[0]), int(used[-1]) + 1


def _all_mel_filters() -> npt.NDArray[np.float64]:
    hertz = np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT
    low_mel, high_mel = _hertz_to_mel(np.array([MEL_LOW_HZ, MEL_HIGH_HZ])).tolist()
    edges = _mel_to_hertz(np.linspace(low_mel, high_mel, MEL_BANDS + 2))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hertz[:, None] - low) / (centre - low)
    falling = (high - hertz[:, None]) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)


_LINEAR_STEP, _LOG_START, _LOG_STEP = 200 / 3, 1_000.0, np.log(6.4) / 27


def _hertz_to_mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logarithmic = _LOG_START / _LINEAR_STEP + np.log(np.maximum(hertz, 1) / _LOG_START) / _LOG_STEP
    return np.where(hertz < _LOG_START, hertz / _LINEAR_STEP, logarithmic)


def _mel_to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    knee = _LOG_START / _LINEAR_STEP
    return np.where(mel < knee, mel * _LINEAR_STEP, _LOG_START * np.exp((mel - knee) * _LOG_STEP))
