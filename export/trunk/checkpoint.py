"""What a training run of the trunk leaves behind: a checkpoint to go on from, and a log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from export.trunk.model import Trunk


class Checkpoint:
    """Files of a stage of the training: `trunk.pt` and `trunk.jsonl` in its folder."""

    def __init__(
        self,
        folder: Path,
        trunk: Trunk,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "trunk.pt"
        self._trunk, self._optimiser, self._schedule = trunk, optimiser, schedule

    def resume(self) -> int:
        """Take up where the checkpoint left off; the number of steps done, 0 if there is none."""
        if not self.path.exists():
            return 0
        device = next(self._trunk.parameters()).device
        saved = torch.load(self.path, map_location=device, weights_only=True)
        self._trunk.load_state_dict(saved["trunk"])
        self._optimiser.load_state_dict(saved["optimiser"])
        self._schedule.load_state_dict(saved["schedule"])
        return int(saved["step"])

    def save(self, step: int, recipe: dict[str, Any], **figures: float) -> None:
        """Write the checkpoint and a line of the log."""
        rounded = {name: round(value, 4) for name, value in figures.items()}
        with self.path.with_suffix(".jsonl").open("a") as log:
            log.write(json.dumps({"step": step} | rounded) + "\n")
        partial = self.path.with_suffix(".tmp")
        torch.save(
            {
                "trunk": self._trunk.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "schedule": self._schedule.state_dict(),
                "step": step,
                "recipe": recipe,
                "figures": rounded,
            },
            partial,
        )
        partial.replace(self.path)
