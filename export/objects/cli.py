"""`porter-export objects`: trains the object detector."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--pictures",
    "sets",
    multiple=True,
    type=FILE,
    help="Tar of pictures, with a JSON of its name beside it (COCO; `porter-export label` makes "
    "both).",
)
@click.option("--classifier", type=FILE, help="SqueezeNet (ONNX), which warms the backbone up.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(["v1", "multi"]),
    default=("multi",),
    show_default=True,
    help="YOLO v1 as published, or multi-scale with better assignment.",
)
@click.option(
    "--step",
    "steps",
    multiple=True,
    type=click.Choice(["warm-up", "train", "ship"]),
    default=("warm-up", "train", "ship"),
    show_default=True,
    help="What to do of it all.",
)
@click.option("--minutes", default=60.0, show_default=True, help="Time to train each variant.")
@click.option("--warm-up", default=10.0, show_default=True, help="Minutes to warm up.")
@click.option("--batch", default=64, show_default=True, help="Samples of a step.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of weights and logs; a warmed-up backbone there is used.",
)
@click.option("--threads", default=2, show_default=True, help="Of the network, without a GPU.")
def objects(
    sets: tuple[Path, ...],
    classifier: Path | None,
    variants: tuple[str, ...],
    steps: tuple[str, ...],
    minutes: float,
    warm_up: float,
    batch: int,
    seed: int,
    work: Path | None,
    threads: int,
) -> None:
    """Train the object detector of twelve classes."""
    import torch

    from export.data.cache import cache_folder
    from export.objects.material import read
    from export.objects.recipe import Plan, train_variants, warm_backbone
    from export.objects.train import Recipe

    torch.set_num_threads(threads)
    folder = work or cache_folder() / "objects"
    if not sets:
        raise click.UsageError("give --pictures; or --quick for a smoke test")
    plan = Plan(Recipe(minutes=minutes, batch=batch, seed=seed), warm_up, classifier)
    pictures = read(sets, plan.recipe.side)
    if "warm-up" in steps:
        warm_backbone(plan, pictures, folder)
    if "train" in steps:
        train_variants(plan, pictures, variants, folder)
