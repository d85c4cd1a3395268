"""Trains the second opinion, on as many faces as finds that are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daemon.vision.confirmation import SIDE
from export.confirmation.candidates import MARGIN, Candidates
from export.confirmation.model import Confirmer, ConfirmerWidths
from export.course import Course, Pace

SHIFT = 3
"""Pixels by which a cut is shifted at most while it is learnt from."""


@dataclass(frozen=True)
class ConfirmerRecipe:
    """Everything that shapes a training run."""

    steps: int = 30_000
    batch: int = 128
    rate: float = 2e-3
    """Peak learning rate (one cycle, AdamW)."""
    decay: float = 1e-2
    widths: ConfirmerWidths = field(default_factory=ConfirmerWidths)
    seed: int = 0


def train(recipe: ConfirmerRecipe, learning: Candidates, folder: Path) -> Confirmer:
    """Train or resume; writes `confirmer.pt` (checkpoint) and `confirmer.jsonl` (log).

    Args:
        recipe: how.
        learning: finds; faces and others are drawn equally often.
        folder: of checkpoint and log.

    Returns:
        The network, ready to run.
    """
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Confirmer(recipe.widths).to(device)
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay)
    pace = Pace(recipe.steps, rise=0.05, clip=5.0, every=500, seed=recipe.seed)
    course = Course(network, optimiser, pace, folder / "confirmer.pt", asdict(recipe))
    for cuts, truth in course.follow(_batches(recipe, learning, course.done)):
        network.train()
        x = _jitter(torch.from_numpy(cuts).to(device).permute(0, 3, 1, 2).float() / 255)
        target = torch.from_numpy(truth).to(device, torch.float32)
        loss = F.binary_cross_entropy_with_logits(network(x)[:, 0], target)
        course.learn(loss, loss=loss.item())
    return network.cpu().eval()


def _batches(
    recipe: ConfirmerRecipe, learning: Candidates, done: int
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]]:
    """Cuts (batch, SIDE, SIDE, 3), and whether each is a face, of all steps from `done` on."""
    faces, others = np.flatnonzero(learning.is_face), np.flatnonzero(~learning.is_face)
    half = recipe.batch // 2
    for step in range(done, recipe.steps):
        rng = np.random.default_rng([recipe.seed, step])
        chosen = np.concatenate([rng.choice(faces, half), rng.choice(others, half)])
        cuts = np.empty((len(chosen), SIDE, SIDE, 3), np.uint8)
        corners = MARGIN + rng.integers(-SHIFT, SHIFT + 1, (len(chosen), 2))
        mirrored = rng.random(len(chosen)) < 0.5
        for cut, place, (top, left), mirror in zip(cuts, chosen, corners, mirrored):
            part = learning.cuts[place, top : top + SIDE, left : left + SIDE]
            cut[:] = part[:, ::-1] if mirror else part
        yield cuts, learning.is_face[chosen]


def _jitter(x: Tensor) -> Tensor:
    """Each cut a little lighter or darker, with a little more contrast."""
    shape = (len(x), 1, 1, 1)
    gain = torch.empty(shape, device=x.device).uniform_(0.75, 1.3)
    lift = torch.empty(shape, device=x.device).uniform_(-0.08, 0.08)
    return (x * gain + lift).clamp(0, 1)
