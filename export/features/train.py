"""Trains the feature network: to tell classes apart, and to see what a teacher sees."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from export.clock import Clock, rate_at
from export.features.graph import write
from export.features.material import UNKNOWN, Material, Pictures, draw
from export.features.model import (
    WIDTHS,
    FeatureNetwork,
    LearningFeatures,
    Widths,
    equally_loud,
)
from export.squeezenet import WIDTHS as TEACHER_WIDTHS
from export.squeezenet import SqueezeNet

SAVED_EVERY = 45.0
"""Seconds from one file of weights to the next."""
MEASURED = 256
"""Pictures over which channels are made equally loud."""


@dataclass(frozen=True)
class FeatureRecipe:
    """Everything that shapes a training run."""

    steps: int = 4_000
    minutes: float | None = None
    """If given, how long to learn, whatever the number of steps: rates follow the clock."""
    batch: int = 64
    crop: int = 160
    """Side of what is cut out of each picture."""
    rate: float = 4e-3
    """Peak learning rate (AdamW, rising over a twentieth, then a cosine)."""
    decay: float = 0.05
    teacher: float = 1.0
    """Weight of the difference from the teacher, where there is one."""
    labels: float = 0.4
    """Weight of the classes beside a teacher."""
    widths: Widths = WIDTHS
    seed: int = 0


class Pupil(nn.Module):
    """The network with what it needs only while it learns: a head for classes, one per level."""

    def __init__(self, widths: Widths, classes: int, taught: bool) -> None:
        super().__init__()
        self.features = LearningFeatures(widths)
        last = widths[-1][-1]
        self.head = nn.Sequential(
            nn.MaxPool2d(2),
            nn.Conv2d(last, 2 * last, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * last),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(2 * last, max(1, classes)),
        )
        # 2 x 2 without a border: the teacher's grid lies about half a step beside this one's.
        self.levels = nn.ModuleList(
            nn.Conv2d(block[-1], width, 2)
            for block, width in zip(widths[1:], TEACHER_WIDTHS if taught else ())
        )


def train(
    recipe: FeatureRecipe, material: Material, folder: Path, teacher: SqueezeNet | None = None
) -> tuple[FeatureNetwork, dict[str, Any]]:
    """Train; writes `features.onnx` (weights, now and then) and `features.jsonl` (log).

    Args:
        recipe: how.
        material: what to learn from.
        folder: of weights and log.
        teacher: whose features are to be learnt, too.

    Returns:
        The network, and what it achieved: steps, accuracy on pictures that were kept apart, share
        of the teacher's variance that it explains at each level.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = torch.Generator(device).manual_seed(recipe.seed)
    pupil = Pupil(recipe.widths, len(material.classes), teacher is not None)
    pupil = pupil.to(device)
    nn.utils.convert_conv2d_weight_memory_format(pupil, torch.channels_last)
    optimiser = torch.optim.AdamW(_groups(pupil, recipe.decay), recipe.rate, fused=True)
    learning = material.learning.to(device)
    lesson = _lesson(pupil, recipe, learning, teacher.to(device) if teacher else None, rng)
    clock, step, saved = Clock(recipe.steps, recipe.minutes), 0, time.monotonic()
    log = (folder / "features.jsonl").open("a")
    with log, tqdm(total=100, desc="features", unit="%", mininterval=5) as bar:
        while (share := clock.share(step)) < 1:
            step += 1
            for group in optimiser.param_groups:
                group["lr"] = rate_at(share, recipe.rate)
            pupil.train()
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                terms = lesson()
            loss = torch.stack(list(terms.values())).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step % 50 == 0:
                told = {name: round(value.item(), 4) for name, value in terms.items()}
                log.write(json.dumps({"step": step, **told}) + "\n")
                bar.update(round(100 * share) - bar.n)
                bar.set_postfix(told | {"rate": f"{optimiser.param_groups[0]['lr']:.1e}"})
            if time.monotonic() - saved > SAVED_EVERY:
                write(finish(pupil, learning), folder / "features.onnx")
                saved = time.monotonic()
    figures: dict[str, Any] = {"steps": step}
    if len(material.checking):
        figures |= check(pupil, material.checking.to(device), recipe, teacher)
    network = finish(pupil, learning)
    write(network, folder / "features.onnx")
    (folder / "features.json").write_text(json.dumps(figures, indent=2) + "\n")
    return network, figures


