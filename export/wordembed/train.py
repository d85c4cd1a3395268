"""Trains the network that compares words: triplets of windows, and a softmax with a margin.

A batch has several windows of each of many words, said by other voices in other rooms, and windows
of no word at all, which are negatives for everybody. The triplet loss with semi-hard negatives
(Schroff et al., "FaceNet", CVPR 2015) pulls the former together and pushes the others away; the
margin softmax (Wang et al., "CosFace", CVPR 2018) does so against all words at once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from export.embedding.losses import MarginSoftmax, triplet
from export.wordembed.discriminant import discriminant
from export.wordembed.examples import EARLIEST, LATEST, STRANGER, Examples
from export.wordembed.model import WordEncoder


@dataclass(frozen=True)
class EncoderRecipe:
    """Everything that shapes the training of the encoder."""

    steps: int = 3_000
    words: int = 64
    """Words of a batch."""
    each: int = 5
    """Windows of each word."""
    strangers: int = 192
    """Windows of no word."""
    rate: float = 2e-3
    """Peak learning rate (one cycle, AdamW)."""
    margin: float = 0.3
    """Of the triplet loss."""
    scale: float = 20.0
    """Of the margin softmax."""
    cosine_margin: float = 0.2
    softmax: float = 0.3
    """Weight of the margin softmax beside the triplets."""
    noise: float = 0.2
    """Standard deviation of noise on the embeddings, relative to their own."""
    window: int = 12
    features: int = 24
    """Of each step."""
    hidden: int = 64
    seed: int = 0


def train(recipe: EncoderRecipe, examples: Examples, classes: int, folder: Path) -> WordEncoder:
    """Train, or take up where a checkpoint in the folder left off.

    Args:
        recipe: how.
        examples: what to learn from.
        classes: words that they tell apart.
        folder: where `encoder.pt` (checkpoint) and `encoder.jsonl` (log) are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    model = WordEncoder(recipe.window, recipe.features, recipe.hidden)
    model.start_from(*discriminant(examples, recipe.features))
    softmax = MarginSoftmax(classes, model.dimension, recipe.scale, recipe.cosine_margin)
    both = nn.ModuleDict({"encoder": model, "softmax": softmax})
    optimiser = torch.optim.AdamW(both.parameters(), recipe.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.steps)
    checkpoint, done = folder / "encoder.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        both.load_state_dict(saved["networks"])
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
            metric = triplet(vectors, labels, recipe.margin)
            loss = metric + recipe.softmax * softmax(vectors, labels)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(both.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
                facts = {"step": step + 1, "triplet": float(metric), "loss": float(loss)}
                bar.set_postfix({name: f"{value:.4g}" for name, value in facts.items()})
                with (folder / "encoder.jsonl").open("a") as log:
                    log.write(json.dumps(facts) + "\n")
                partial = checkpoint.with_suffix(".tmp")
                torch.save(
                    {
                        "networks": both.state_dict(),
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
        windows = [examples.cut(examples.clips[rows], examples.steps[rows] + shifts)]
        labels = [examples.words[rows]]
        if len(examples.strangers):
            drawn = rng.integers(len(examples.strangers), size=recipe.strangers)
            others = examples.strangers[drawn]
            windows.append(examples.cut(others[:, 0], others[:, 1]))
            labels.append(np.full(len(others), STRANGER))
        return (
            torch.from_numpy(np.concatenate(windows).astype(np.float32)),
            torch.from_numpy(np.concatenate(labels)),
        )
