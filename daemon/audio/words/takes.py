"""Recordings of a word: what is taken, what is rejected, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from daemon.audio.features import SAMPLE_RATE
from daemon.audio.words.speech import Speech, find_speech

Array = npt.NDArray[np.float32]
Reason = Literal[
    "unreadable", "no speech", "too quiet", "noisy", "clipped", "cut off", "too short", "too long",
    "unlike", "repeated",
]  # fmt: skip

QUIETEST_DB = -50.0
"""Level of the word, relative to full scale, below which a microphone gives mostly noise."""
LEAST_SNR_DB = 10.0
"""Decibels that the word must stand out from the sound around it."""
MOST_CLIPPED = 0.01
"""Share of samples at full scale above which a voice is distorted."""
EDGE_SECONDS = 0.02
"""Quiet that there must be before and after the word, to know that all of it is there."""
SHORTEST, LONGEST = 0.25, 1.6
"""Seconds: less is a syllable, more is a sentence, and the network looks at a second."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a recording was not taken."""

    source: str
    reason: Reason
    message: str
    """For people."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording that passed."""

    source: str
    pcm: Array
    """(n,) in [-1, 1] at 16 kHz."""
    speech: Speech


def check(source: str, pcm: Array) -> Recording | Fault:
    """Judge a recording by itself.

    Args:
        source: where it came from, for people.
        pcm: (n,) in [-1, 1] at 16 kHz.
    """
    speech = find_speech(pcm)
    if speech is None:
        return Fault(source, "no speech", "there is no speech in it")
    edge = round(EDGE_SECONDS * SAMPLE_RATE)
    above = speech.level_db - speech.noise_db
    if speech.clipped > MOST_CLIPPED:
        share = f"{100 * speech.clipped:.0f} % of the word"
        return Fault(source, "clipped", f"{share} is clipped: lower the gain or step back")
    if speech.level_db < QUIETEST_DB:
        level = f"the word is at {speech.level_db:.0f} dB, at least {QUIETEST_DB:.0f} dB is needed"
        return Fault(source, "too quiet", f"{level}: raise the gain or come nearer")
    if above < LEAST_SNR_DB:
        return Fault(
            source,
            "noisy",
            f"the word is only {above:.0f} dB above the noise, {LEAST_SNR_DB:.0f} dB are needed",
        )
    if speech.start < edge:
        return Fault(source, "cut off", "it begins inside the word: leave a moment before it")
    if speech.end > len(pcm) - edge:
        return Fault(source, "cut off", "it ends inside the word: leave a moment after it")
    if not SHORTEST <= speech.seconds <= LONGEST:
        short = speech.seconds < SHORTEST
        return Fault(
            source,
            "too short" if short else "too long",
            f"the speech in it is {speech.seconds:.2f} s long, "
            + (
                f"at least {SHORTEST:g} s are needed"
                if short
                else f"at most {LONGEST:g} s: say nothing but the word"
            ),
        )
    return Recording(source, pcm, speech)


def check_new(taken: Recording, earlier: Iterable[Recording]) -> Recording | Fault:
    """Whether a recording that passed is none that was taken before: a copy says nothing new."""
    for other in earlier:
        if np.array_equal(taken.pcm, other.pcm):
            again = f"the same recording as {other.source}: say the word once more"
            return Fault(taken.source, "repeated", again)
    return taken
