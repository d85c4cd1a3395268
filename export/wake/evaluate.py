"""How often a wake word is missed, and how often heard where nobody said it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import stats
from tqdm import tqdm

from daemon.audio.decision import Rule
from daemon.audio.features import SAMPLE_RATE
from export.data.manifests import Clip
from export.wake.conditions import Condition
from export.wake.scoring import Scorer, Series, firings, smooth, threshold_for

CONFIDENCE = 0.95
MOST_ROWS = 2000
"""Rows of a DET curve; more corners than these are thinned out evenly."""


@dataclass(frozen=True)
class Heard:
    """A clip and what the model made of it."""

    clip: Clip
    seconds: float
    """Length of the recording itself."""
    scores: Series
    """Smoothed probabilities over the clip and the quiet around it, one every 80 ms."""

    @property
    def peak(self) -> float:
        """The highest smoothed probability: the clip is heard if a threshold is at most this."""
        return float(self.scores.max())


@dataclass(frozen=True)
class Rate:
    """A share or a rate with its 95 % confidence interval."""

    count: int
    of: float
    """Clips for a share of misses, hours for false accepts."""
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """One operating point."""

    threshold: float
    misses: Rate
    false_accepts: Rate


@dataclass(frozen=True)
class Evaluation:
    """Everything measured in one condition, and what can be asked of it."""

    condition: str
    rule: Rule
    positives: Sequence[Heard]
    negatives: Sequence[Heard]
    """Consecutive parts of one stream."""

    @property
    def negative_hours(self) -> float:
        """Length of the negative clips themselves, without the quiet put around them."""
        return sum(heard.seconds for heard in self.negatives) / 3600

    @property
    def peaks(self) -> Series:
        """Score of each positive clip: (positives,)."""
        return np.array([heard.peak for heard in self.positives])

    @property
    def stream(self) -> Series:
        """Smoothed probabilities over all negatives, end to end: (steps,)."""
        if not self.negatives:
            return np.zeros(0)
        return np.concatenate([heard.scores for heard in self.negatives])

    def at(self, threshold: float) -> Point:
        """Misses and false accepts at a threshold."""
        fired = len(firings(self.stream, threshold, self.rule.refractory))
        missed = int((self.peaks < threshold).sum())
        return Point(
            threshold, share(missed, len(self.positives)), per_hour(fired, self.negative_hours)
        )

    def allowing(self, false_accepts: int) -> Point:
        """Misses at the smallest threshold that gives at most so many false accepts."""
        return self.at(threshold_for(self.stream, self.rule.refractory, false_accepts))

    def det(self, most_per_hour: float = 100.0) -> npt.NDArray[np.float64]:
        """DET curve: rows of threshold, false accepts an hour, miss rate.

        Args:
            most_per_hour: where the curve ends; beyond it nobody would use the word; ten
                events are shown in any case, however short the recordings.
        """
        stream, peaks, span = self.stream, np.sort(self.peaks), max(self.negative_hours, 1e-9)
        lowest = threshold_for(stream, self.rule.refractory, max(10, int(most_per_hour * span)))
        values = np.concatenate([stream[stream >= lowest], peaks[peaks >= lowest]])
        # Between the highest negative and the lowest positive there may be nothing: one row above
        # every negative shows the misses without any false accept.
        candidates = np.unique(np.append(values, threshold_for(stream, self.rule.refractory, 0)))
        if len(candidates) > MOST_ROWS:
            candidates = np.quantile(candidates, np.linspace(0, 1, MOST_ROWS), method="nearest")
        rows = [
            (
                t,
                len(firings(stream, t, self.rule.refractory)) / span,
                np.searchsorted(peaks, t) / max(len(peaks), 1),
            )
            for t in candidates
        ]
        return np.array(rows)

    def false_accepts(self, threshold: float) -> list[tuple[Heard, int]]:
        """Negative clips in whose span a threshold fires, and how often."""
        edges = np.cumsum([0, *(len(heard.scores) for heard in self.negatives)])
        fired = np.array(firings(self.stream, threshold, self.rule.refractory))
        counts = [int(((fired >= a) & (fired < b)).sum()) for a, b in pairwise(edges)]
        return [(heard, count) for heard, count in zip(self.negatives, counts) if count]


def measure(
    scorer: Scorer,
    rule: Rule,
    positives: Sequence[Clip],
    negatives: Sequence[Clip],
    condition: Condition,
    progress: bool = True,
) -> Evaluation:
    """Run a model over clips: each positive alone, all negatives as one stream.

    Raises:
        SourceError: a clip cannot be read.
    """
    everything = [*positives, *negatives]
    parts, seconds = [], []
    for number, clip in enumerate(
        tqdm(everything, unit="clip", desc=str(condition), disable=not progress, leave=False)
    ):
        if number <= len(positives):
            scorer.reset()
        samples = clip.read()
        seconds.append(len(samples) / SAMPLE_RATE)
        heard = condition.surround(samples, clip.name)
        parts.append(scorer.process(heard))
    alone = [smooth(part, rule.smoothing) for part in parts[: len(positives)]]
    # All negatives are smoothed as the one stream that they were heard as.
    stream = smooth(np.concatenate([np.zeros(0), *parts[len(positives) :]]), rule.smoothing)
    cuts = np.cumsum([len(part) for part in parts[len(positives) :]])[:-1]
    heard_all = [Heard(*one) for one in zip(everything, seconds, [*alone, *np.split(stream, cuts)])]
    return Evaluation(
        str(condition), rule, heard_all[: len(positives)], heard_all[len(positives) :]
    )


def share(count: int, of: int) -> Rate:
    """A proportion with its Clopper-Pearson interval; of nothing, the interval is everything."""
    tail = (1 - CONFIDENCE) / 2
    low = stats.beta.ppf(tail, count, of - count + 1) if count else 0.0
    high = stats.beta.ppf(1 - tail, count + 1, of - count) if count < of else 1.0
    return Rate(count, of, count / of if of else 0.0, float(low), float(high))


def per_hour(count: int, span: float) -> Rate:
    """A rate of rare events with its exact Poisson (Garwood) interval; `span` in hours."""
    tail = (1 - CONFIDENCE) / 2
    low = stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    high = stats.chi2.ppf(1 - tail, 2 * count + 2) / 2
    if not span:
        return Rate(count, 0.0, 0.0, 0.0, float("inf"))
    return Rate(count, span, count / span, float(low / span), float(high / span))


@dataclass(frozen=True)
class Group:
    """Part of an evaluation: the clips that share a label, a source or a speaker."""

    name: str
    misses: Rate
    false_accepts: Rate


def groups(evaluation: Evaluation, threshold: float, key: Callable[[Clip], str]) -> list[Group]:
    """Misses and false accepts at a threshold by a property of the clips, worst first.

    Clips for which `key` gives an empty text (an unknown speaker) are left out.
    """
    said: defaultdict[str, list[bool]] = defaultdict(list)
    for heard in evaluation.positives:
        said[key(heard.clip)].append(heard.peak < threshold)
    spans: defaultdict[str, float] = defaultdict(float)
    for heard in evaluation.negatives:
        spans[key(heard.clip)] += heard.seconds / 3600
    fired: Counter[str] = Counter()
    for heard, count in evaluation.false_accepts(threshold):
        fired[key(heard.clip)] += count
    found = [
        Group(name, share(sum(said[name]), len(said[name])), per_hour(fired[name], spans[name]))
        for name in sorted({*said, *spans} - {""})
    ]
    return sorted(found, key=lambda group: (-group.misses.value, -group.false_accepts.value))
