"""Where likeness counts as the same word: measured on words that the encoder has never learnt.

Each word is enrolled with three of its examples, the others are to be heard, and everything else
in the mixtures is not. The threshold is the likeness that so many other sounds an hour reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from daemon.audio.features import STEP_SECONDS
from daemon.audio.words.enrolment import AFTER_END
from daemon.audio.words.likeness import Scale
from export.wordembed.examples import Examples
from export.wordembed.model import WordEncoder

ENROLLED = 3
"""Examples that a word is enrolled with."""
FALSE_WINDOWS_PER_HOUR = 1.0
"""Windows of other sounds that may reach the threshold, in an hour of mixtures, for one word.

Mixtures are dense in words: what a door hears in an hour holds far fewer that sound like it.
"""
TYPICAL = 0.95
"""Score of the median example of a word."""
MOST_OTHERS = 40_000
"""Windows of other sounds that are compared."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """What the card says of scores."""

    offset: float
    slope: float
    threshold: float
    unlike: float
    figures: dict[str, float]


def calibrate(encoder: WordEncoder, examples: Examples, cohort: Array, seed: int) -> Calibration:
    """Find the scale of an encoder.

    Args:
        encoder: what to calibrate.
        examples: of words that it has not learnt.
        cohort: (m, dimension).
        seed: of the draw of examples.
    """
    scale, rng = Scale(cohort), np.random.default_rng(seed)
    templates, said, genuine, pairs = [], [], [], []
    for word in np.unique(examples.words):
        own = rng.permutation(np.flatnonzero(examples.words == word))
        if len(own) <= ENROLLED:
            continue
        vectors = np.stack([_embed(encoder, examples, own, shift) for shift in AFTER_END], axis=1)
        mean = vectors[:ENROLLED].mean(1)
        enrolled = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        templates.append(enrolled)
        said.append(examples.clips[own])
        rest = vectors[ENROLLED:].reshape(-1, encoder.dimension)
        alike = scale.likeness(rest, enrolled).max(1)
        genuine.append(alike.reshape(-1, len(AFTER_END)).max(1))
        between = scale.likeness(enrolled, enrolled)
        np.fill_diagonal(between, -np.inf)
        pairs.append(between.max(1))
    drawn = rng.permutation(len(examples.strangers))[:MOST_OTHERS]
    clips, steps = examples.strangers[drawn].T
    others = _vectors(encoder, examples.cut(clips, steps))
    # Beside the word itself a window hears parts of it.
    false = np.concatenate(
        [
            scale.likeness(others[~np.isin(clips, own)], each).max(1)
            for each, own in zip(templates, said)
        ]
    )
    hours = len(false) * STEP_SECONDS / 3600
    allowed = max(1, round(FALSE_WINDOWS_PER_HOUR * hours))
    offset = float(np.sort(false)[-allowed])
    true = np.concatenate(genuine)
    slope = float(np.log(TYPICAL / (1 - TYPICAL)) / max(0.5, float(np.median(true)) - offset))
    foreign = [
        float(scale.likeness(a, b).max()) for a, b in zip(templates, templates[1:] + templates[:1])
    ]
    unlike = _equal_error(np.concatenate(pairs), np.array(foreign))
    return Calibration(
        offset=round(offset, 3),
        slope=round(slope, 4),
        threshold=0.5,
        unlike=round(unlike, 3),
        figures={
            "words": len(templates),
            "word_hours": round(hours, 1),
            "missed_of_mixed_examples": round(float((true < offset).mean()), 4),
            "examples": len(true),
        },
    )


def _equal_error(same: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
    """The value that as large a share of `same` is below as of `other` is above."""
    values = np.sort(np.concatenate([same, other]))
    below = np.searchsorted(np.sort(same), values) / len(same)
    above = 1 - np.searchsorted(np.sort(other), values) / len(other)
    return float(values[int(np.argmin(np.abs(below - above)))])


def _embed(
    encoder: WordEncoder, examples: Examples, rows: npt.NDArray[np.int64], shift: int
) -> Array:
    return _vectors(encoder, examples.cut(examples.clips[rows], examples.steps[rows] + shift))


def _vectors(encoder: WordEncoder, windows: npt.NDArray[np.float16]) -> Array:
    with torch.inference_mode():
        parts = [
            encoder(torch.from_numpy(windows[at : at + 4096].astype(np.float32))).numpy()
            for at in range(0, len(windows), 4096)
        ]
    return np.concatenate(parts)
