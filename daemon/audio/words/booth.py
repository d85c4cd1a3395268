"""Takes from a live source: listens until a word was said and is over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.audio.sources import AudioLost, Source
from daemon.audio.words.speech import find_speech
from daemon.audio.words.takes import LEAST_SNR_DB, SHORTEST
from daemon.errors import SourceError

Array = npt.NDArray[np.float32]

PATIENCE = 6.0
"""Seconds in which something must be said."""
QUIET_AFTER = 0.6
"""Seconds of quiet after which the word is over."""


def listen(source: Source) -> Array:
    """One take: samples (n,) from now until the word is over, or until patience is.

    Args:
        source: open.

    Raises:
        SourceError: the sound ended or was lost.
    """
    pcm = np.zeros(source.hops * HOP, np.float32)
    heard = np.zeros(0, np.float32)
    while len(heard) < PATIENCE * SAMPLE_RATE:
        try:
            taken = source.read(pcm)
        except AudioLost as lost:
            raise SourceError(f"{source.description}: {lost}") from None
        if taken is None:
            raise SourceError(f"{source.description}: the sound ended before all takes were made")
        heard = np.concatenate([heard, pcm])
        if _is_over(heard):
            break
    return heard


def _is_over(heard: Array) -> bool:
    speech = find_speech(heard)
    return (
        speech is not None
        and speech.seconds >= SHORTEST
        and speech.level_db - speech.noise_db >= LEAST_SNR_DB
        and speech.end + QUIET_AFTER * SAMPLE_RATE <= len(heard)
    )
