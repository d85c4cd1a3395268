"""The whole way to a feature network: gather, learn, draw the graph, check it, write the card."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.convert import plain, publishing, save_card, sha256
from export.features.graph import check_parity, write
from export.features.material import Material, drawn, gather
from export.features.model import FeatureNetwork
from export.features.train import FeatureRecipe, train
from export.squeezenet import SqueezeNet
from export.squeezenet import load as load_teacher

VERSION = "1"
SIDE = 224
"""Of the squares that pictures are cut to, in pixels."""


@dataclass(frozen=True)
class Sources:
    """Where a run takes its pictures, and its teacher, from."""

    labelled: Path | None = None
    """Tar of pictures with a CSV beside it: path, label, split."""
    pictures: tuple[Path, ...] = ()
    """Folders and tars of pictures without labels."""
    teacher: Path | None = None
    """SqueezeNet (ONNX)."""
    terms: tuple[str, ...] = ()
    """Lines for the card: where pictures are from, and on which terms."""
    side: int = SIDE
    """Of the squares that they are cut to, in pixels."""


def quick(seed: int) -> FeatureRecipe:
    """A smoke test on drawn pictures: under a minute on two cores."""
    widths = ((8,), (12,), (16,), (16, 16), (16,))
    return FeatureRecipe(steps=60, batch=16, crop=48, widths=widths, seed=seed)


def run(
    recipe: FeatureRecipe, sources: Sources | None, out: Path, work: Path, name: str = "features"
) -> Path:
    """Train and ship; returns the card.

    Args:
        recipe: how.
        sources: what to learn from; None: drawn pictures.
        out: folder of the model.
        work: folder of weights and logs.
        name: of the model.
    """
    teacher: SqueezeNet | None = None
    if sources is None:
        material = drawn(recipe.seed)
    else:
        teacher = load_teacher(sources.teacher) if sources.teacher is not None else None
        material = gather(sources.labelled, sources.pictures, sources.side)
    network, figures = train(recipe, material, work, teacher)
    told = {
        "seed": recipe.seed,
        "data": _told(sources, material),
        "recipe": told_recipe(recipe),
        "figures": figures,
    }
    licence = "MIT" if teacher is None else "MIT; its teacher, SqueezeNet, is BSD-2"
    return ship(network, out, name, licence, told)


def ship(network: FeatureNetwork, out: Path, name: str, licence: str, told: dict[str, Any]) -> Path:
    """Write file and card of a network, and compare the file's gradient with PyTorch's."""
    with publishing(out) as made:
        path = made / f"{name}.onnx"
        facts = write(network, path, name, VERSION)
        error = check_parity(network, path)
        figures = {"gradient_error": float(f"{error:.2g}")} | told.get("figures", {})
        card = save_card(
            path,
            {
                **{key: facts[key] for key in ("kind", "name", "version")},
                "file": path.name,
                "sha256": sha256(path),
                "licence": licence,
                "summary": "Loss of style transfer and its gradient, through a network like VGG",
                **{key: value for key, value in facts.items() if key not in _HEAD},
                **told,
                "figures": figures,
            },
        )
    return out / card.name


_HEAD = ("kind", "name", "version")


def told_recipe(recipe: Any) -> dict[str, Any]:
    """A recipe, a dataclass, for a card; with a time instead of steps, if it went by time."""
    told: dict[str, Any] = plain(asdict(recipe))
    return {
        name: value
        for name, value in told.items()
        if name != ("minutes" if recipe.minutes is None else "steps")
    }


def _told(sources: Sources | None, material: Material) -> list[str]:
    """What the model was trained on, for its card."""
    if sources is None:
        return ["drawn shapes: a smoke test, not a model"]
    labelled = int((material.learning.labels >= 0).sum())
    lines = [
        f"{labelled} pictures of {len(material.classes)} classes, "
        f"{len(material.learning) - labelled} without labels"
    ]
    if sources.teacher is not None:
        lines.append(f"taught by SqueezeNet 1.1 ({sources.teacher.name}), trained on ImageNet")
    return [*lines, *sources.terms]
