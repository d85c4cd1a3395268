"""Trains the second look at landmarks, on faces cut out anew for every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import torch
from torch.utils.data import DataLoader

from export.course import Course, Pace
from export.landmarks.examples import Cuts, Labelled
from export.landmarks.model import LandmarkNet, LandmarkWidths


@dataclass(frozen=True)
class LandmarksRecipe:
    """Everything that shapes a training run."""

    steps: int = 8_000
    batch: int = 128
    rate: float = 2e-3
    """Peak learning rate (one cycle, AdamW)."""
    decay: float = 1e-3
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
        away = network(images.to(device).float() / 255) - offsets.to(device)
        off = torch.linalg.vector_norm(away, dim=-1).mean(-1)
        weights = weights.to(device, torch.float32)
        loss = (off * weights).sum() / weights.sum()
        course.learn(loss, error=loss.item())
    return network.cpu().eval()
