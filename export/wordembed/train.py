"""Trains the network that compares words, on triplets of windows.

A batch has several windows of each of many words, said by other voices in other rooms, and windows
of no word at all, which are negatives for everybody, or the cohort that likeness is measured
against.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.course import Course, Pace
from export.wordembed.discriminant import discriminant
from export.wordembed.examples import EARLIEST, LATEST, STRANGER, Examples
from export.wordembed.loss import likeness, triplet
from export.wordembed.model import WordEncoder


@dataclass(frozen=True)
class EncoderRecipe:
    """Everything that shapes the training of the encoder."""

    steps: int = 3_000
    words: int = 64
    """Words of a batch."""
    each: int = 4
    """Windows of each word."""
    strangers: int = 192
    """Windows of no word; half of them are the cohort of the batch."""
    rate: float = 5e-4
    """Peak learning rate (one cycle, AdamW)."""
    margin: float = 2.0
    """Of the triplet loss, in deviations of the cohort's similarities."""
    noise: float = 0.1
    """Standard deviation of noise on the hypercolumns, relative to their own."""
    window: int = 13
    features: int = 48
    """Of each step."""
    hidden: int = 256
    seed: int = 0


def train(recipe: EncoderRecipe, examples: Examples, folder: Path) -> WordEncoder:
    """Train, or take up where a checkpoint in the folder left off.

    Args:
        recipe: how.
        examples: what to learn from.
        folder: where `encoder.pt` (checkpoint) and `encoder.jsonl` (log) are kept.
    """
    torch.manual_seed(recipe.seed)
    width = examples.columns.shape[2]
    model = WordEncoder(width, recipe.window, recipe.features, recipe.hidden)
    model.start_from(*discriminant(examples, recipe.features))
    optimiser = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=1e-2)
    pace = Pace(recipe.steps, rise=0.3, clip=1.0, every=100, seed=recipe.seed)
    course = Course(model, optimiser, pace, folder / "encoder.pt", asdict(recipe))
    batches = _Batches(recipe, examples)
    scale = torch.from_numpy(examples.columns[:200].astype(np.float32)).std(dim=(0, 1))
    for windows, labels in course.follow(map(batches.draw, count(course.done))):
        model.train()
        vectors = model(windows + recipe.noise * scale * torch.randn_like(windows))
        # Half of the strangers are negatives, half the cohort.
        cohort, rest = vectors[-(recipe.strangers // 2) :], vectors[: -(recipe.strangers // 2)]
        loss = triplet(likeness(rest, cohort), labels[: len(rest)], recipe.margin)
        course.learn(loss, loss=float(loss.detach()))
    return model.eval()


class _Batches:
    """Draws batches; the same step draws the same."""

    def __init__(self, recipe: EncoderRecipe, examples: Examples) -> None:
        self._recipe, self._examples = recipe, examples
        order = np.argsort(examples.words, kind="stable")
        changes = np.flatnonzero(np.diff(examples.words[order])) + 1
        self._members = np.split(order, changes)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Windows (n, window, width) and labels (n,)."""
        recipe, examples = self._recipe, self._examples
        rng = np.random.default_rng([recipe.seed, step])
        count = min(recipe.words, len(self._members))
        chosen = rng.choice(len(self._members), count, replace=False)
        rows = np.concatenate([rng.choice(self._members[i], recipe.each) for i in chosen])
        shifts = rng.integers(EARLIEST, LATEST + 1, len(rows))
        others = examples.strangers[rng.integers(len(examples.strangers), size=recipe.strangers)]
        clips = np.concatenate([examples.clips[rows], others[:, 0]])
        steps = np.concatenate([examples.steps[rows] + shifts, others[:, 1]])
        labels = np.concatenate([examples.words[rows], np.full(len(others), STRANGER)])
        windows = examples.cut(clips, steps).astype(np.float32)
        return torch.from_numpy(windows), torch.from_numpy(labels)
