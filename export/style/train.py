"""Trains a feed-forward network for one style."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from export.clock import Clock, rate_at
from export.features.loss import Target, compared, losses
from export.features.material import Pictures, draw
from export.features.model import Features, gram
from export.style.model import Painter, Shape

SAVED_EVERY = 45.0
"""Seconds from one file of weights to the next."""
CHECKED = 32
"""Pictures on which the losses are measured."""


@dataclass(frozen=True)
class StyleRecipe:
    """Everything that shapes a training run."""

    steps: int = 6_000
    minutes: float | None = None
    """If given, how long to learn, whatever the number of steps: rates follow the clock."""
    batch: int = 8
    crop: int = 256
    rate: float = 2e-3
    """Peak learning rate (Adam, rising over a twentieth, then a cosine)."""
    style_size: int = 384
    """Longest side of the style picture: a smaller one gives smaller strokes."""
    content: float = 1.0
    style: float = 10.0
    variation: float = 3.0
    """Weights of the terms of the loss."""
    shape: Shape = field(default_factory=Shape)
    seed: int = 0


def train(
    recipe: StyleRecipe,
    features: Features,
    style: npt.NDArray[np.float32],
    learning: Pictures,
    checking: Pictures,
    folder: Path,
) -> tuple[Painter, dict[str, Any]]:
    """Train; writes `painter.pt` (weights, now and then) and `painter.jsonl` (log).

    Args:
        recipe: how.
        features: the network that the losses look through.
        style: (3, h, w) RGB of 0 to 1, in the size that counts.
        learning: contents to learn on.
        checking: contents that the losses of the result are measured on.
        folder: of weights and log.

    Returns:
        The network, and what it achieved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = torch.Generator(device).manual_seed(recipe.seed)
    painter = Painter(recipe.shape).to(device)
    nn.utils.convert_conv2d_weight_memory_format(painter, torch.channels_last)
    features = features.to(device)
    nn.utils.convert_conv2d_weight_memory_format(features, torch.channels_last)
    optimiser = torch.optim.Adam(painter.parameters(), recipe.rate, fused=True)
    learning, grams = learning.to(device), _grams(features, torch.from_numpy(style).to(device))
    clock, step, saved = Clock(recipe.steps, recipe.minutes), 0, time.monotonic()
    log = (folder / "painter.jsonl").open("a")
    with log, tqdm(total=100, desc="style", unit="%", mininterval=5) as bar:
        while (share := clock.share(step)) < 1:
            step += 1
            for group in optimiser.param_groups:
                group["lr"] = rate_at(share, recipe.rate)
            images, _ = draw(learning, recipe.batch, recipe.crop, rng)
            images = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                painted = painter(images)
                with torch.no_grad():
                    target = Target(features(images).content, grams)
                off = compared(features(painted), painted.float(), target)
            loss = off.total(recipe.content, recipe.style, recipe.variation)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(painter.parameters(), 10.0)
            optimiser.step()
            if step % 25 == 0:
                told = {
                    "content": round(off.content.item(), 4),
                    "style": round(off.style.item(), 4),
                    "variation": round(off.variation.item(), 4),
                }
                log.write(json.dumps({"step": step, **told}) + "\n")
                bar.update(round(100 * share) - bar.n)
                bar.set_postfix(told)
            if time.monotonic() - saved > SAVED_EVERY:
                _save(painter, folder / "painter.pt")
                saved = time.monotonic()
    _save(painter, folder / "painter.pt")
    contents = checking if len(checking) else learning
    figures = {"steps": step} | check(painter, features, grams, contents.to(device), recipe.crop)
    (folder / "painter.json").write_text(json.dumps(figures, indent=2) + "\n")
    return painter.cpu().eval(), figures


@torch.no_grad()
def check(
    painter: Painter, features: Features, grams: list[Tensor], contents: Pictures, side: int
) -> dict[str, float]:
    """Losses of paintings, and how much nearer to the style they are than their contents."""
    painter.eval()
    some = contents.images[:: max(1, len(contents) // CHECKED)][:CHECKED].float() / 255
    some = torch.nn.functional.interpolate(some, size=(side, side), mode="bilinear")
    terms = torch.zeros(3)
    for image in some[:, None]:
        target = Target(features(image).content, grams)
        painted = losses(features, painter(image), target)
        before = losses(features, image, target)
        terms += torch.tensor([float(painted.content), float(painted.style), float(before.style)])
    content, style, start = (terms / len(some)).tolist()
    return {
        "content": float(f"{content:.3g}"),
        "style": float(f"{style:.3g}"),
        "style_before": float(f"{start:.3g}"),
    }


@torch.no_grad()
def _grams(features: Features, style: Tensor) -> list[Tensor]:
    return [gram(each) for each in features(style[None]).styles]


def _save(painter: Painter, path: Path) -> None:
    partial = path.with_suffix(".tmp")
    state = {name: value.float().cpu() for name, value in painter.state_dict().items()}
    torch.save(state, partial)
    partial.replace(path)
