"""The whole way from folders of pictures to the model that ships, with the figures of its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from daemon.inference import CPU
from daemon.vision.frames import Image
from daemon.vision.light.classifier import open_light
from daemon.vision.light.prepare import LABELS
from export.convert import OWN_TERMS, publishing, save_card, sha256
from export.daynight import graph
from export.daynight.evaluate import (
    accuracy,
    brightness,
    brightness_threshold,
    logistic_loss,
    measured,
    timed,
)
from export.daynight.material import Pictures, apart_from, seen_among
from export.daynight.teacher import Teacher, cross_validated, fit, judge
from export.daynight.train import LECTURE, DayNightRecipe, Values, probabilities
from export.daynight.workshop import Variant, Workshop

NAME, VERSION = "daynight", "1"
THRESHOLD = 0.5

Facts = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is tried and what is reported."""

    side: int = 64
    """Of the network that ships, in pixels."""
    sides: tuple[int, ...] = (16, 32, 64, 128)
    """Resolutions of the table."""
    folds: int = 5
    scale: float = 1.0
    """Factor on the steps of every run."""
    seed: int = 0

    def fit(self, variant: Variant, side: int) -> Variant:
        """A variant at a resolution, as long and from the seed as planned."""
        steps = max(2, round(variant.recipe.steps * self.scale))
        recipe = replace(variant.recipe, steps=steps, side=side, seed=self.seed)
        return replace(variant, recipe=recipe)


@dataclass(frozen=True)
class Result:
    """What was trained, and what came of it."""

    card: Path
    report: Facts
    shown: Pictures
    """The test pictures, or those to learn from where there are none."""
    night: Values
    """(n,) their probability of night; cross-validated for those to learn from."""


TAUGHT = DayNightRecipe(steps=3_000, batch=96, rate=4e-3, dropout=0.1, averaged=0.99)
VARIANTS = (
    Variant("lecture", LECTURE),
    Variant("augmented", DayNightRecipe()),
    Variant("taught", TAUGHT, taught=True),
)
"""Ways to train that are compared, each with a step more than the one before."""


def run(
    plan: Plan,
    pictures: Pictures,
    test: Pictures | None,
    unlabelled: Sequence[Image],
    teacher: Teacher | None,
    out: Path,
    work: Path,
    data: Sequence[str] = (),
) -> Result:
    """Compare the variants by cross-validation, ship the best, and report it on the test pictures.

    Args:
        plan: what is tried.
        pictures: to learn from; those that a test picture nearly equals are left out.
        test: to report on; nothing is learnt or chosen by them.
        unlabelled: more pictures, for the teacher to look at; those that a test picture nearly
            equals are left out.
        teacher: has an opinion of them; None: no network is taught.
        out: folder of the model.
        work: folder of what was trained before.
        data: lines for the card: what the pictures are, and on which terms.
    """
    learning = pictures if test is None else apart_from(pictures, test)
    if test is not None and unlabelled:
        seen = seen_among(unlabelled, test)
        unlabelled = [each for each, shown in zip(unlabelled, seen) if not shown]
    shop = Workshop(learning, unlabelled, teacher, work, plan.folds)
    tried = [plan.fit(each, plan.side) for each in VARIANTS if teacher or not each.taught]
    judged = {each.name: shop.cross_validated(each) for each in tried}
    best = min(tried, key=lambda each: logistic_loss(judged[each.name], learning.labels))
    report: Facts = {
        "pictures": _counts(learning),
        "left_out": len(pictures) - len(learning),
        "test_pictures": None if test is None else _counts(test),
        "chosen": best.name,
        "brightness": _brightness(shop, test),
        "variants": {each.name: _figures(shop, each, test) for each in tried},
    }
    if teacher is not None:
        report["teacher"] = _teacher(shop, teacher, test)
    report["resolutions"] = {
        side: _figures(shop, plan.fit(VARIANTS[0], side), test) for side in plan.sides
    }
    with publishing(out) as made:
        card = out / _ship(plan, shop, best, made, report, data).name
    if test is None:
        return Result(card, report, learning, judged[best.name])
    night = probabilities(shop.trained(best), test.images, plan.side)
    return Result(card, report, test, night)


def _counts(pictures: Pictures) -> dict[str, int]:
    return {name: int((pictures.labels == number).sum()) for number, name in enumerate(LABELS)}


def _figures(shop: Workshop, variant: Variant, test: Pictures | None) -> Facts:
    facts = {"cross_validated": measured(shop.cross_validated(variant), shop.pictures.labels)}
    if test is not None:
        night = probabilities(shop.trained(variant), test.images, variant.recipe.side)
        facts["test"] = measured(night, test.labels)
    return facts


def _brightness(shop: Workshop, test: Pictures | None) -> Facts:
    """What mean brightness alone is good for; its threshold is learnt as the network is."""
    levels, labels = brightness(shop.pictures.images), shop.pictures.labels
    dark = np.zeros(len(labels), np.float32)
    for fold in range(shop.count):
        asked = shop.folds == fold
        cut = brightness_threshold(levels[~asked], labels[~asked])
        dark[asked] = levels[asked] < cut
    facts: Facts = {"cross_validated": accuracy(dark, labels).facts()}
    if test is not None:
        cut = brightness_threshold(levels, labels)
        dark = (brightness(test.images) < cut).astype(np.float32)
        facts |= {"threshold": round(cut, 3), "test": accuracy(dark, test.labels).facts()}
    return facts


def _teacher(shop: Workshop, teacher: Teacher, test: Pictures | None) -> Facts:
    """What the linear probe on the teacher's features is good for itself."""
    features, labels = shop.features(), shop.pictures.labels
    night = cross_validated(features, labels, shop.folds)
    facts = {"cross_validated": measured(night, labels)}
    if test is not None:
        probe = fit(features, labels)
        night = judge(probe, teacher.features(test.images))
        facts["test"] = measured(night, test.labels)
    return facts


def _ship(
    plan: Plan, shop: Workshop, best: Variant, out: Path, report: Facts, data: Sequence[str]
) -> Path:
    path = out / f"{NAME}.onnx"
    network = shop.trained(best)
    described = graph.export(graph.DayNightGraph(network), path, NAME, VERSION, plan.side)
    parity = graph.check_parity(network, path, plan.side)
    card = described | {
        "file": path.name,
        "sha256": sha256(path),
        "licence": OWN_TERMS,
        "summary": f"Day or night: a shallow CNN on {plan.side}x{plan.side} pixels",
        "threshold": THRESHOLD,
        "data": [*_told(shop, best), *data],
        "recipe": asdict(best),
        "seed": plan.seed,
    }
    # As the daemon opens it: the time is that of a look, the picture's way to the input included.
    milliseconds = timed(open_light(save_card(path, card), [CPU]))
    figures = report | {"parity": float(f"{parity:.2g}"), "milliseconds": milliseconds}
    return save_card(path, card | {"figures": figures})


def _told(shop: Workshop, best: Variant) -> list[str]:
    counts = _counts(shop.pictures)
    lines = [f"{counts['day']} pictures labelled day and {counts['night']} labelled night"]
    if best.taught:
        lines.append(
            f"taught by a linear probe on EfficientNet-Lite0 (Apache-2.0, trained on ImageNet), "
            f"which looked at {len(shop.unlabelled)} more pictures without labels"
        )
    return lines
