"""From labelled pictures to a detector, step by step: warm up, train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from export.objects.augment import Augmentation
from export.objects.classifier import Classifier
from export.objects.material import Pictures
from export.objects.train import Recipe, load_weights, train, warm_up

WARM_SIDE = 224
"""Pixels of the pictures that the classifier was trained on."""


@dataclass(frozen=True)
class Plan:
    """What to do, and for how long."""

    recipe: Recipe
    warm_up_minutes: float
    classifier: Path | None = None
    """Whom the backbone learns from first; it begins by chance if None."""


def warm_backbone(plan: Plan, pictures: Pictures, work: Path) -> None:
    """Teach the backbone what the classifier sees, unless that was done before."""
    if plan.classifier is None or (work / "backbone.pt").exists():
        return
    recipe = replace(
        plan.recipe, minutes=plan.warm_up_minutes, side=WARM_SIDE, augmentation=_gentle(plan)
    )
    warm_up(recipe, pictures, Classifier(plan.classifier), work)


def train_variants(
    plan: Plan, pictures: Pictures, variants: Sequence[str], work: Path
) -> None:
    """Train variants, one after the other, on the backbone of the work folder if there is one."""
    checkpoint = work / "backbone.pt"
    for variant in variants:
        backbone = load_weights(checkpoint) if checkpoint.exists() else None
        recipe = replace(plan.recipe, variant=variant)
        if variant == "v1":
            recipe = replace(recipe, augmentation=_gentle(plan))
        click.echo(f"{variant}: {len(pictures)} pictures, {recipe}", err=True)
        train(recipe, pictures, work, backbone)


def _gentle(plan: Plan) -> Augmentation:
    """Scaling and shifting by a fifth, as published for v1; one picture in each sample."""
    return replace(plan.recipe.augmentation, mosaic=0.0, smallest=0.8, largest=1.25)
