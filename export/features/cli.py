"""`porter-export features` and `convert-vgg19`: the networks that style transfer looks through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import torch

from export.data.cache import cache_folder
from export.features.material import gather
from export.features.options import learning_options
from export.features.recipe import Sources, run, ship
from export.features.recipe import quick as quick_recipe
from export.features.train import FeatureRecipe
from export.features.vgg19 import LICENCE, convert
from export.options import out_folder


@click.command()
@learning_options
@click.option(
    "--teacher",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="SqueezeNet 1.1 (ONNX), whose features are to be learnt, too.",
)
@click.option("--name", default="features", show_default=True, help="Of the model.")
def features(
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
    teacher: Path | None,
    name: str,
) -> None:
    """Train a feature network, and write the graph of loss and gradient that uses it.

    \b
    Example:
        porter-export features --labelled caltech101.tar --pictures more/ \\
            --teacher squeezenet.onnx --out models/
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    recipe = quick_recipe(seed) if quick else FeatureRecipe(seed=seed)
    recipe = replace(
        recipe,
        steps=steps or recipe.steps,
        minutes=minutes,
        batch=batch or recipe.batch,
        crop=crop or recipe.crop,
    )
    if not (quick or labelled or pictures):
        raise click.UsageError("give --labelled or --pictures; or --quick for a smoke test")
    sources = None if quick else Sources(labelled, pictures, teacher, terms)
    work = work or cache_folder() / name
    out = out_folder(out, work, quick=quick)
    click.echo(str(run(recipe, sources, out, work, name)))


@click.command("convert-vgg19")
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--pictures",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder or tar of photographs, over which channels are made equally loud.",
)
@click.option("--name", default="vgg19", show_default=True, help="Of the model.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("models"), show_default=True)
def convert_vgg19(weights: Path, pictures: tuple[Path, ...], name: str, out: Path) -> None:
    """Bring torchvision's VGG-19 (a .pth file) into the form of `porter style --features`.

    \b
    Example:
        porter-export convert-vgg19 vgg19-dcbb9e9d.pth --pictures photos/ --out my-models/
    """
    material = gather(None, pictures, 224)
    network = convert(weights, material.learning)
    told = {"data": ["ImageNet", f"loudness over {len(material.learning)} photographs"]}
    click.echo(str(ship(network, out, name, LICENCE, told)))
