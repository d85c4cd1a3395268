"""Trains the network that compares words, on triplets of windows.

A batch has several windows of each of many words, said by other voices in other rooms, and windows
of no word at all, which are negatives for everybody, or the cohort that likeness is measured
against.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from export.wordembed.discriminant import discriminant
from export.wordembed.examples import EARLIEST, LATEST, STRANGER, Examples
from export.wordembed.loss import likeness, triplet
from export.wordembed.model import WordEncoder


@dataclass(frozen=True)
class EncoderRecipe:
    """Everything that shapes the training of the encoder."""

    steps: int = 1_000
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
    """Standard deviation of noise on the embeddings, relative to their own."""
    window: int = 13
    features: int = 48
    """Of each step."""
    hidden: int = 128
    seed: int = 0


def train(recipe: EncoderRecipe, examples: Examples, folder: Path) -> WordEncoder:
    """Train, or take up where a checkpoint in the folder left off.

    Args:
        recipe: how.
        examples: what to learn from.
        folder: where `encoder.pt` (checkpoint) and `encoder.jsonl` (log) are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    model = WordEncoder(recipe.window, recipe.features, recipe.hidden)
    model.start_from(*discriminant(examples, recipe.features))
    optimiser = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.steps)
    checkpoint, done = folder / "encoder.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["encoder"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        done = saved["step"]
    batches = _Batches(recipe, examples)
    scale = torch.from_numpy(examples.embeddings[:200].astype(np.float32)).std(dim=(0, 1))
    with tqdm(range(done, recipe.steps), initial=done, total=recipe.steps, desc="words") as bar:
        for step in bar:
            windows, labels = batches.draw(step)
            model.train()
            vectors = model(windows + recipe.noise * scale * torch.randn_like(windows))
            # Half of the strangers are negatives, half the cohort.
            cohort, rest = vectors[-(recipe.strangers // 2) :], vectors[: -(recipe.strangers // 2)]
            loss = triplet(likeness(rest, cohort), labels[: len(rest)], recipe.margin)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
                facts = {"step": step + 1, "loss": float(loss.detach())}
                bar.set_postfix({name: f"{value:.4g}" for name, value in facts.items()})
                with (folder / "encoder.jsonl").open("a") as log:
                    log.write(json.dumps(facts) + "\n")
                partial = checkpoint.with_suffix(".tmp")
                torch.save(
                    {
                        "encoder": model.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "schedule": schedule.state_dict(),
                        "step": step + 1,
                        "recipe": asdict(recipe),
                    },
                    partial,
                )
                partial.replace(checkpoint)
    return model.eval()


class _Batches:
    """Draws batches; the same step draws the same."""

    def __init__(self, recipe: EncoderRecipe, examples: Examples) -> None:
        self._recipe, self._examples = recipe, examples
        order = np.argsort(examples.words, kind="stable")
        changes = np.flatnonzero(np.diff(examples.words[order])) + 1
        self._members = np.split(order, changes)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Windows (n, window, 96) and labels (n,)."""
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
