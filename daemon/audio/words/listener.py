"""Listens for enrolled words: a trunk's hypercolumns step by step to a score for each word.

Every step is encoded once, and the last second of them compared with the templates of all words.
Nothing here grows or is made anew while listening.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from daemon.audio.words.encoder import WordEncoder
from daemon.audio.words.store import Word

Array = npt.NDArray[np.float32]


class WordListener:
    """All enrolled words of one trunk."""

    def __init__(self, encoder: WordEncoder, words: Sequence[Word]) -> None:
        """Take the words over; each must be of this encoder."""
        self._encoder = encoder
        self._scale = encoder.scale()
        templates = [word.vectors(encoder.card.dimension) for word in words]
        self._templates = np.concatenate(templates)
        self._mean, self._deviation = self._scale.statistics(self._templates)
        counts = [len(each) for each in templates]
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
        self._similar = np.zeros(len(self._templates), np.float32)
        self._seen = np.zeros_like(self._similar)
        self._likeness = np.zeros(len(words), np.float32)
        card = encoder.card
        self._window = np.zeros((card.window, card.dimension // card.window), np.float32)
        self._vector = np.zeros(card.dimension, np.float32)
        self._heard = 0

    def hear(self, columns: Array, scores: Array) -> None:
        """Take the next steps.

        Args:
            columns: (steps, width) of the trunk.
            scores: (steps, words), filled with 0 to 1; 0 while less than a window was heard.
        """
        window, encoder = self._window, self._encoder
        for step, column in enumerate(columns):
            encoder.column[0] = column
            window[:-1] = window[1:]
            window[-1] = encoder.run()
            self._heard += 1
            if self._heard < len(window):
                scores[step] = 0.0
            else:
                length = float(np.linalg.norm(window))
                np.divide(window.reshape(-1), length, out=self._vector)
                self._score(self._vector, scores[step])

    def reset(self) -> None:
        """Forget what was heard, as after a gap in the sound."""
        self._heard = 0

    def _score(self, vector: Array, scores: Array) -> None:
        similar = np.dot(self._templates, vector, out=self._similar)
        mean, deviation = self._scale.of(vector)
        # (s - m_t) / d_t + (s - m_p) / d_p, halved: as the template sees it and as the probe does.
        seen = np.subtract(similar, mean, out=self._seen)
        seen /= deviation
        similar -= self._mean
        similar /= self._deviation
        similar += seen
        similar *= 0.5
        self._scale.score(np.maximum.reduceat(similar, self._starts, out=self._likeness), scores)
