"""From labelled pictures to the detector that ships, step by step: warm up, train, ship."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from daemon.errors import ModelError
from daemon.inference import CPU
from daemon.vision.objects.detector import open_object_detector
from daemon.vision.objects.names import CLASSES
from export.convert import OWN_TERMS, plain, publishing
from export.keys import key
from export.objects.augment import Augmentation
from export.objects.convert import write_card
from export.objects.evaluate import measure, read_marked
from export.objects.graph import MULTIPLE, check_parity, export, graph_of
from export.objects.material import Pictures
from export.objects.model import MultiScale, Widths
from export.objects.quantise import quantise, seen
from export.objects.report import facts
from export.objects.restore import Start, restore
from export.objects.sketches import draw_pictures
from export.objects.train import (
    UNFINISHED,
    Recipe,
    load_backbone,
    load_detector,
    load_recipe,
    train,
    warm_up,
)
from export.objects.yolox import Yolox
from export.squeezenet import load as load_teacher

NAME = "objects"
VERSION = "1"
SUMMARY = {
    "v1": "Twelve kinds of objects in a picture: YOLO v1's single grid and published loss",
    "multi": "Twelve kinds of objects in a picture: three scales, anchor-free, one stage",
}
WHOLE = ", in whole numbers of eight bits"
OVERLAP = 0.55
THRESHOLD = 0.3
DRAWN = "drawn shapes: a smoke test, not a model"
WARM_SIDE = 224
"""Pixels of the pictures that the classifier was trained on."""


@dataclass(frozen=True)
class Plan:
    """What to do, and for how long."""

    recipe: Recipe
    warm_up_minutes: float = 0.0
    classifier: Path | None = None
    """Whom the backbone learns from first; it begins by chance if None."""
    teacher: Path | None = None
    """A YOLOX whose features the multi-scale variant imitates; none if None."""
    goes_on: bool = False
    """Whether variants begin with the weights that they have, not anew."""
    start: Start | None = None
    """A detector that ships, with which the multi-scale variant begins."""
    sets: tuple[Path, ...] = ()
    """Where the pictures lie."""
    data: tuple[str, ...] = (DRAWN,)
    """What is learnt from, for the card."""


def quick(seed: int, kind: str = "separable") -> Plan:
    """A run of some twenty seconds that learns drawn shapes."""
    widths = Widths((8, 16, 16, 24, 32), (1, 1, 1), 16, 32, kind)
    gentle = Augmentation(mosaic=0.2, smallest=0.8, largest=1.25)
    recipe = Recipe(
        steps=150, batch=8, side=128, rate=6e-3, smoothing=0.95, widths=widths, seed=seed,
        augmentation=gentle,
    )  # fmt: skip
    return Plan(recipe)


def sketches(plan: Plan) -> Pictures:
    """What a quick run learns from."""
    return draw_pictures(96, plan.recipe.side, plan.recipe.seed)


def warm_backbone(plan: Plan, pictures: Pictures, work: Path) -> None:
    """Teach the backbone what the classifier sees, unless that was done before, to the end."""
    backbone = backbone_of(plan, work)
    if plan.classifier is None or backbone is None or backbone.exists():
        return
    warm_up(_warming(plan), pictures, load_teacher(plan.classifier), backbone)


def backbone_of(plan: Plan, work: Path) -> Path | None:
    """Where the backbone of a plan lies once it is warmed up; None if it begins by chance."""
    if plan.classifier is None:
        return None
    beside = [each.with_suffix(".json") for each in plan.sets]
    return work / f"backbone-{key(plan.classifier, _warming(plan), plan.sets, beside)}.pt"


def _warming(plan: Plan) -> Recipe:
    return replace(
        plan.recipe,
        minutes=plan.warm_up_minutes,
        side=WARM_SIDE,
        early_side=0,
        rounded=0.0,
        augmentation=_gentle(plan),
    )


def train_variants(plan: Plan, pictures: Pictures, variants: Sequence[str], work: Path) -> None:
    """Train variants, one after the other, on the backbone of the work folder if there is one.

    With `plan.goes_on`, a variant that is in the work folder already is trained further, also one
    whose training was cut off.
    """
    warmed = backbone_of(plan, work)
    imitated = Yolox(plan.teacher) if plan.teacher else None
    for variant in variants:
        trained = work / f"{variant}.pt"
        if trained.with_suffix(UNFINISHED).exists():
            trained = trained.with_suffix(UNFINISHED)
        recipe = replace(plan.recipe, variant=variant, data=plan.data)
        start, backbone = None, None
        if plan.goes_on and trained.exists():
            start, before = load_detector(trained), load_recipe(trained)
            recipe = replace(recipe, before=before, widths=Widths(**before["widths"]))
        elif plan.start is not None and variant == "multi":
            start = restore(plan.start, pictures)
            recipe = replace(recipe, before=plan.start.recipe, widths=plan.start.widths)
        elif warmed is not None and warmed.exists():
            backbone = load_backbone(warmed)
        if variant == "v1":
            recipe = replace(recipe, augmentation=_gentle(plan))
        click.echo(f"{variant}: {len(pictures)} pictures", err=True)
        train(recipe, pictures, work, backbone, start, imitated)


def ship(
    variants: Sequence[str],
    work: Path,
    out: Path,
    pictures: Pictures,
    reported: Path | None = None,
    terms: Sequence[str] = (),
    input_side: int | None = None,
    name: str = NAME,
) -> Path:
    """Make a model of each variant that was trained; the last is OUT/NAME.onnx.

    The others go to the work folder, and their figures into the card of the last. A plain network
    of several scales ships in whole numbers, and the card has its figures before that, too.

    Args:
        variants: names of weights in `work`.
        work: folder of VARIANT.pt.
        out: folder of the model.
        pictures: such as it learnt from: on some it is seen how large its numbers become.
        reported: pictures with people's labels that the card reports on.
        terms: lines for the card: sources of pictures and their terms.
        input_side: pixels of the longer side of the multi-scale variant's input; as it learnt if
            None. What learns to find objects of many sizes in samples that were cut and scaled
            finds most in somewhat larger pictures (Touvron et al., "Fixing the train-test
            resolution discrepancy", NeurIPS 2019).
        name: of the model.

    Returns:
        The card.

    Raises:
        ModelError: a variant was not trained yet.
    """
    measured: dict[str, Any] = {}
    card = Path()
    for variant in variants:
        last = variant == variants[-1]
        folder = out if last else work
        weights = work / f"{variant}.pt"
        if not weights.exists():
            if weights.with_suffix(UNFINISHED).exists():
                raise ModelError(
                    f"{weights}: its training was cut off; train {variant} again, or further with "
                    "--go-on"
                )
            raise ModelError(f"{weights}: missing; train {variant} first")
        with publishing(folder) as made:
            path = made / f"{name if last else f'{name}-{variant}'}.onnx"
            network, learnt = load_detector(weights), load_recipe(weights)
            whole = isinstance(network, MultiScale) and network.plain
            side = input_side if input_side and variant == "multi" else learnt["side"]
            graph = graph_of(network, side)
            described = export(graph, path, path.stem, VERSION)
            parity = check_parity(graph, path)
            describe = partial(
                write_card, path, described,
                summary=SUMMARY[variant] + (WHOLE if whole else ""),
                licence=OWN_TERMS, threshold=THRESHOLD, overlap=OVERLAP,
            )  # fmt: skip
            if whole:
                if reported is not None:
                    measured[f"{variant}_float"] = _figures(describe(), reported)
                quantise(path, seen(pictures, MULTIPLE), described)
            card = describe()
            if reported is not None:
                measured[variant] = _figures(card, reported)
            card = describe(
                data=[*_data(learnt), *terms],
                recipe={part: value for part, value in plain(learnt).items() if part != "data"},
                seed=learnt["seed"],
                figures={"parity": float(f"{parity:.2g}"), **measured},
            )
        card = folder / card.name
    return card


def run_quick(seed: int, variants: Sequence[str], out: Path, work: Path, kind: str) -> Path:
    """The smoke test: learn drawn shapes and ship; returns the card."""
    plan = quick(seed, kind)
    pictures = sketches(plan)
    train_variants(plan, pictures, variants, work)
    return ship(variants, work, out, pictures)


def _figures(card: Path, reported: Path) -> dict[str, Any]:
    """What a model reaches on marked pictures."""
    marked = read_marked(reported)
    (result,) = measure([open_object_detector(card, [CPU])], marked)
    return facts(result, marked)


def _gentle(plan: Plan) -> Augmentation:
    """Scaling and shifting by a fifth, as published for v1; one picture in each sample."""
    return replace(plan.recipe.augmentation, mosaic=0.0, smallest=0.8, largest=1.25)


def _data(recipe: Mapping[str, Any]) -> list[str]:
    """What a network with this recipe was trained on, and before that the one it goes on from."""
    before = _data(recipe["before"]) if recipe["before"] else []
    learnt = recipe.get("data") or ["pictures that its checkpoint does not name"]
    return [*before, *(line for line in learnt if line not in before)]


def told(sets: Sequence[Path], classifier: Path | None, teacher: Path | None) -> tuple[str, ...]:
    """What pictures a model is trained on, and by whom it is taught, for its card."""
    lines = []
    for each in sets:
        described = json.loads(each.with_suffix(".json").read_text())
        names = {entry["id"]: entry["name"] for entry in described["categories"]}
        counts = dict.fromkeys(CLASSES, 0)
        for box in described["annotations"]:
            if names[box["category_id"]] in counts:
                counts[names[box["category_id"]]] += 1
        boxes = ", ".join(f"{count} {name}" for name, count in counts.items())
        about = described.get("info", {}).get("description", each.stem)
        lines.append(f"{about}: {len(described['images'])} pictures with {boxes}")
    if classifier is not None:
        lines.append("backbone warmed up by distilling SqueezeNet 1.1 (BSD-2) on the same pictures")
    if teacher is not None:
        lines.append(f"the multi-scale variant imitates features of {teacher.stem} on its samples")
    return tuple(lines)
