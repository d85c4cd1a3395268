"""Trains the second look at landmarks, on faces cut out anew for every step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from export.checkpoint import keep, resume
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
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = LandmarkNet(recipe.widths).to(device)
    if start is not None:
        network.load_state_dict(start.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, recipe.steps, pct_start=0.05
    )
    checkpoint = folder / "landmarks.pt"
    done = resume(checkpoint, network, optimiser, schedule, device)
    loader = DataLoader(
        Cuts(groups, recipe.seed, done * recipe.batch, (recipe.steps - done) * recipe.batch),
        recipe.batch,
        num_workers=workers,
        worker_init_fn=_calm,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
    with tqdm(total=recipe.steps, initial=done, desc="landmarks", unit="step") as bar:
        running: float | None = None
        for step, (images, offsets, weights) in enumerate(loader, done + 1):
            network.train()
            away = network(images.to(device).float() / 255) - offsets.to(device)
            off = torch.linalg.vector_norm(away, dim=-1).mean(-1)
            weights = weights.to(device, torch.float32)
            loss = (off * weights).sum() / weights.sum()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
            bar.update()
            bar.set_postfix(error=f"{running:.4f}", rate=f"{schedule.get_last_lr()[0]:.1e}")
            if step % 500 == 0 or step == recipe.steps:
                keep(checkpoint, network, optimiser, schedule, step, asdict(recipe))
                with (folder / "landmarks.jsonl").open("a") as log:
                    log.write(json.dumps({"step": step, "error": round(running, 4)}) + "\n")
    return network.cpu().eval()


def load(checkpoint: Path) -> LandmarkNet:
    """The network of a checkpoint."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = LandmarkNet(LandmarkWidths(**saved["recipe"]["widths"]))
    network.load_state_dict(saved["network"])
    return network.eval()


def _calm(_worker: int) -> None:
    cv2.setNumThreads(1)
