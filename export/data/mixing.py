"""Mixes words, speech and backgrounds into clips with labels, anew for every clip.

The recipe is that of the trigger-word exercise in the deep learning course (three databases
overlaid into 10 s clips, labels made by construction), with rooms, microphones and codecs added.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP, SAMPLE_RATE
from export.data import augment
from export.data.pools import Pool
from export.data.speech import Audio

CLIP_STEPS = 125
CLIP = CLIP_STEPS * HOP
"""Samples of a clip (10 s)."""
LABEL_STEPS = 5
"""Steps labelled 1 after the end of a positive (400 ms)."""
IGNORED = -1.0
"""Label of a step that may go either way: the word is just ending."""


@dataclass
class Databases:
    """What clips are mixed from."""

    positives: dict[str, Pool]
    """Recordings of each wake word."""
    negatives: list[tuple[float, Pool]]
    """Other words and speech, with the share of draws that each pool gets."""
    backgrounds: list[tuple[float, Pool]]
    words: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.words = list(self.positives)


@dataclass
class Clip:
    """A mixed clip and its labels."""

    samples: Audio
    """(160000,)."""
    labels: npt.NDArray[np.float32]
    """(125, words): 1 right after a word, -1 where either answer is right, else 0."""


def mix(data: Databases, rng: np.random.Generator, positives: int = 3) -> Clip:
    """One clip: a background, up to `positives` wake words and other speech between them.

    Positives never overlap negatives: sounds lie one after the other, at gaps from nothing to a
    second and a half.
    """
    samples = np.zeros(CLIP, np.float32)
    labels = np.zeros((CLIP_STEPS, len(data.words)), np.float32)
    chosen = _schedule(data, rng, positives)
    room = _Channel(rng)
    at = int(rng.uniform(0, 0.8) * SAMPLE_RATE)
    for word, sound in chosen:
        sound = room.speak(sound, rng)
        dry_end = at + room.dry_length
        if dry_end > CLIP - HOP:
            # Speech may run over the edge of the clip; a wake word is kept whole or left out.
            if word is None and at < CLIP:
                samples[at : at + len(sound)] += sound[: CLIP - at]
            break
        stop = min(CLIP, at + len(sound))
        samples[at:stop] += sound[: stop - at]
        if word is not None:
            _label(labels, dry_end, data.words.index(word))
        at = dry_end + int(_gap(rng) * SAMPLE_RATE)
    return Clip(_capture(samples, data, rng), labels)


def _schedule(
    data: Databases, rng: np.random.Generator, positives: int
) -> list[tuple[str | None, Audio]]:
    wanted = int(rng.integers(0, positives + 1)) if data.words else 0
    chosen: list[tuple[str | None, Audio]] = []
    for _ in range(wanted):
        word = data.words[int(rng.integers(len(data.words)))]
        sound = augment.voice(data.positives[word].draw(rng), rng)
        if rng.random() < 0.12:
            # Half a wake word is not a wake word.
            cut = len(sound) * rng.uniform(0.3, 0.6)
            part = sound[: int(cut)] if rng.random() < 0.6 else sound[int(cut) :]
            chosen.append((None, _faded(part)))
        else:
            chosen.append((word, sound))
    for _ in range(int(rng.integers(2, 6)) if wanted else int(rng.integers(3, 9))):
        sound = pick(data.negatives, rng).draw(rng)
        longest = int(rng.uniform(0.5, 5.0) * SAMPLE_RATE)
        if len(sound) > longest:
            start = int(rng.integers(len(sound) - longest + 1))
            sound = _faded(sound[start : start + longest])
        if rng.random() < 0.3:
            sound = augment.voice(sound, rng)
        chosen.append((None, sound))
    order = rng.permutation(len(chosen))
    return [chosen[i] for i in order]


def _label(labels: npt.NDArray[np.float32], end: int, word: int) -> None:
    """Mark the steps after a word's end; step s hears the sound up to sample 1280 (s + 1)."""
    first = int(np.ceil((end + 0.02 * SAMPLE_RATE) / HOP)) - 1
    labels[max(0, first - 2) : first, word] = IGNORED
    labels[first : first + LABEL_STEPS, word] = 1.0
    labels[first + LABEL_STEPS : first + LABEL_STEPS + 2, word] = IGNORED


class _Channel:
    """The room and microphone that one clip's voices share; some clips have several speakers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.distant = rng.random() < 0.65
        self.coloured = rng.random() < 0.7
        self.level_db = rng.uniform(-38, -14)
        self.dry_length = 0

    def speak(self, sound: Audio, rng: np.random.Generator) -> Audio:
        """A voice as the microphone hears it; remembers where its dry sound ends."""
        self.dry_length = len(sound)
        if self.distant and rng.random() < 0.85:
            sound = augment.reverberate(sound, rng)
        if self.coloured:
            sound = augment.equalise(sound, rng)
        level = 10 ** ((self.level_db + rng.normal(0, 3)) / 20)
        return sound * np.float32(level / augment.active_level(sound))


def _capture(samples: Audio, data: Databases, rng: np.random.Generator) -> Audio:
    """Adds the background at -5 to 25 dB SNR, then what the microphone and the codec do."""
    speech = augment.active_level(samples) if samples.any() else 10 ** (rng.uniform(-45, -20) / 20)
    if data.backgrounds and rng.random() < 0.75:
        noise = pick(data.backgrounds, rng).stretch(CLIP, rng)
        if rng.random() < 0.3:
            noise = noise + np.roll(pick(data.backgrounds, rng).stretch(CLIP, rng), CLIP // 3)
    else:
        noise = augment.coloured_noise(CLIP, rng)
    snr = rng.uniform(-5, 25) if rng.random() < 0.8 else rng.uniform(25, 45)
    samples = samples + noise * np.float32(speech / augment.active_level(noise) * 10 ** (-snr / 20))
    if rng.random() < 0.15:
        samples = augment.transmit(samples, rng)
    gain = 10 ** (rng.uniform(-12, 6) / 20)
    if rng.random() < 0.08:
        gain *= 6.0  # an overdriven microphone
    floor = 10 ** (rng.uniform(-85, -60) / 20)
    noisy = samples * np.float32(gain) + floor * rng.standard_normal(CLIP).astype(np.float32)
    return np.clip(noisy, -1, 1).astype(np.float32)


def pick(weighted: list[tuple[float, Pool]], rng: np.random.Generator) -> Pool:
    """A pool, as often as its share of draws says."""
    shares = np.array([share for share, _ in weighted])
    return weighted[int(rng.choice(len(weighted), p=shares / shares.sum()))][1]


def _gap(rng: np.random.Generator) -> float:
    return float(rng.choice([rng.uniform(0.0, 0.12), rng.uniform(0.1, 0.6), rng.uniform(0.5, 1.5)]))


def _faded(sound: Audio) -> Audio:
    ramp = min(len(sound) // 4, SAMPLE_RATE // 100)
    sound = sound.copy()
    if ramp:
        fade = np.linspace(0, 1, ramp, dtype=np.float32)
        sound[:ramp] *= fade
        sound[-ramp:] *= fade[::-1]
    return sound
