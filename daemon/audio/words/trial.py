"""Recordings against the enrolled words: what the daemon would hear, and how near it comes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.audio.detector import Detector, open_detectors
from daemon.audio.features import HOP, SAMPLE_RATE, STEP_SECONDS
from daemon.config import Config
from daemon.errors import WordError

Array = npt.NDArray[np.float32]

LEAD_SECONDS, TAIL_SECONDS = 1.6, 0.64
"""Silence around a recording: a word at its very start must fill the network's view, too."""


@dataclass(frozen=True, slots=True)
class Result:
    """One word over one recording."""

    word: str
    score: float
    """The highest."""
    time: float
    """Where it was, in seconds from the start of the recording."""
    threshold: float
    heard: list[float]
    """Where the word was heard, in seconds."""

    def facts(self) -> dict[str, Any]:
        """By name, for JSON."""
        return asdict(self)


class Trial:
    """Listens to recordings with the detector of the enrolled words."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._first = len(detector.words) - detector.enrolled

    def hear(self, pcm: Array) -> list[Result]:
        """Each enrolled word over a recording, (n,) at 16 kHz."""
        scores, heard = self.scores(pcm)
        words = self._detector.words[self._first :]
        return [
            Result(
                word.word,
                round(float(column.max()), 4),
                round(self._seconds(int(column.argmax())), 2),
                word.threshold,
                heard[word.word],
            )
            for word, column in zip(words, scores.T)
        ]

    def scores(self, pcm: Array) -> tuple[Array, dict[str, list[float]]]:
        """Scores (steps, enrolled words), and when each word was heard.

        Times are seconds from the start of the recording; the first step is at -1.6 s.
        """
        before, after = (round(s * SAMPLE_RATE) for s in (LEAD_SECONDS, TAIL_SECONDS))
        steps = -(-(before + len(pcm) + after) // HOP)
        heard = np.zeros(steps * HOP, np.float32)
        heard[before : before + len(pcm)] = pcm
        self._detector.seek(0)
        self._detector.reset()
        rows = []
        times: dict[str, list[float]] = {each.word: [] for each in self._detector.words}
        for block in np.array_split(heard.reshape(steps, HOP), -(-steps // 25)):
            for found in self._detector.hear(block.ravel()):
                times[found.word.word].append(round(found.decided - LEAD_SECONDS, 2))
            rows.append(self._detector.probabilities[:, self._first :].copy())
        return np.concatenate(rows), times

    @staticmethod
    def _seconds(step: int) -> float:
        return (step + 1) * STEP_SECONDS - LEAD_SECONDS


def open_trial(config: Config) -> Trial:
    """The detector of the configuration that has the enrolled words.

    Raises:
        WordError: no word is enrolled, or none that can be listened for.
        ModelError: a model is missing, damaged, or of another trunk.
    """
    for detector in open_detectors(config):
        if detector.enrolled:
            return Trial(detector)
    raise WordError("no word is enrolled: porter words enroll NAME RECORDING...")