def finish(pupil: Pupil, pictures: Pictures) -> FeatureNetwork:
    """The plain network of a pupil, which goes on learning unchanged."""
    some = pictures.images[:: max(1, len(pictures) // MEASURED)][:MEASURED]
    return equally_loud(copy.deepcopy(pupil.features).float().fold(), some.float() / 255)


def _lesson(
    pupil: Pupil,
    recipe: FeatureRecipe,
    pictures: Pictures,
    teacher: SqueezeNet | None,
    rng: torch.Generator,
) -> Callable[[], dict[str, Tensor]]:
    """What one step learns: terms of the loss of a fresh batch."""
    scales = _scales(teacher, pictures, recipe, rng) if teacher else []

    def lesson() -> dict[str, Tensor]:
        images, labels = draw(pictures, recipe.batch, recipe.crop, rng)
        images = images.contiguous(memory_format=torch.channels_last)
        ends = pupil.features(images)
        terms = {}
        known = labels != UNKNOWN
        weight = recipe.labels if teacher else 1.0
        logits = pupil.head(ends[-1])
        each = functional.cross_entropy(
            logits.float(), labels.clamp_min(0), reduction="none", label_smoothing=0.1
        )
        terms["labels"] = weight * (each * known).sum() / known.sum().clamp_min(1)
        if teacher:
            with torch.no_grad():
                shown = teacher(images)
            off = [
                functional.mse_loss(level(end).float() / scale, target.float() / scale)
                for level, end, target, scale in zip(pupil.levels, ends[1:], shown, scales)
            ]
            terms["teacher"] = recipe.teacher * torch.stack(off).sum()
        return terms

    return lesson


@torch.no_grad()
def _scales(
    teacher: SqueezeNet, pictures: Pictures, recipe: FeatureRecipe, rng: torch.Generator
) -> list[Tensor]:
    """Standard deviation of each channel of the teacher, at least a third of the level's mean."""
    images, _ = draw(pictures, recipe.batch, recipe.crop, rng)
    deviations = [seen.std((0, 2, 3)) for seen in teacher(images)]
    return [each.clamp_min(float(each.mean()) / 3).view(1, -1, 1, 1) for each in deviations]


@torch.no_grad()
def check(
    pupil: Pupil, pictures: Pictures, recipe: FeatureRecipe, teacher: SqueezeNet | None
) -> dict[str, Any]:
    """Accuracy, and how much of the teacher is understood, on pictures that were kept apart."""
    pupil.eval()
    right, off, spread = 0, torch.zeros(len(pupil.levels)), torch.zeros(len(pupil.levels))
    for start in range(0, len(pictures), recipe.batch):
        images = pictures.images[start : start + recipe.batch].float() / 255
        side = recipe.crop
        images = functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
        ends = pupil.features(images)
        labels = pictures.labels[start : start + recipe.batch]
        right += int((pupil.head(ends[-1]).argmax(1) == labels).sum())
        if teacher:
            for place, (level, target) in enumerate(zip(pupil.levels, teacher(images))):
                off[place] += float((level(ends[place + 1]) - target).square().sum())
                mean = target.mean((0, 2, 3), keepdim=True)
                spread[place] += float((target - mean).square().sum())
    figures: dict[str, Any] = {
        "pictures": len(pictures),
        "accuracy": round(right / len(pictures), 4),
    }
    if teacher:
        figures["explained"] = [round(float(each), 3) for each in 1 - off / spread]
    return figures


def _groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Weight decay for kernels, none for norms and biases."""
    kernels = [each for each in network.parameters() if each.ndim > 1]
    others = [each for each in network.parameters() if each.ndim <= 1]
    return [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
