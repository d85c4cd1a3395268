"""From sound to scores to events, as the daemon does it, but over hours at once.

The smoothed probability of a stream is computed once; how often a threshold would fire is then
counted on the series alone, exactly, for as many thresholds as one likes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from daemon.audio.decision import Rule
from daemon.audio.features import HOP, STEP_SECONDS
from daemon.audio.wake import WakeModel, open_wake_model
from daemon.cards import load_wake_card
from daemon.errors import ModelError
from daemon.inference import CPU
from export.data.manifests import Audio

Series = npt.NDArray[np.float64]
"""Smoothed probabilities of a stream, one every 80 ms."""

BLOCK_STEPS = 64
"""Hops a run: enough to make the overhead of a run vanish, few enough to stay in the cache."""

MARGIN = 1e-6
"""How far above a score a threshold is set that shall exclude it."""


class Scorer(Protocol):
    """Something that hears a stream and gives a probability every 80 ms."""

    def reset(self) -> None:
        """Forget everything heard so far."""

    def process(self, pcm: Audio) -> Audio:
        """(1280 k,) samples that follow the ones before, to (k,) probabilities of the word."""


class GraphScorer:
    """One word of the very network that the daemon runs."""

    def __init__(self, model: WakeModel, word: int) -> None:
        self._model = model
        self._word = word

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._model.reset()

    def process(self, pcm: Audio) -> Audio:
        """(1280 k,) samples that follow the ones before, to (k,) probabilities of the word."""
        size = BLOCK_STEPS * HOP
        # The model overwrites its result at a later run, so each part is copied out.
        return np.concatenate(
            [
                self._model.process(pcm[at : at + size])[:, self._word].copy()
                for at in range(0, len(pcm), size)
            ]
        )


def smooth(probabilities: Audio, window: int) -> Series:
    """Mean over the last `window` steps, with zeros before the first: (steps,) to (steps,)."""
    padded = np.concatenate([np.zeros(window - 1), probabilities.astype(np.float64)])
    return np.convolve(padded, np.full(window, 1 / window), mode="valid")


def firings(series: Series, threshold: float, refractory: float) -> list[int]:
    """Steps at which the daemon's decision rule fires; :mod:`daemon.audio.decision` states it.

    Args:
        series: (steps,) smoothed probabilities.
        threshold: where they have to rise to.
        refractory: seconds after a firing in which there is no other.
    """
    above = series >= threshold
    rises = np.flatnonzero(above & ~np.concatenate([[False], above[:-1]]))
    pause, quiet_until, fired = round(refractory / STEP_SECONDS), 0, []
    for step in rises.tolist():
        if step >= quiet_until:
            fired.append(step)
            quiet_until = step + pause
    return fired


def threshold_for(series: Series, refractory: float, allowed: int) -> float:
    """The lowest threshold such that it and every higher one fire at most `allowed` times.

    A rise needs a fall before it, so a lower threshold can fire less often than a higher one; the
    steps above it are the bound: no more firings than steps that lie a refractory time apart, and
    that number only grows as the threshold falls. A bisection on the bound gives a threshold that
    is safe, and from there the values of the series are tried one by one.
    """
    values = np.unique(series)
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if _most(series, values[middle], refractory) <= allowed:
            high = middle
        else:
            low = middle + 1
    while high and len(firings(series, values[high - 1], refractory)) <= allowed:
        high -= 1
    if high == 0:
        return 0.0
    # A hair above the value, so that rounding in another order of sums changes nothing.
    above = float(values[high]) if high < len(values) else 2.0
    return min(float(values[high - 1]) + MARGIN, (float(values[high - 1]) + above) / 2)


def _most(series: Series, threshold: float, refractory: float) -> int:
    """How many steps above a threshold lie a refractory time apart: a bound on its firings."""
    above, pause = np.flatnonzero(series >= threshold), max(1, round(refractory / STEP_SECONDS))
    count = at = 0
    while at < len(above):
        count += 1
        at = int(np.searchsorted(above, above[at] + pause))
    return count


def open_scorer(path: Path, word: str | None = None) -> tuple[GraphScorer, Rule, str]:
    """A model by file or name, as something to measure.

    Args:
        path: model or card file, or a bare name among the models.
        word: which of its words; may be None if it knows one.

    Returns:
        The scorer, the card's decision rule, and the word.

    Raises:
        ModelError: the model or its card is missing or damaged, or does not know the word.
    """
    card = load_wake_card(path)
    known = [each.word for each in card.words]
    if word is None and len(known) == 1:
        word = known[0]
    if word not in known:
        raise ModelError(f"{path}: --word {word or 'is needed'}: it knows {', '.join(known)}")
    at = known.index(word)
    settings = card.words[at]
    model = open_wake_model(card, [CPU])
    rule = Rule(settings.threshold, settings.smoothing, settings.refractory)
    return GraphScorer(model, at), rule, word
