"""A second look: a larger network hears the last two seconds again and has the last word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon import cards
from daemon.audio.features import SAMPLE_RATE
from daemon.errors import ModelError
from daemon.inference import open_session

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]

LENGTH = 2 * SAMPLE_RATE
"""Samples that a verifier takes."""


class Recent:
    """The last two seconds of a stream, always in one piece.

    Everything is written twice, two seconds apart, so that one of the copies never wraps around.
    """

    def __init__(self) -> None:
        self._samples = np.zeros(2 * LENGTH, np.float32)
        self._end = 0

    def append(self, pcm: Array) -> None:
        """Add new sound, (n,); more than two seconds push all of the old out."""
        pcm = pcm[-LENGTH:]
        first = min(len(pcm), LENGTH - self._end)
        for start in (self._end, self._end + LENGTH):
            self._samples[start : start + first] = pcm[:first]
        rest = len(pcm) - first
        self._samples[:rest] = self._samples[LENGTH : LENGTH + rest] = pcm[first:]
        self._end = (self._end + len(pcm)) % LENGTH

    def view(self) -> Array:
        """The last two seconds, (32000,), oldest first; silence before the start."""
        return self._samples[self._end : self._end + LENGTH]

    def clear(self) -> None:
        """Forget all of it."""
        self._samples[:] = 0


class Verifier:
    """A network from two seconds of sound to the probability that they end in the word."""

    def __init__(self, session: ort.InferenceSession, facts: cards.Verifier) -> None:
        self._session = session
        self.loose_threshold = facts.loose_threshold
        """Smoothed probability of the always-on network at which this one is asked."""
        self.threshold = facts.threshold
        """Probability at which this one agrees."""

    def probability(self, pcm: Array) -> float:
        """Run once over `pcm`, (32000,)."""
        (probability,) = self._session.run(["probability"], {"pcm": pcm[None]})
        return float(probability.reshape(-1)[0])


def open_verifier(
    path: Path, facts: cards.Verifier, providers: list[str], threads: int = 1
) -> Verifier:
    """Load a verifier.

    Raises:
        ModelError: it cannot be loaded, or takes or gives something else.
    """
    session = open_session(path, providers, threads)
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = [each.name for each in session.get_outputs()]
    if inputs != {"pcm": [1, LENGTH]} or "probability" not in outputs:
        raise ModelError(
            f"{path}: not a verifier: must take pcm [1, {LENGTH}] and give probability, "
            f"but takes {inputs} and gives {outputs}"
        )
    return Verifier(session, facts)
