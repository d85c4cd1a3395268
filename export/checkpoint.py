"""Checkpoints, from which a training run that was cut off goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def resume(
    path: Path, network: nn.Module, optimiser: Optimizer, schedule: LRScheduler, device: str
) -> int:
    """Bring everything to where a checkpoint left it; the steps done, 0 if there is none."""
    if not path.exists():
        return 0
    saved = torch.load(path, map_location=device, weights_only=True)
    network.load_state_dict(saved["network"])
    optimiser.load_state_dict(saved["optimiser"])
    schedule.load_state_dict(saved["schedule"])
    step: int = saved["step"]
    return step


def keep(
    path: Path,
    network: nn.Module,
    optimiser: Optimizer,
    schedule: LRScheduler,
    step: int,
    recipe: dict[str, Any],
) -> None:
    """Write a checkpoint, whole or not at all."""
    partial = path.with_suffix(".tmp")
    torch.save(
        {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "step": step,
            "recipe": recipe,
        },
        partial,
    )
    partial.replace(path)
