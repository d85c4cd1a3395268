"""Trains the heads of wake words on a bank of mixed clips, as one trunk hears them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

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
        folder: where `<label>-<member>.pt` and `<label>.jsonl` are kept.
        label: the word's name, for the progress bar and the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    embeddings = torch.from_numpy(heard.steps)
    labels = torch.from_numpy(heard.labels[:, :, word])
    scale = embeddings[:200].float().std(dim=(0, 1))
    members = []
    for member in range(recipe.members):
        path = folder / f"{label}-{member}.pt"
        members.append(_member(recipe, member, embeddings, labels, scale, path, label, device))
    return Committee(members).eval().cpu()


def _member(
    recipe: HeadRecipe,
    member: int,
    embeddings: Tensor,
    labels: Tensor,
    scale: Tensor,
    path: Path,
    label: str,
    device: str,
) -> Head:
    torch.manual_seed(recipe.seed + 1000 * member)
    shuffle = np.random.default_rng([recipe.seed, member])
    head = Head(channels=recipe.hidden, hidden=recipe.hidden).to(device)
    per_epoch = len(embeddings) // recipe.batch
    optimiser = torch.optim.AdamW(head.parameters(), recipe.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, max(2, per_epoch * recipe.epochs), pct_start=0.15
    )
    first = 0
    if path.exists():
        saved = torch.load(path, map_location=device, weights_only=True)
        head.load_state_dict(saved["head"])
        if saved["epoch"] == recipe.epochs:
            return head.eval()
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["epoch"]
    orders = [shuffle.permutation(len(embeddings)) for _ in range(recipe.epochs)]
    title = f"{label} {member + 1}/{recipe.members}"
    with tqdm(total=recipe.epochs * per_epoch, initial=first * per_epoch, desc=title) as bar:
        for epoch in range(first, recipe.epochs):
            head.train()
            total = 0.0
            for start in range(0, per_epoch * recipe.batch, recipe.batch):
                chosen = torch.from_numpy(orders[epoch][start : start + recipe.batch])
                x = embeddings[chosen].to(device).float()
                x = x + recipe.noise * scale.to(device) * torch.randn_like(x)
                loss = focal_loss(head(x), labels[chosen].to(device).float(), recipe)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                total += float(loss.detach())
                bar.update()
                bar.set_postfix(
                    loss=f"{total * recipe.batch / (start + recipe.batch):.4f}",
                    rate=f"{schedule.get_last_lr()[0]:.1e}",
                )
            partial = path.with_suffix(".tmp")
            torch.save(
                {
                    "head": head.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "epoch": epoch + 1,
                    "recipe": asdict(recipe),
                },
                partial,
            )
            partial.replace(path)
            with path.with_suffix(".jsonl").open("a") as log:
                log.write(
                    json.dumps({"epoch": epoch + 1, "loss": total / max(1, per_epoch)}) + "\n"
                )
    return head.eval()


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
