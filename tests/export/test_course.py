"""Training runs that are cut off and go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from export.course import Course, Pace

PACE = Pace(steps=20, rise=0.25, clip=1.0, every=5, seed=0)


def batches(first: int) -> Iterator[Tensor]:
    for step in count(first):
        yield torch.randn(8, 3, generator=torch.Generator().manual_seed(step))


def run(checkpoint: Path, seed: int, stop_after: int | None = None) -> tuple[Tensor, list[float]]:
    torch.manual_seed(seed)
    network = nn.Linear(3, 1)
    optimiser = torch.optim.AdamW(network.parameters(), 0.1)
    course = Course(network, optimiser, PACE, checkpoint, {"seed": seed})
    losses = []
    for x in course.follow(batches(course.done)):
        noisy = x + 0.01 * torch.randn_like(x)
        loss = (network(noisy) - x.sum(1, keepdim=True)).square().mean()
        losses.append(loss.item())
        course.learn(loss, error=loss.item())
        if course.done == stop_after:
            break
    return network.weight.detach(), losses


def test_a_run_that_was_cut_off_ends_where_it_would_have_ended(tmp_path: Path) -> None:
    whole, losses = run(tmp_path / "whole.pt", 0)
    run(tmp_path / "cut" / "net.pt", 0, stop_after=12)
    # What came after the last checkpoint is learnt again; the first weights do not matter.
    resumed, rest = run(tmp_path / "cut" / "net.pt", 1)

    assert len(losses) == 20
    assert len(rest) == 10
    assert losses[-1] < 0.1 * losses[0]
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)
    assert rest == pytest.approx(losses[10:], rel=1e-6)


def test_a_run_that_is_done_learns_nothing_more(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "net.pt", 0)
    again, losses = run(tmp_path / "net.pt", 1)
    assert losses == []
    torch.testing.assert_close(again, whole, rtol=0, atol=0)


def test_the_log_holds_running_means_at_every_checkpoint(tmp_path: Path) -> None:
    _, losses = run(tmp_path / "net.pt", 0)
    lines = [json.loads(line) for line in (tmp_path / "net.jsonl").read_text().splitlines()]
    mean = losses[0]
    for loss in losses[1:5]:
        mean = 0.98 * mean + 0.02 * loss
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert lines[0]["error"] == pytest.approx(mean, abs=1e-4)
    assert not list(tmp_path.glob("*.tmp"))
