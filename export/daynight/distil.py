"""Teaches a network what the teacher makes of pictures that nobody has labelled.

It learns its opinions (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network",
2015) and, while it is young, what it sees (Romero et al., "FitNets", ICLR 2015).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from daemon.vision.frames import Image
from export.daynight.model import DayNight
from export.daynight.train import (
    DayNightRecipe,
    Values,
    batch,
    described_by,
    follow,
    stored_for,
)

YOUNG = 0.7
"""Share of the steps over which what the teacher sees counts less and less, from 1 to 0."""
LABELLED = 0.5
"""Share of a batch that people have labelled."""
DARKENED = 0.35
"""Share of pictures without labels that are made darker first: few are of the night."""


@dataclass(frozen=True)
class Lesson:
    """What is learnt of each picture; the labelled ones come first."""

    images: Sequence[Image]
    """(height, width, 3) BGR each, of any size."""
    labelled: int
    opinions: Values
    """(n,) probability of night: of the teacher, and of the label where there is one."""
    hints: Values
    """(n, k) what the teacher sees (:func:`export.daynight.teacher.hints`)."""


def distil(recipe: DayNightRecipe, lesson: Lesson, title: str = "daynight") -> DayNight:
    """Train a network on labels, opinions and hints at once.

    Args:
        recipe: how.
        lesson: what.
        title: for the progress bar.

    Returns:
        The network, ready to run.
    """
    torch.manual_seed(recipe.seed)
    draw = torch.Generator().manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    network = DayNight(dropout=recipe.dropout)
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    echo = nn.Linear(network.head.in_features, lesson.hints.shape[1])
    mean = copy.deepcopy(network)
    stored = stored_for(recipe, lesson.images)
    wanted, seen = torch.from_numpy(lesson.opinions), torch.from_numpy(lesson.hints)
    learnt = [*network.parameters(), *echo.parameters()]
    optimiser = torch.optim.AdamW(learnt, recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, recipe.steps, pct_start=0.1
    )
    network.train()
    known = round(LABELLED * recipe.batch)
    for step in tqdm(range(recipe.steps), desc=title, unit="step", leave=False):
        places = rng.integers(lesson.labelled, size=known)
        others = rng.integers(lesson.labelled, len(lesson.images), size=recipe.batch - known)
        chosen = torch.from_numpy(np.concatenate([places, others]))
        described = described_by(network, batch(recipe, stored[chosen], draw))
        loss = functional.binary_cross_entropy_with_logits(
            network.decide(described), wanted[chosen]
        )
        young = max(0.0, 1 - step / (YOUNG * recipe.steps))
        loss = loss + young * functional.mse_loss(echo(described), seen[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        follow(mean, network, min(recipe.averaged, step / (step + 10)))
    return mean.eval()


def darkened(images: Sequence[Image], seed: int) -> list[Image]:
    """The pictures, some of them as a camera would show them with little light."""
    rng = np.random.default_rng(seed)
    result = []
    for image in images:
        if rng.random() < DARKENED:
            level = (image / 255) ** rng.uniform(1.0, 2.5) * rng.uniform(0.35, 1.0)
            image = np.clip(255 * level * np.exp(rng.normal(0, 0.12, 3)), 0, 255).astype(np.uint8)
        result.append(image)
    return result
