"""The whole way from folders of pictures to the model that ships, with the figures of its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from daemon.inference import CPU
from daemon.vision.light.classifier import LightClassifier, open_light
from daemon.vision.light.prepare import LABELS
from export.convert import save_card, sha256
from export.daynight import graph, teacher
from export.daynight.evaluate import (
    accuracy,
    brightness,
    brightness_threshold,
    logistic_loss,
    measured,
)
from export.daynight.material import Pictures, apart_from
from export.daynight.train import LECTURE, DayNightRecipe, Values
from export.daynight.workshop import Variant, Workshop, ask

NAME, VERSION = "daynight", "1"
THRESHOLD = 0.5
LICENCE = (
    "the pictures' own: ask whoever took them before you ship a model of theirs; train on pictures "
    "you have rights to (porter-export daynight)"
)


@dataclass(frozen=True)
class Plan:
    """What is tried and what is reported."""

    side: int = 64
    sides: tuple[int, ...] = (16, 32, 64, 128)
    """Resolutions of the table."""
    folds: int = 5
    scale: float = 1.0
    """Factor on the steps of every run."""
    seed: int = 0


def variants(plan: Plan, taught: bool) -> list[Variant]:
    """The ways to train that are compared, each with a step more than the one before."""
    own = DayNightRecipe()
    found = [Variant("lecture", LECTURE), Variant("augmented", own)]
    if taught:
        found.append(Variant("distilled", own, own=TEACHER_AND_LABEL))
        found.append(Variant("distilled ensemble", own, own=TEACHER_AND_LABEL, members=MEMBERS))
    return [_fitted(each, plan, plan.side) for each in found]


TEACHER_AND_LABEL = 0.4
"""Share of the label in what the distilled variants learn."""
MEMBERS = 3


def _fitted(variant: Variant, plan: Plan, side: int) -> Variant:
    recipe = variant.recipe
    steps = max(2, round(recipe.steps * plan.scale))
    return replace(variant, recipe=replace(recipe, steps=steps, side=side, seed=plan.seed))


@dataclass(frozen=True)
class Result:
    """What was trained and measured."""

    card: Path
    report: dict[str, Any]


def run(
    plan: Plan,
    pictures: Pictures,
    test: Pictures | None,
    teacher_file: Path | None,
    out: Path,
    work: Path,
) -> Result:
    """Compare the variants by cross-validation, ship the best, and report it on the test pictures.

    Args:
        plan: what is tried.
        pictures: to learn from; those that a test picture nearly equals are left out.
        test: to report on; nothing is chosen by them.
        teacher_file: SqueezeNet, for the distilled variants.
        out: folder of the model.
        work: folder of what was trained before.
    """
    learning = pictures if test is None else apart_from(pictures, test)
    shop = Workshop(learning, teacher_file, work, plan.folds)
    tried = variants(plan, teacher_file is not None)
    report: dict[str, Any] = {
        "pictures": _counts(learning) | {"left out as near-duplicates of test pictures":
                                         len(pictures) - len(learning)},
        "test_pictures": None if test is None else _counts(test),
        "brightness": _brightness(shop, test),
        "variants": {},
    }  # fmt: skip
    if teacher_file is not None:
        report["teacher"] = _teacher(shop, teacher_file, test)
    judged: dict[str, Values] = {}
    for each in tried:
        judged[each.name] = shop.cross_validated(each)
        report["variants"][each.name] = _figures(shop, each, judged[each.name], test)
    labels = learning.labels
    best = min(tried, key=lambda each: logistic_loss(judged[each.name], labels))
    report["chosen"] = best.name
    report["resolutions"] = _resolutions(plan, shop, best, test)
    card = _ship(plan, shop, best, out, report)
    return Result(card, report)


def _counts(pictures: Pictures) -> dict[str, int]:
    return {name: int((pictures.labels == number).sum()) for number, name in enumerate(LABELS)}


def _figures(
    shop: Workshop, variant: Variant, judged: Values, test: Pictures | None
) -> dict[str, Any]:
    facts = {"cross_validated": measured(judged, shop.pictures.labels)}
    if test is not None:
        night = ask(shop.trained(variant), test, variant.recipe.side)
        facts["test"] = measured(night, test.labels)
    return facts


def _brightness(shop: Workshop, test: Pictures | None) -> dict[str, Any]:
    """What mean brightness alone is good for, its threshold chosen on the pictures to learn from."""
    levels, labels = brightness(shop.pictures.images), shop.pictures.labels
    night = np.zeros(len(labels), np.float32)
    for fold in range(shop.count):
        asked = shop.folds == fold
        cut = brightness_threshold(levels[~asked], labels[~asked])
        night[asked] = levels[asked] < cut
    facts: dict[str, Any] = {"cross_validated": accuracy(night, labels).facts()}
    if test is not None:
        cut = brightness_threshold(levels, labels)
        dark = (brightness(test.images) < cut).astype(np.float32)
        facts |= {"threshold": round(cut, 3), "test": accuracy(dark, test.labels).facts()}
    return facts


def _teacher(shop: Workshop, path: Path, test: Pictures | None) -> dict[str, Any]:
    features, labels = shop.features(), shop.pictures.labels
    soft = teacher.soft_labels(features, labels, shop.folds)
    facts = {"cross_validated": measured(soft, labels)}
    if test is not None:
        probe = teacher.fit(features, labels)
        night = teacher.judge(probe, teacher.Teacher(path).features(test.images))
        facts["test"] = measured(night, test.labels)
    return facts


def _resolutions(
    plan: Plan, shop: Workshop, best: Variant, test: Pictures | None
) -> dict[int, dict[str, Any]]:
    """The best recipe at every side, one network each."""
    table = {}
    for side in plan.sides:
        variant = replace(_fitted(replace(best, members=1), replace(plan, scale=1.0), side))
        table[side] = _figures(shop, variant, shop.cross_validated(variant), test)
    return table


def _ship(
    plan: Plan, shop: Workshop, best: Variant, out: Path, report: dict[str, Any]
) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{NAME}.onnx"
    networks = shop.trained(best)
    described = graph.export(networks, path, NAME, VERSION, plan.side)
    parity = graph.check_parity(networks, path, plan.side)
    return save_card(
        path,
        described
        | {
            "file": path.name,
            "sha256": sha256(path),
            "licence": LICENCE,
            "summary": "Day or night in a picture: a shallow CNN on 64x64 pixels",
            "threshold": THRESHOLD,
            "figures": report | {"parity": float(f"{parity:.2g}")},
            "data": _told(shop, best),
            "recipe": asdict(best),
            "seed": plan.seed,
        },
    )


def _told(shop: Workshop, best: Variant) -> list[str]:
    counts = _counts(shop.pictures)
    lines = [f"{counts['day']} photographs of day and {counts['night']} of night, labelled by hand"]
    if best.own < 1:
        lines.append(
            "soft labels by a linear probe on SqueezeNet 1.1 (BSD-2, trained on ImageNet), which "
            "never judged a picture that it was fitted on"
        )
    return lines
