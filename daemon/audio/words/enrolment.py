"""From recordings of a word to what is kept of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.audio.wake import WakeModel
from daemon.audio.words.encoder import WordEncoder
from daemon.audio.words.store import Take, Word
from daemon.audio.words.takes import Fault, Recording
from daemon.events import rfc3339

Array = npt.NDArray[np.float32]

QUIET_BEFORE = 1.6
"""Seconds before a recording while it is encoded: they must fill the trunk's view."""
QUIET_DB = -75.0
"""RMS level of that quiet: the noise of a decent microphone."""
AFTER_END = (0, 1, 2)
"""Steps after the end of the word at which it is encoded; a template is the mean of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A recording and its vectors."""

    recording: Recording
    vectors: Array
    """(3, dimension): one for each step of :data:`AFTER_END`."""

    @property
    def template(self) -> Array:
        """(dimension,) of length 1: what is kept of it."""
        mean = self.vectors.mean(0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


class Enroller:
    """Turns recordings into words, with the networks that will listen for them."""

    def __init__(self, trunk: WakeModel, encoder: WordEncoder) -> None:
        """Take a wake model whose trunk the encoder was trained on."""
        self._trunk, self._encoder = trunk, encoder
        self._scale = encoder.scale()

    @property
    def threshold(self) -> float:
        """Score that counts as heard, unless the recordings ask for more."""
        return self._encoder.card.threshold

    def encode(self, recording: Recording) -> Encoded:
        """The vectors of a recording: the word in its room, with quiet around that."""
        before = round(QUIET_BEFORE * SAMPLE_RATE)
        step = math.ceil((before + recording.speech.end) / HOP) - 1
        length = (step + 1 + max(AFTER_END)) * HOP
        # The same quiet each time: the same recording gives the same templates.
        rng = np.random.default_rng(0)
        heard = rng.standard_normal(length, np.float32) * np.float32(10 ** (QUIET_DB / 20))
        said = recording.pcm[: length - before]
        heard[before : before + len(said)] += said
        self._trunk.reset()
        self._trunk.process(heard)
        first = step + 1 - self._encoder.card.window
        vectors = self._encoder.embed(self._trunk.columns[first:])
        return Encoded(recording, vectors[list(AFTER_END)])

    def sort_out(self, takes: Sequence[Encoded]) -> tuple[list[Encoded], list[Fault]]:
        """Leave out the takes that are unlike the others, one after the other."""
        kept, faults, least = list(takes), [], self._encoder.card.unlike
        while len(kept) > 1:
            alike = self._alike(kept)
            worst = int(alike.argmin())
            if alike[worst] >= least:
                break
            name = kept[worst].recording.source
            message = f"unlike the others (likeness {alike[worst]:.1f}, at least {least:.1f})"
            faults.append(Fault(name, "unlike", f"{message}: is it the same word?"))
            del kept[worst]
            if len(kept) == 1:  # of two that differ nobody knows which is wrong
                faults.append(Fault(kept[0].recording.source, "unlike", f"{message}"))
                kept.clear()
        return kept, faults

    def word(self, name: str, takes: Sequence[Encoded]) -> Word:
        """What is kept of takes that belong together."""
        alike = self._alike(takes)
        lengths = [each.recording.speech.seconds for each in takes]
        return Word(
            name=name,
            encoder=self._encoder.card.id,
            created=rfc3339(time.time()),
            takes=[
                Take(source=each.recording.source, seconds=round(length, 3), likeness=round(n, 3))
                for each, length, n in zip(takes, lengths, alike.tolist())
            ],
            templates=_templates(takes).ravel(),
            threshold=self._threshold(name, takes, float(alike.min())),
            duration=round(float(np.median(lengths)), 3),
        )

    def rivalry(self, takes: Sequence[Encoded], other: Word) -> float | None:
        """The highest score of takes for another word; None if that is of another encoder."""
        if other.encoder != self._encoder.card.id:
            return None
        templates = other.vectors(self._encoder.card.dimension)
        return float(self._scores(_templates(takes), templates).max())

    def neighbour(self, name: str, takes: Sequence[Encoded]) -> tuple[str, float]:
        """The common word, other than those in `name`, that comes nearest to takes; its score."""
        words, parts = self._encoder.card.neighbours.words, name.casefold().split()
        scores = self._scores(self._encoder.neighbours, _templates(takes))
        scores[[word in parts for word in words]] = 0.0
        nearest = int(scores.argmax())
        return words[nearest], float(scores[nearest])

    def _alike(self, takes: Sequence[Encoded]) -> Array:
        """Likeness of each take to the nearest of the others; the card's least for a single one."""
        if len(takes) == 1:
            return np.array([self._encoder.card.unlike], np.float32)
        templates = _templates(takes)
        likeness = self._scale.likeness(templates, templates)
        np.fill_diagonal(likeness, -np.inf)
        return np.asarray(likeness.max(1))

    def _threshold(self, name: str, takes: Sequence[Encoded], alike: float) -> float:
        """The card's, or as much more as it takes to tell the word from other words and sounds.

        But not more than the takes themselves would pass.
        """
        sound = float(self._scores(self._encoder.cohort, _templates(takes)).max())
        word = self.neighbour(name, takes)[1]
        most = min(0.999, float(self._scale.score(alike)))
        return round(max(self.threshold, min(max(sound, word), most)), 4)

    def _scores(self, others: Array, templates: Array) -> Array:
        """Of each of others (n, d): the highest for a template (k, d)."""
        scores: Array = self._scale.score(self._scale.likeness(others, templates)).max(1)
        return scores


def _templates(takes: Sequence[Encoded]) -> Array:
    return np.stack([each.template for each in takes])
