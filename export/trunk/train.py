"""Trains the trunk by distillation: its embedding learns to equal the speech teacher's.

Clips are mixed anew for every step. Each dimension of the teacher's embedding is brought to mean 0
and deviation 1, so that the share of its variance explained is one minus the mean squared error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from export.convert import publishing, save_card, sha256
from export.course import Course, Pace
from export.data.mixing import Databases, mix
from export.data.vocabulary import TESTED, learnt
from export.trunk import layerwise
from export.trunk.model import WIDTHS, Trunk
from export.trunk.teacher import Scale, SpeechTeacher

LOSSES = ("loss", "triplet")
"""Figures of a checkpoint that are for the log, not for the card."""

Example = tuple[Tensor, Tensor]
"""Levels and the teacher's embeddings."""


@dataclass(frozen=True)
class TrunkRecipe:
    """Everything that shapes a training run of the trunk."""

    words: tuple[str, ...] = ()
    """Said by synthetic voices, with their sound-alikes, beside the vocabulary."""
    clips: int = 30_000
    """10 s mixtures, each made once and learnt from twice: once fresh, once from a buffer."""
    batch: int = 4
    rate: float = 1e-3
    """Peak learning rate (one cycle, AdamW)."""
    fitted: int = 40
    """Clips for the layer-by-layer start."""
    seed: int = 0
    widths: tuple[int, ...] = WIDTHS
    workers: int = 1
    precision: str = "float32"
    """Of the convolutions while learning: `bfloat16` doubles the speed where processors have it."""


class Mixtures(Dataset[tuple[Tensor, Tensor]]):
    """Mixed clips as (levels (998, 32), teacher's embeddings (116, 96)), one an index."""

    def __init__(self, data: Databases, teacher: SpeechTeacher, count: int, seed: int) -> None:
        self.data, self.teacher, self.count, self.seed = data, teacher, count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        from daemon.audio.features import log_mel

        clip = mix(self.data, np.random.default_rng([self.seed, index]))
        levels = log_mel(clip.samples)
        return torch.from_numpy(levels), torch.from_numpy(self.teacher(levels))

    def first(self, count: int) -> list[tuple[Tensor, Tensor]]:
        """The first clips."""
        return [self[index] for index in range(count)]


