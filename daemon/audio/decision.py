"""When a word counts as said: probability per step in, firings out. Pure; no clock, no sound.

The probability of each 80 ms step is averaged over the last `smoothing` steps, as in Chen, Parada
and Heigold, "Small-footprint keyword spotting using deep neural networks" (ICASSP 2014), eq. 2:

    smoothed[j] = mean(probability[j - smoothing + 1 ... j]),  with zeros before the first step

The word fires where the smoothed probability rises to the threshold, unless it fired less than
`refractory` seconds ago. It can fire again only after the smoothed probability was below the
threshold, so a long vowel is one firing, whatever the refractory time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.audio.features import STEP_SECONDS


@dataclass(frozen=True, slots=True)
class Rule:
    """How one word is decided."""

    threshold: float
    smoothing: int = 1
    """Steps that are averaged."""
    refractory: float = 1.0
    """Seconds after a firing in which the word does not fire."""


@dataclass(frozen=True, slots=True)
class Firing:
    """The smoothed probability rose to the threshold."""

    step: int
    """Index of the step, from 0 at the start of the stream."""
    probability: float
    """Highest probability among the steps that were averaged."""


class Decision:
    """The rule of one word, applied to a stream of probabilities."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.step = 0
        """Steps decided since the start of the stream; :meth:`reset` does not turn it back."""
        self._refractory = round(rule.refractory / STEP_SECONDS)
        self._recent = [0.0] * rule.smoothing
        self._total = rule.threshold * rule.smoothing
        self._above = False
        self._quiet_until = 0

    def update(self, probability: float) -> Firing | None:
        """Take the probability of the next step."""
        recent, step = self._recent, self.step
        recent[step % len(recent)] = probability
        self.step = step + 1
        was_above, self._above = self._above, sum(recent) >= self._total
        if was_above or not self._above or step < self._quiet_until:
            return None
        self._quiet_until = step + self._refractory
        return Firing(step, max(recent))

    def retract(self) -> None:
        """The last firing was none: the next may come at once."""
        self._quiet_until = 0

    @property
    def smoothed(self) -> float:
        """The smoothed probability after the last step."""
        return sum(self._recent) / len(self._recent)

    def reset(self) -> None:
        """Forget the past, as after a gap in the sound; the count of steps goes on."""
        self._recent = [0.0] * len(self._recent)
        self._above = False
        self._quiet_until = 0


def decide(probabilities: npt.ArrayLike, rule: Rule) -> list[Firing]:
    """Firings in a whole clip.

    Args:
        probabilities: (steps,).
    """
    decision = Decision(rule)
    return [
        firing
        for each in np.asarray(probabilities, dtype=np.float64).tolist()
        if (firing := decision.update(each))
    ]
