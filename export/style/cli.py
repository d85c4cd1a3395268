"""`porter-export style`: trains a feed-forward network for one style."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import torch

from daemon.paths import shipped_models
from export.data.cache import cache_folder
from export.features.options import learning_options
from export.features.recipe import Sources
from export.options import out_folder
from export.style.recipe import quick as quick_recipe
from export.style.recipe import run
from export.style.train import StyleRecipe


@click.command()
@click.option(
    "--style",
    "picture",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="IMAGE",
    help="The picture whose manner is learnt.",
)
@learning_options
@click.option(
    "--features",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Feature network (ONNX). [default: the one that ships]",
)
@click.option("--content-weight", type=click.FloatRange(0), help="Else that of the recipe.")
@click.option("--style-weight", type=click.FloatRange(0), help="Else that of the recipe.")
@click.option("--style-size", type=click.IntRange(32), help="Longest side of IMAGE, in pixels.")
@click.option("--name", help="Of the model. [default: style-IMAGE]")
def style(
    picture: Path,
    labelled: Path | None,
    pictures: tuple[Path, ...],
    steps: int | None,
    minutes: float | None,
    batch: int | None,
    crop: int | None,
    seed: int,
    quick: bool,
    terms: tuple[str, ...],
    work: Path | None,
    threads: int,
    out: Path | None,
    features: Path | None,
    content_weight: float | None,
    style_weight: float | None,
    style_size: int | None,
    name: str | None,
) -> None:
    """Train a network that paints in the style of IMAGE at once, for `porter style --fast`.

    \b
    Example:
        porter-export style --style hokusai.jpg --pictures photos/ --out my-models/
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    name = name or f"style-{picture.stem.replace('_', '-')}"
    recipe = quick_recipe(seed) if quick else StyleRecipe(seed=seed)
    recipe = replace(
        recipe,
        steps=steps or recipe.steps,
        minutes=minutes,
        batch=batch or recipe.batch,
        crop=crop or recipe.crop,
        content=recipe.content if content_weight is None else content_weight,
        style=recipe.style if style_weight is None else style_weight,
        style_size=style_size or recipe.style_size,
    )
    if not (quick or labelled or pictures):
        raise click.UsageError("give --labelled or --pictures; or --quick for a smoke test")
    if features is None and not quick:
        features = shipped_models() / "features.onnx"
    sources = None if quick else Sources(labelled, pictures, None, terms)
    work = work or cache_folder() / name
    out = out_folder(out, work, quick=quick)
    click.echo(str(run(recipe, picture, features, sources, out, work, name)))
