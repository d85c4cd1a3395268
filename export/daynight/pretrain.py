"""Teaches a network to see as the teacher does, before it is asked about day and night."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from daemon.vision.frames import Image
from export.daynight.model import DayNight
from export.daynight.train import DayNightRecipe, Values, batch, described_by, stored_for


def pretrain(recipe: DayNightRecipe, images: Sequence[Image], hints: Values) -> DayNight:
    """Train a network whose description of a picture gives the hints by a linear map.

    Args:
        recipe: how.
        images: (height, width, 3) BGR each, of any size, of whatever they show.
        hints: (n, k) what the teacher sees in each (:func:`export.daynight.teacher.hints`).

    Returns:
        The network; what it decides means nothing yet.
    """
    torch.manual_seed(recipe.seed)
    draw = torch.Generator().manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    network = DayNight(dropout=recipe.dropout)
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    echo = nn.Linear(network.head.in_features, hints.shape[1])
    stored, wanted = stored_for(recipe, images), torch.from_numpy(hints)
    learnt = [*network.parameters(), *echo.parameters()]
    optimiser = torch.optim.AdamW(learnt, recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, recipe.steps, pct_start=0.1
    )
    network.train()
    with tqdm(range(recipe.steps), desc="pretraining", unit="step", leave=False) as bar:
        for _ in bar:
            chosen = torch.from_numpy(rng.choice(len(images), recipe.batch))
            said = echo(described_by(network, batch(recipe, stored[chosen], draw)))
            loss = functional.mse_loss(said, wanted[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            bar.set_postfix(unexplained=f"{loss.item():.2f}", refresh=False)
    return network.eval()
