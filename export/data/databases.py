"""Fills the databases from what there is: shared recordings, synthesis, Debian's sounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.data import pools
from export.data.casting import cast, neighbours
from export.data.mixing import Databases
from export.data.pools import Pool
from export.data.sentences import sentence
from export.data.speech import SpeechCache, Utterance

RECORDED_SPEECH = (
    ("speech", ("coffee_orders",), 3.0),
    ("speech", ("read_books",), 2.0),
    ("negative_words", (), 2.0),
)
"""Folder, labels left out of it, and the share of draws."""


FORMANT_RIVALS = 3
"""Rival words by formant and unit voices, which cost nothing, for each by a neural voice."""


def synthetic_positives(word: str, neural: int, seed: int) -> list[Utterance]:
    """Who says a wake word: mostly neural voices, and a third as many formant and unit voices."""
    return (
        cast(word, "kokoro", neural, seed)
        + cast(word, "espeak", neural // 3, seed)
        + cast(word, "flite", neural // 12, seed)
        + cast(word, "festival", neural // 40, seed)
    )


def synthetic_negatives(
    words: Sequence[str], neural: int, formant: int, seed: int
) -> list[Utterance]:
    """Rival words and sentences, so many by neural and so many by formant and unit voices."""
    rivals = [neighbours(word, 120) for word in words]
    chosen: list[Utterance] = []
    for index in range(neural + formant):
        rng = np.random.default_rng([77 + seed, index])
        engine = "kokoro" if index < neural else str(rng.choice(["espeak", "espeak", "flite"]))
        near = rivals[index % len(rivals)] if rivals else []
        # A fifth is running speech; rivals are drawn the more often the nearer they sound.
        if index % 5 == 4 or not near:
            text = sentence(rng).rstrip(".?!")
        else:
            text = near[int(len(near) * rng.random() ** 1.5)]
        chosen += cast(text, engine, 1, index)
    return chosen


@dataclass(frozen=True)
class Recordings:
    """The recordings that a run may use."""

    root: Path | None
    """Folder with `speech/`, `negative_words/` and `noise/`, each with its manifest; None: none."""
    splits: tuple[str, ...] = ("train",)
    calibration: bool | None = None
    """Only those kept for calibration, only the others, or all."""

    def negatives(self, exclude: Sequence[str] = ()) -> list[tuple[float, Pool]]:
        """Real speech and words without the labels in `exclude`, with the shares of draws."""
        filled: list[tuple[float, Pool]] = []
        for folder, left_out, share in RECORDED_SPEECH if self.root else ():
            assert self.root is not None
            pool = Pool()
            pool.add(
                pools.recorded(
                    self.root, folder, self.splits, (*left_out, *exclude), self.calibration
                )
            )
            filled += [(share, pool)] * bool(pool.sounds)
        return filled

    def told(self, exclude: Sequence[str] = ()) -> dict[str, dict[str, int]]:
        """How many recordings of each label there are, by folder, without labels in `exclude`."""
        found: dict[str, dict[str, int]] = {}
        for folder in ("speech", "negative_words", "noise") if self.root else ():
            assert self.root is not None
            clips = pools.clips(self.root, folder, self.splits, exclude, self.calibration)
            found[folder] = dict(sorted(Counter(clip.label for clip in clips).items()))
        return found

    def backgrounds(self, seed: int, minutes: float) -> list[tuple[float, Pool]]:
        """Noise, and music where games brought some, with the shares of draws."""
        filled: list[tuple[float, Pool]] = []
        if self.root:
            noise = Pool()
            noise.add(pools.recorded(self.root, "noise", self.splits, (), self.calibration))
            filled += [(2.0, noise)] * bool(noise.sounds)
        tunes = Pool()
        tunes.add(pools.music(minutes, seed))
        return filled + [(1.0, tunes)] * bool(tunes.sounds)


def telephone_prompts(seed: int) -> list[tuple[float, Pool]]:
    """Debian's recorded prompts, if they are installed."""
    pool = Pool()
    pool.add(pools.prompts(seed))
    return [(1.5, pool)] if pool.sounds else []


def for_trunk(
    recordings: Recordings,
    utterances: Sequence[Utterance],
    cache: SpeechCache,
    seed: int,
    processes: int,
    held_out: bool = False,
) -> Databases:
    """What the trunk hears: all speech there is, real and synthetic, over noise and music.

    With `held_out` without music and recorded prompts, which have no part that is kept apart.
    """
    synthetic = Pool()
    synthetic.add(pools.spoken(utterances, cache, processes))
    negatives = [*recordings.negatives(), (2.5, synthetic)]
    if not held_out:
        negatives += telephone_prompts(seed)
    return Databases({}, negatives, recordings.backgrounds(seed, 0.0 if held_out else 60.0))


def containing(words: Sequence[str]) -> list[str]:
    """Labels of recordings in which somebody says one of the words or phrases: never negatives."""
    labels = ("hey_computer", "hey_savant", "hey_chatterbox", "amelia", "athena")
    said = ["_".join(word.lower().split()) for word in words]
    return said + [label for label in labels if any(f"_{word}_" in f"_{label}_" for word in said)]
