"""Where in a recording somebody speaks, and how it was recorded: what a take is judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.audio.features import SAMPLE_RATE

Array = npt.NDArray[np.float32]

FRAME_SECONDS = 0.01
_FRAME = round(FRAME_SECONDS * SAMPLE_RATE)
_SMOOTHED = 3
"""Frames whose power is averaged, so that a click is no speech."""
NOISE_QUANTILE = 0.1
"""Share of the frames that are taken for the quiet around the word."""
ABOVE_NOISE = 0.3
"""Speech is what lies this far up, in decibels, from the noise to the loudest of the word."""
DEEPEST_DB = 25.0
"""... and not deeper than this below the loudest: an echo is no speech."""
LONGEST_PAUSE = 0.25
"""Seconds of quiet that may lie inside a word or a phrase: a stop consonant, a breath."""
SHORTEST = 0.08
"""Seconds of sound that count: less is a click."""
FULL_SCALE = 0.985
"""Magnitude from which a sample counts as clipped."""
NO_SOUND_DB = -120.0


@dataclass(frozen=True, slots=True)
class Speech:
    """The loudest stretch of speech in a recording."""

    start: int
    """First sample of it."""
    end: int
    """One past the last."""
    level_db: float
    """RMS of the louder half of it, relative to full scale."""
    noise_db: float
    """RMS of the quiet around it."""
    clipped: float
    """Share of its samples at full scale."""

    @property
    def seconds(self) -> float:
        """Length."""
        return (self.end - self.start) / SAMPLE_RATE


def find_speech(pcm: Array) -> Speech | None:
    """The stretch of speech with most energy, pauses inside it included.

    Args:
        pcm: (n,) in [-1, 1] at 16 kHz.

    Returns:
        None if there is none: too little sound, or silence.
    """
    count = len(pcm) // _FRAME
    if count < 2 * _SMOOTHED:
        return None
    power = np.square(pcm[: count * _FRAME], dtype=np.float64).reshape(count, _FRAME).mean(1)
    smooth = np.convolve(power, np.full(_SMOOTHED, 1 / _SMOOTHED), mode="same")
    levels = 10 * np.log10(smooth + 10 ** (NO_SOUND_DB / 10))
    noise, loudest = float(np.quantile(levels, NOISE_QUANTILE)), float(levels.max())
    if loudest <= NO_SOUND_DB + 1:
        return None
    floor = max(noise + ABOVE_NOISE * (loudest - noise), loudest - DEEPEST_DB)
    stretches = _stretches(levels >= floor)
    if not stretches:
        return None
    first, last = max(stretches, key=lambda each: float(power[each[0] : each[1]].sum()))
    start, end = first * _FRAME, last * _FRAME
    loud = np.sort(power[first:last])[(last - first) // 2 :]
    return Speech(
        start,
        end,
        level_db=float(10 * np.log10(loud.mean() + 1e-12)),
        noise_db=noise,
        clipped=float((np.abs(pcm[start:end]) >= FULL_SCALE).mean()),
    )


def _stretches(active: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of active frames, (first, one past the last), joined over short pauses."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    runs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    joined: list[tuple[int, int]] = []
    for first, last in runs:
        if joined and (first - joined[-1][1]) * FRAME_SECONDS <= LONGEST_PAUSE:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return [each for each in joined if (each[1] - each[0]) * FRAME_SECONDS >= SHORTEST]
