"""Trains the second look at landmarks, on faces cut out anew for every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from export.course import Course, Pace
from export.landmarks.examples import Cuts, Labelled
from export.landmarks.model import LandmarkNet, LandmarkWidths
from export.precision import Precision, fastest

NARROWEST = 0.4
"""Eye distance of a face in the template's, from which on an error is measured in the face's own:
of a face in profile, whose eyes are nearer to each other, that would count beyond all reason."""


@dataclass(frozen=True)
class LandmarksRecipe:
    """Everything that shapes a training run."""

    steps: int = 14_000
    batch: int = 128
    rate: float = 2e-3
    """Peak learning rate (one cycle, AdamW)."""
    decay: float = 1e-3
    precision: Precision = field(default_factory=fastest)
    """Of the convolutions while they learn."""
    widths: LandmarkWidths = field(default_factory=LandmarkWidths)
    seed: int = 0


def train(
    recipe: LandmarksRecipe,
    groups: Sequence[Sequence[Labelled]],
    folder: Path,
    workers: int = 1,
    start: LandmarkNet | None = None,
) -> LandmarkNet:
    """Train or resume; writes `landmarks.pt` (checkpoint) and `landmarks.jsonl` (log).

    Args:
        recipe: how.
        groups: faces; each group is drawn as often as every other.
        folder: of checkpoint and log.
        workers: processes that cut faces out.
        start: a network of the same widths to go on from; drawn by the seed if None.

    Returns:
        The network, ready to run.
    """
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = LandmarkNet(recipe.widths).to(device)
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    if start is not None:
        network.load_state_dict(start.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay)
    pace = Pace(recipe.steps, rise=0.05, clip=5.0, every=500, seed=recipe.seed)
    course = Course(network, optimiser, pace, folder / "landmarks.pt", asdict(recipe))
    first, left = course.done * recipe.batch, (recipe.steps - course.done) * recipe.batch
    # A forked process cannot end threads that OpenCV may have begun here: it would wait for ever.
    cv2.setNumThreads(1)
    loader = DataLoader(
        Cuts(groups, recipe.seed, first, left),
        recipe.batch,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
    for images, offsets, weights in course.follow(loader):
        network.train()
        x = (images.to(device).float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            maps = network.features(x)
        off = error(network.placed(maps.float()), offsets.to(device))
        weights = weights.to(device, torch.float32)
        loss = (off * weights).sum() / weights.sum()
        course.learn(loss, error=loss.item())
    return network.cpu().eval()


def error(placed: Tensor, offsets: Tensor) -> Tensor:
    """Mean distance of landmarks from where they are, (n,) eye distances of each face.

    Args:
        placed: (n, 5, 2) offsets from the template, in its eye distances.
        offsets: likewise, where they are.
    """
    apart = offsets[:, 1] - offsets[:, 0] + offsets.new_tensor([1.0, 0.0])
    eyes = torch.linalg.vector_norm(apart, dim=-1).clamp(min=NARROWEST)
    off: Tensor = torch.linalg.vector_norm(placed - offsets, dim=-1).mean(-1) / eyes
    return off
