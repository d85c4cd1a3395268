"""Words said by many voices, real and synthetic together: what triplets are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from daemon.audio.features import SAMPLE_RATE
from export.data import pools
from export.data.manifests import Clip, read_manifest
from export.data.pools import Pool
from export.data.speech import Audio, SpeechCache, Utterance, trim
from export.data.vocabulary import kept, said

RECORDED = ("athena", "amelia", "hey_savant", "hey_chatterbox")
"""Labels of recordings that are one word or phrase each; nobody says a tested word in them."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LONGEST = 1.5
"""Seconds: a recording that is longer without its silence holds more than the word."""


@dataclass
class Voices:
    """The sounds of one word, by who says it."""

    real: dict[str, Pool] = field(default_factory=dict)
    synthetic: dict[str, Pool] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many different voices say it."""
        return len(self.real) + len(self.synthetic)

    def draw(self, count: int, rng: np.random.Generator) -> list[Audio]:
        """Sounds (n,) by `count` different voices: half real and half synthetic, if there are both.

        Raises:
            ValueError: fewer voices say the word.
        """
        if count > len(self):
            raise ValueError(f"{count} voices of a word that {len(self)} say")
        real = min(len(self.real), max(count // 2, count - len(self.synthetic)))
        chosen: list[Pool] = []
        for voices, size in (self.real, real), (self.synthetic, count - real):
            names = list(voices)
            chosen += [voices[names[at]] for at in rng.choice(len(names), size, replace=False)]
        return [pool.draw(rng) for pool in chosen]


def voices_of(
    words: Sequence[str],
    recordings: Path | None,
    neural: int,
    seed: int,
    cache: SpeechCache,
    processes: int,
) -> dict[str, Voices]:
    """Synthetic voices of words, and recordings of single words, which synthetic voices say, too.

    Args:
        words: of the vocabulary.
        recordings: folder of recordings, or None.
        neural: neural voices of each word.
        seed: of the synthetic voices.
        cache: where synthesised speech is kept; what is missing is made.
        processes: that make it.
    """
    recorded = recorded_words(recordings) if recordings else []
    recorded = [(word, clip) for word, clip in recorded if word not in kept()]
    everything = dict.fromkeys([*words, *(word for word, _ in recorded)])
    utterances = [(word, each) for word in everything for each in said(word, neural, seed)]
    return gather(utterances, recorded, cache, processes)


def gather(
    utterances: Sequence[tuple[str, Utterance]],
    recordings: Sequence[tuple[str, Clip]],
    cache: SpeechCache,
    processes: int,
) -> dict[str, Voices]:
    """Words and who says them.

    Args:
        utterances: a word and how it is said.
        recordings: word and a recording of it. Who is not named counts as a voice of its own.
        cache: where synthesised speech is kept; what is missing is made.
        processes: that make it.
    """
    words: dict[str, Voices] = {}
    spoken = pools.spoken([utterance for _, utterance in utterances], cache, processes)
    for (word, utterance), sound in zip(utterances, spoken, strict=True):
        voices = words.setdefault(word, Voices()).synthetic
        name = f"{utterance.engine} {utterance.accent} {utterance.voice}"
        voices.setdefault(name, Pool()).add([sound])
    for word, clip in recordings:
        sound = trim(clip.read())
        if len(sound) <= LONGEST * SAMPLE_RATE:
            voices = words.setdefault(word, Voices()).real
            voices.setdefault(clip.speaker or clip.name, Pool()).add([sound])
    return words


def recorded_words(root: Path, split: str = "train") -> list[tuple[str, Clip]]:
    """Recordings of a single word in `negative_words/` of a folder of recordings, with the word.

    Spoken digits are in the order of the Free Spoken Digit Dataset: digit by digit, and the
    speakers of each by name.
    """
    clips = read_manifest(root / "negative_words" / "manifest.csv")
    digits = [clip for clip in clips if clip.label == "digits"]
    starts = [0] + [at for at, (a, b) in enumerate(pairwise(digits), 1) if b.source < a.source]
    found = [(clip.label.replace("_", " "), clip) for clip in clips if clip.label in RECORDED]
    if len(starts) == len(DIGITS):
        for digit, first, end in zip(DIGITS, starts, [*starts[1:], None], strict=True):
            found += [(digit, clip) for clip in digits[first:end]]
    return [(word, clip) for word, clip in found if clip.split == split]
