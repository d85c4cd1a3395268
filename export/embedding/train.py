"""Trains the face encoder: by triplets, by distillation, or by both with a margin softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from export.course import Course, Pace
from export.data.faces import Face, people
from export.embedding import losses
from export.embedding.crops import Batches, Degraded

Image = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Points = npt.NDArray[np.floating]


@dataclass(frozen=True)
class EncoderRecipe:
    """Everything that shapes a training run; a loss with weight 0 is not computed."""

    steps: int = 4500
    batch: int = 64
    persons: int = 4
    """Named people of a batch."""
    pictures: int = 4
    """Of each of them; the rest of the batch is any faces."""
    rate: float = 2e-3
    """Peak learning rate (one cycle, AdamW)."""
    weight_decay: float = 0.05
    distillation: float = 1.0
    relation: float = 20.0
    triplet: float = 0.0
    alpha: float = 0.2
    """Margin of the triplets, in squared distance."""
    softmax: float = 0.0
    scale: float = 24.0
    margin: float = 0.2
    """Of the softmax, in cosine."""
    kept_centre: float = 0.5
    flattened: float = 0.125
    """How targets are made of the teachers' vectors: :func:`export.embedding.targets.principal`."""
    strength: float = 1.0
    """Of the degradation, 0 to 1."""
    seed: int = 0
    workers: int = 1
    precision: str = "float32"
    """Of the convolutions while learning: `bfloat16` is faster where processors have it."""


def train(
    recipe: EncoderRecipe,
    net: nn.Module,
    template: Points,
    faces: Sequence[Face],
    crops: Image,
    targets: Vectors | None,
    folder: Path,
    start: Path | None = None,
) -> nn.Module:
    """Train or resume; writes `encoder.pt` (checkpoint) and `encoder.jsonl` (log) into a folder.

    Args:
        recipe: how.
        net: (n, 3, 112, 112) to unit vectors (n, dimension); it is trained in place.
        template: (5, 2) where it wants the landmarks, in pixels.
        faces: (n) of the training part.
        crops: (n, 144, 144, 3) the same, aligned.
        targets: (n, dimension) the teachers' unit vectors; None without distillation.
        folder: of this run alone.
        start: a checkpoint whose weights the run begins with.
    """
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    names = {name: place for place, name in enumerate(people(faces))}
    labels = torch.tensor([names[face.identity] if face.identity else -1 for face in faces])
    learner = _Learner(recipe, net, len(names)).to(device)
    if start is not None:
        learner.net.load_state_dict(_network_of(start))
    # With the channels last, processors take a third less time for the gradients.
    nn.utils.convert_conv2d_weight_memory_format(learner, torch.channels_last)
    optimiser = torch.optim.AdamW(_groups(learner, recipe), recipe.rate)
    pace = Pace(recipe.steps, rise=0.08, clip=5.0, every=200, seed=recipe.seed)
    course = Course(learner, optimiser, pace, folder / "encoder.pt", asdict(recipe))
    batches = Batches(
        faces,
        recipe.batch,
        recipe.persons,
        recipe.pictures,
        range(course.done, recipe.steps),
        recipe.seed,
    )
    loader = DataLoader(
        Degraded(crops, recipe.seed, recipe.strength, template),
        batch_sampler=batches,
        num_workers=recipe.workers,
        prefetch_factor=4 if recipe.workers else None,
    )
    wanted = None if targets is None else torch.from_numpy(np.asarray(targets, np.float32))
    learner.train()
    for pixels, places in course.follow(loader):
        target = None if wanted is None else wanted[places].to(device)
        parts = learner(pixels.to(device), labels[places].to(device), target)
        loss = torch.stack(list(parts.values())).sum()
        course.learn(loss, **{name: float(part.detach()) for name, part in parts.items()})
    return learner.net.eval()


class _Learner(nn.Module):
    """The network with its losses."""

    def __init__(self, recipe: EncoderRecipe, net: nn.Module, persons: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = net
        with torch.inference_mode():
            dimension = net.eval()(torch.zeros(1, 3, 112, 112)).shape[1]
        self.softmax = losses.MarginSoftmax(max(1, persons), dimension, recipe.scale, recipe.margin)

    def forward(self, pixels: Tensor, labels: Tensor, targets: Tensor | None) -> dict[str, Tensor]:
        """Weighted losses by name, for (n, 3, 112, 112) bytes."""
        recipe = self.recipe
        faces = (pixels.float() - 127.5) / 127.5
        faces = faces.contiguous(memory_format=torch.channels_last)
        precision = getattr(torch, recipe.precision)
        with torch.autocast(pixels.device.type, precision, enabled=precision != torch.float32):
            vectors = self.net(faces).float()
        parts = {}
        if targets is not None and recipe.distillation:
            parts["distillation"] = recipe.distillation * losses.distillation(vectors, targets)
        if targets is not None and recipe.relation:
            parts["relation"] = recipe.relation * losses.relation(vectors, targets)
        if recipe.triplet:
            parts["triplet"] = recipe.triplet * losses.triplet(vectors, labels, recipe.alpha)
        if recipe.softmax:
            parts["softmax"] = recipe.softmax * self.softmax(vectors, labels)
        return parts


def _groups(learner: nn.Module, recipe: EncoderRecipe) -> list[dict[str, Any]]:
    """Matrices decay; scales, shifts and biases do not."""
    decayed = [each for each in learner.parameters() if each.ndim > 1]
    others = [each for each in learner.parameters() if each.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _network_of(checkpoint: Path) -> dict[str, Tensor]:
    """Weights of the network alone, without those of its losses."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["network"]
    of_network = {name.partition("."): value for name, value in saved.items()}
    return {name: value for (part, _, name), value in of_network.items() if part == "net"}