def train(
    recipe: TrunkRecipe,
    data: Databases,
    validation: Databases,
    teacher: SpeechTeacher,
    folder: Path,
) -> Trunk:
    """Train or resume; writes `trunk.pt` (checkpoint) and `trunk.jsonl` (log) into a folder."""
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trunk = Trunk(recipe.widths).to(device)
    # With the channels last, processors take a third less time for the gradients.
    nn.utils.convert_conv2d_weight_memory_format(trunk, torch.channels_last)
    held_out = Mixtures(validation, teacher, 48, recipe.seed + 1).first(48)
    start = Mixtures(data, teacher, recipe.fitted, recipe.seed + 2).first(recipe.fitted)
    scale = Scale.of(torch.cat([target for _, target in start]))
    # Each batch is learnt from twice.
    steps = 2 * (recipe.clips // recipe.batch)
    optimiser = torch.optim.AdamW(trunk.parameters(), recipe.rate, weight_decay=1e-3)
    pace = Pace(steps, rise=0.1, clip=1.0, every=200, seed=recipe.seed)

    def measure() -> dict[str, float]:
        return {"explained": explained_variance(trunk, held_out, scale)}

    course = Course(trunk, optimiser, pace, folder / "trunk.pt", asdict(recipe), measure)
    if not course.done:
        layerwise.fit(trunk.cpu(), teacher, scale, [levels.numpy() for levels, _ in start])
        trunk.to(device)
    mixtures = Mixtures(data, teacher, recipe.clips, recipe.seed)
    rest = torch.utils.data.Subset(mixtures, range(course.done // 2 * recipe.batch, recipe.clips))
    loader = DataLoader(
        rest,
        recipe.batch,
        num_workers=recipe.workers,
        drop_last=True,
        persistent_workers=recipe.workers > 0,
    )
    precision = getattr(torch, recipe.precision)
    for levels, target in course.follow(_twice(loader, recipe.seed)):
        trunk.train()
        with torch.autocast(device, precision, enabled=precision != torch.float32):
            embedded = trunk.columns(levels.transpose(1, 2)[:, None].to(device))
        loss = nn.functional.mse_loss(embedded.float(), scale.standard(target).to(device))
        course.learn(loss, loss=float(loss.detach()))
    return trunk.eval()


def _twice(loader: Iterable[Example], seed: int) -> Iterator[Example]:
    """Each batch, and after it an older one: a mixture that took long to make is learnt from again.

    A run that was cut off goes on without the older ones, so that its trunk is like, but not equal
    to, that of a run in one go.
    """
    replay = _Replay(128, seed)
    for levels, target in loader:
        yield levels, target
        yield replay.exchange(levels, target)


class _Replay:
    """Recent batches."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.rng = np.random.default_rng(seed)

    def exchange(self, levels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Keep a batch and hand out an older one in its place."""
        if len(self.batches) < self.size:
            self.batches.append((levels, target))
            return self.batches[int(self.rng.integers(len(self.batches)))]
        slot = int(self.rng.integers(self.size))
        older, self.batches[slot] = self.batches[slot], (levels, target)
        return older


def explained_variance(trunk: Trunk, clips: list[tuple[Tensor, Tensor]], scale: Scale) -> float:
    """Share of the teacher's variance that the trunk explains, averaged over dimensions."""
    trunk.eval()
    device = next(trunk.parameters()).device
    with torch.inference_mode():
        errors = [
            (trunk.columns(levels.T[None, None].to(device))[0].cpu() - scale.standard(target))
            .square()
            .mean(0)
            for levels, target in clips
        ]
    variance = scale.standard(torch.cat([target for _, target in clips])).var(0)
    return 1 - float((torch.stack(errors).mean(0) / variance).mean())


def publish(folder: Path, out: Path, data: Databases) -> Path:
    """Write `trunk.pt` (weights alone) and its card `trunk.yaml`; returns the card.

    Args:
        folder: of the run.
        out: where they go.
        data: what was learnt from.
    """
    saved = torch.load(folder / "trunk.pt", map_location="cpu", weights_only=True)
    hours = [round(pool.seconds / 3600, 2) for _, pool in data.negatives + data.backgrounds]
    figures = saved["figures"]
    with publishing(out) as made:
        weights = made / "trunk.pt"
        torch.save({"trunk": saved["network"], "recipe": saved["recipe"]}, weights)
        card = {
            "kind": "trunk",
            "name": "trunk",
            "version": "1",
            "file": weights.name,
            "sha256": sha256(weights),
            "licence": "MIT for the weights; learnt from the teacher's outputs (Apache-2.0)",
            "summary": "Speech embedding, 96-D every 80 ms, shared by all wake words (training "
            "only)",
            "data": {
                "taught_by": taught_by(saved["recipe"]),
                "synthetic": _synthetic(saved["recipe"]),
                "hours_of_sound": round(sum(hours), 1),
                "mixed_hours": round(saved["recipe"]["clips"] / 360, 1),
            },
            "recipe": saved["recipe"],
            "seed": saved["recipe"]["seed"],
            "figures": {"explained_variance_held_out": figures.pop("explained")}
            | {name: value for name, value in figures.items() if name not in LOSSES}
            | {"steps": saved["step"]},
        }
        return out / save_card(weights, card).name


def _synthetic(recipe: Mapping[str, Any]) -> str:
    """Which words synthetic voices said, for the card."""
    said = f"{len(learnt())} words of the vocabulary, and sentences"
    # Before recipes named them, these were said.
    words = ", ".join(recipe.get("words", TESTED))
    return f"{said}; {words}, with words that sound like them" if words else said


def taught_by(recipe: Mapping[str, Any]) -> str:
    """What a trunk with this recipe learnt from, for cards."""
    teacher = "distilled from Google's speech embedding network (Apache-2.0), by its outputs"
    if "shaping" not in recipe:
        return teacher
    return f"{teacher}; shaped by triplets of one word in several voices, real and synthetic"


def recipe_of(path: Path) -> dict[str, Any]:
    """How the trunk in a file was trained."""
    recipe: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)["recipe"]
    return recipe


def load(path: Path) -> Trunk:
    """A trained trunk from its checkpoint."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    trunk = Trunk(tuple(saved["recipe"]["widths"]))
    trunk.load_state_dict(saved["trunk"])
    return trunk.eval()
