"""The whole way to a second look at landmarks: label, learn, export, add to a detector's card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tqdm import tqdm

from daemon.cards import find_card, read_card
from daemon.inference import CPU, open_session
from daemon.vision.cards import DetectorCard
from daemon.vision.landmarks import EYES, SIDE, TEMPLATE, LandmarkRefiner
from export.convert import export_look, plain, publishing, save_card, sha256
from export.keys import key
from export.landmarks.examples import Cuts
from export.landmarks.material import Groups
from export.landmarks.model import LandmarkGraph, LandmarkNet
from export.landmarks.train import LandmarksRecipe, train

CHECKED = 2_000
"""Cuts of the calibration part on which the card's figures are measured."""


Plan = tuple[LandmarksRecipe, ...]
"""Stages: each goes on from the network of the one before."""
PLAN: Plan = (LandmarksRecipe(),)


def run(
    plan: Plan,
    learning: Groups,
    checking: Groups,
    detector: Path | str,
    work: Path,
    workers: int,
    data: Sequence[str],
) -> Path:
    """Train, and add the network to the card of a detector; returns the card.

    Args:
        plan: how.
        learning: faces to learn from.
        checking: faces of other people, on which the card's figures are measured.
        detector: the detector's card, file or name.
        work: folder of checkpoints and logs, for these faces alone.
        workers: processes that cut faces out.
        data: lines for the card: what is learnt from, and on which terms.

    Raises:
        ModelError: the detector cannot be read.
    """
    card = read_card(find_card(detector), DetectorCard)
    network: LandmarkNet | None = None
    run_so_far = ""
    for number, recipe in enumerate(plan, 1):
        run_so_far = key(run_so_far, recipe)
        folder = work / f"stage-{number}-{run_so_far}"
        network = train(recipe, learning, folder, workers, network)
    assert network is not None
    with publishing(card.path.parent) as made:
        path = (made / card.path.name).with_suffix(".landmarks.onnx")
        described = {"kind": "face-landmarks", "name": card.name, "version": card.version}
        described |= {"template": TEMPLATE.round(3).tolist()}
        graph = LandmarkGraph(network.fuse()).eval()
        parity = export_look(graph, SIDE, path, "points", described)
        found, refined = _check(path, checking, plan[0].seed)
        told: dict[str, Any] = yaml.safe_load(card.path.with_suffix(".yaml").read_text("utf-8"))
        figures = {
            "faces": sum(map(len, learning)),
            "data": list(data),
            "recipe": [plain(asdict(recipe)) for recipe in plan],
            "parity": float(f"{parity:.2g}"),
            "cuts": CHECKED,
            "error_before": round(found, 4),
            "error": round(refined, 4),
        }
        named = {"refiner": {"file": path.name, "sha256": sha256(path)}}
        measured = {"figures": (told.get("figures") or {}) | {"landmarks": figures}}
        return card.beside(save_card(made / card.path.name, told | named | measured).name)


def scaled(plan: Plan, factor: float, seed: int) -> Plan:
    """A plan with more or fewer steps, and with other seeds."""
    return tuple(
        replace(each, steps=max(10, round(factor * each.steps)), seed=seed + each.seed)
        for each in plan
    )


def quick(seed: int) -> Plan:
    """The plan of a smoke test: under a minute."""
    return tuple(LandmarksRecipe(steps=steps, batch=32, seed=seed) for steps in (150, 50))


def _check(path: Path, groups: Groups, seed: int) -> tuple[float, float]:
    """Mean errors in eye distances of landmarks as a detector finds them, and looked at again."""
    refiner = LandmarkRefiner(open_session(path, [CPU], 1))
    cuts = Cuts(groups, seed + 1, 0, CHECKED)
    before, after = [], []
    for number in tqdm(range(CHECKED), desc="checking", unit="face"):
        image, offsets, _ = cuts[number]
        face = np.ascontiguousarray(image.numpy().transpose(1, 2, 0))
        points = refiner.refine(face, TEMPLATE)
        off = (points - TEMPLATE) / EYES - offsets.numpy()
        apart = float(np.linalg.norm(offsets[1] - offsets[0] + torch.tensor([1.0, 0.0])))
        before.append(np.linalg.norm(offsets.numpy(), axis=1).mean() / apart)
        after.append(np.linalg.norm(off, axis=1).mean() / apart)
    return float(np.mean(before)), float(np.mean(after))
