"""Trains a day-or-night network on pictures in memory."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from daemon.vision.frames import Image
from daemon.vision.light.prepare import as_input, shrink
from export.daynight.augment import Augmentation, augment
from export.daynight.model import DayNight
from export.precision import knows_bfloat16

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DayNightRecipe:
    """Everything that shapes a training run."""

    side: int = 64
    """Of the input, in pixels."""
    steps: int = 400
    batch: int = 64
    rate: float = 3e-3
    """Peak learning rate (one cycle, AdamW)."""
    decay: float = 0.02
    dropout: float = 0.2
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    """None: pictures as they are, only shrunk."""
    averaged: float = 0.98
    """Share that the running mean of the weights keeps at a step; it is what ships."""
    seed: int = 0


LECTURE = DayNightRecipe(
    rate=1e-3, decay=0.0, dropout=0.0, augmentation=None, averaged=0.0, steps=250
)
"""The network and the logistic loss, and nothing else."""


def train(
    recipe: DayNightRecipe,
    images: Sequence[Image],
    labels: Values,
    title: str = "daynight",
) -> DayNight:
    """Train a network.

    Args:
        recipe: how.
        images: (height, width, 3) BGR each, of any size.
        labels: (n,) 1 is night; batches are balanced by it.
        title: for the progress bar.

    Returns:
        The network, ready to run.
    """
    draw = torch.Generator().manual_seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    network = DayNight(dropout=recipe.dropout)
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    mean = copy.deepcopy(network)
    stored = stored_for(recipe, images)
    wanted = torch.from_numpy(labels)
    classes = [np.flatnonzero(labels == number) for number in (0, 1)]
    rng = np.random.default_rng(recipe.seed)
    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, recipe.steps, pct_start=0.15
    )
    network.train()
    for step in tqdm(range(recipe.steps), desc=title, unit="step", leave=False):
        chosen = torch.from_numpy(_balanced(classes, recipe.batch, rng))
        described = described_by(network, batch(recipe, stored[chosen], draw))
        loss = functional.binary_cross_entropy_with_logits(
            network.decide(described), wanted[chosen]
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        # Few steps are soon forgotten: a young mean has to follow.
        follow(mean, network, min(recipe.averaged, step / (step + 10)))
    mean.eval()
    return mean


def probabilities(network: nn.Module, images: Sequence[Image], side: int) -> Values:
    """(n,) probability of night, as the daemon would have it: the whole picture, once."""
    x = torch.from_numpy(np.stack([as_input(shrink(each, side)) for each in images]))
    with torch.inference_mode():
        return np.concatenate(
            [torch.sigmoid(network(part)).numpy() for part in torch.split(x, 256)]
        ).astype(np.float32)


def stored_for(recipe: DayNightRecipe, images: Sequence[Image]) -> Tensor:
    """(n, 3, s, s) uint8 RGB, with the room that augmentation needs."""
    room = recipe.augmentation.room if recipe.augmentation is not None else 1.0
    side = round(recipe.side * room)
    small = np.stack([shrink(each, side) for each in images])
    return torch.from_numpy(np.ascontiguousarray(small[..., ::-1].transpose(0, 3, 1, 2)))


def batch(recipe: DayNightRecipe, stored: Tensor, draw: torch.Generator) -> Tensor:
    """(n, 3, side, side) RGB in [0, 1] of stored pictures, changed as the recipe says."""
    if recipe.augmentation is None:
        return stored.float() / 255
    return augment(stored, recipe.side, recipe.augmentation, draw)


def described_by(network: DayNight, x: Tensor) -> Tensor:
    """What a network sees while it learns: in half precision where that halves the time."""
    with torch.autocast("cpu", torch.bfloat16, enabled=knows_bfloat16()):
        described = network.describe(x.contiguous(memory_format=torch.channels_last))
    return described.float()


def _balanced(
    classes: Sequence[npt.NDArray[np.intp]], batch: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Places of as many pictures of each class."""
    return np.concatenate(
        [rng.choice(each, batch // 2, replace=len(each) < batch // 2) for each in classes]
    )


def follow(mean: nn.Module, network: nn.Module, kept: float) -> None:
    """Move a running mean of weights towards a network's; a share of it is kept."""
    with torch.no_grad():
        for slow, fast in zip(mean.state_dict().values(), network.state_dict().values()):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, 1 - kept)
            else:
                slow.copy_(fast)
