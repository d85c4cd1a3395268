"""Trains the heads of wake words on a bank of mixed clips, as one trunk hears them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.course import Course, Pace
from export.wake.bank import Heard
from export.wake.model import Committee, Head


@dataclass(frozen=True)
class HeadRecipe:
    """Everything that shapes the training of a head."""

    epochs: int = 8
    batch: int = 64
    rate: float = 2e-3
    """Peak learning rate (one cycle, AdamW)."""
    positive_weight: float = 4.0
    """Weight of the rare positive steps (class balance)."""
    focus: float = 1.0
    """Exponent of the focal term: easy steps count less (Lin et al., 2017)."""
    noise: float = 0.15
    """Standard deviation of noise on the embeddings, relative to their own."""
    members: int = 2
    """Heads whose logits are averaged."""
    hidden: int = 64
    seed: int = 0


def train(recipe: HeadRecipe, heard: Heard, word: int, folder: Path, label: str) -> Committee:
    """Train the committee of one word, or take up where a checkpoint in the folder left off.

    Args:
        recipe: how.
        heard: the bank; `labels[:, :, word]` is learnt.
        word: column of the labels.
        folder: of this run, where `<label>-<member>.pt` and `.jsonl` are kept.
        label: the word's name, for the progress bar and the files.
    """
    embeddings = torch.from_numpy(heard.steps)
    labels = torch.from_numpy(heard.labels[:, :, word])
    members = [
        _member(recipe, member, embeddings, labels, folder / f"{label}-{member}.pt")
        for member in range(recipe.members)
    ]
    return Committee(members).eval().cpu()


def _member(
    recipe: HeadRecipe, member: int, embeddings: Tensor, labels: Tensor, checkpoint: Path
) -> Head:
    seed = recipe.seed + 1000 * member
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    head = Head(channels=recipe.hidden, hidden=recipe.hidden).to(device)
    optimiser = torch.optim.AdamW(head.parameters(), recipe.rate, weight_decay=1e-2)
    per_epoch = len(embeddings) // recipe.batch
    pace = Pace(per_epoch * recipe.epochs, rise=0.15, clip=1.0, every=per_epoch, seed=seed)
    course = Course(head, optimiser, pace, checkpoint, asdict(recipe))
    noise = recipe.noise * embeddings[:200].float().std(dim=(0, 1)).to(device)
    for chosen in course.follow(_batches(recipe, member, len(embeddings), course.done)):
        head.train()
        x = embeddings[chosen].to(device).float()
        x = x + noise * torch.randn_like(x)
        loss = focal_loss(head(x), labels[chosen].to(device).float(), recipe)
        course.learn(loss, loss=float(loss.detach()))
    return head.eval()


def _batches(recipe: HeadRecipe, member: int, clips: int, done: int) -> Iterator[Tensor]:
    """Which clips the steps after `done` learn from: every epoch has an order of its own."""
    shuffle = np.random.default_rng([recipe.seed, member])
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(shuffle.permutation(clips))
        for place in range(clips // recipe.batch):
            if epoch * (clips // recipe.batch) + place >= done:
                yield order[place * recipe.batch : (place + 1) * recipe.batch]


def focal_loss(logits: Tensor, labels: Tensor, recipe: HeadRecipe) -> Tensor:
    """Weighted binary cross-entropy over the steps that are labelled, easy ones damped.

    Args:
        logits: (batch, steps).
        labels: (batch, steps): 1, 0, or -1 for steps that do not count.
        recipe: weights.
    """
    known = labels >= 0
    target = labels.clamp(min=0)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weight = torch.where(target > 0.5, recipe.positive_weight, 1.0)
    weight = weight * (1 - torch.exp(-entropy.detach())).pow(recipe.focus)
    return (entropy * weight * known).sum() / known.sum()
