"""A training run: one cycle of the learning rate, a checkpoint to go on from, a bar and a log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

REMEMBERED = 0.98
"""Share of a figure's running mean that stays from one step to the next."""

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Pace:
    """How a run goes through its steps."""

    steps: int
    rise: float
    """Share of the steps in which the learning rate goes up to that of the optimiser."""
    clip: float
    """Longest gradient; a longer one is shortened to it."""
    every: int
    """Steps from one checkpoint to the next."""
    seed: int
    """Of what a step draws from torch's dice, such as noise and dropout; with its number, so that
    it draws the same whether the run was cut off before or not."""


class Course:
    """Steps of an optimiser, taken up again where a checkpoint left off.

    The log is beside the checkpoint and named like it, with `.jsonl`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimiser: Optimizer,
        pace: Pace,
        checkpoint: Path,
        recipe: Mapping[str, Any],
        measure: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """Take what is trained, and bring all of it to where the checkpoint is, if there is one.

        Args:
            network: on its device.
            optimiser: with the peak learning rate.
            pace: of the run.
            checkpoint: file; its folder is made. It is of the same run: see :mod:`export.keys`.
            recipe: plain facts that are written with the weights.
            measure: further figures, taken at every checkpoint.
        """
        self._network, self._optimiser, self._pace = network, optimiser, pace
        self._checkpoint, self._recipe, self._measure = checkpoint, dict(recipe), measure
        rates = [group["lr"] for group in optimiser.param_groups]
        self._schedule = OneCycleLR(optimiser, rates, max(2, pace.steps), pct_start=pace.rise)
        self._figures: dict[str, float] = {}
        self.done = 0
        """Steps that were taken."""
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if checkpoint.exists():
            device = next(network.parameters()).device
            saved = torch.load(checkpoint, map_location=device, weights_only=True)
            network.load_state_dict(saved["network"])
            optimiser.load_state_dict(saved["optimiser"])
            self._schedule.load_state_dict(saved["schedule"])
            self.done = saved["step"]

    def follow(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches of all steps to come, each to be learnt from before the next is asked for."""
        name, steps = self._checkpoint.stem, self._pace.steps
        with tqdm(total=steps, initial=self.done, desc=name, unit="step") as bar:
            for batch in islice(batches, steps - self.done):
                dice = np.random.SeedSequence([self._pace.seed, self.done])
                torch.manual_seed(int(dice.generate_state(1, np.uint64)[0]))
                yield batch
                bar.update()
                bar.set_postfix(
                    {name: f"{value:.4g}" for name, value in self._figures.items()},
                    rate=f"{self._schedule.get_last_lr()[0]:.1e}",
                )

    def learn(self, loss: Tensor, /, **figures: float) -> None:
        """Take a step down a loss; the running means of the figures go to the bar and the log."""
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), self._pace.clip)
        self._optimiser.step()
        self._schedule.step()
        self.done += 1
        for name, value in figures.items():
            before = self._figures.get(name, value)
            self._figures[name] = REMEMBERED * before + (1 - REMEMBERED) * value
        if self.done % self._pace.every == 0 or self.done == self._pace.steps:
            self.keep()

    def keep(self) -> None:
        """Write the checkpoint, with the figures, and a line of the log."""
        figures = {**self._figures, **self._measure()}
        rounded = {name: round(value, 4) for name, value in figures.items()}
        partial = self._checkpoint.with_suffix(".tmp")
        torch.save(
            {
                "network": self._network.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "schedule": self._schedule.state_dict(),
                "step": self.done,
                "recipe": self._recipe,
                "figures": rounded,
            },
            partial,
        )
        partial.replace(self._checkpoint)
        with self._checkpoint.with_suffix(".jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": self.done, **rounded}) + "\n")
