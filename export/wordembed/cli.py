"""`porter-export wordembed`: trains the network that compares words."""

from __future__ import annotations

import os
from pathlib import Path

import click
import torch

from daemon.paths import shipped_models
from export.data.cache import cache_folder
from export.options import out_folder, out_option
from export.trunk import train as trunk_training
from export.wordembed.recipe import Sources, WordRecipe, quick, run
from export.wordembed.train import EncoderRecipe


@click.command()
@click.option(
    "--trunk",
    "trunk_path",
    type=click.Path(exists=True, path_type=Path),
    default=shipped_models() / "trunk.pt",
    show_default="the one that ships",
    help="The trunk of the wake models that the words shall be heard beside.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of recordings: speech/, negative_words/, noise/. Without: synthesis alone.",
)
@out_option("wordembed.onnx and its card")
@click.option(
    "--neural", default=WordRecipe.neural, show_default=True, help="Neural voices a word."
)
@click.option("--clips", default=WordRecipe.clips, show_default=True, help="Mixtures of 10 s.")
@click.option("--steps", default=EncoderRecipe.steps, show_default=True, help="Batches.")
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal models.")
@click.option("--quick", "is_quick", is_flag=True, help="A smoke test: no neural voices.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of mixtures and checkpoints; a run that was cut off goes on there.",
)
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
def wordembed(
    trunk_path: Path,
    data: Path | None,
    out: Path | None,
    neural: int,
    clips: int,
    steps: int,
    seed: int,
    is_quick: bool,
    work: Path | None,
    processes: int,
) -> None:
    """Train the network that compares words, for wake words from three recordings.

    Mixtures are kept, and serve any trunk: after another `porter-export trunk` only listening and
    learning are done again, which takes minutes.

    \b
    Example:
        porter-export wordembed --data audio/ --out models/
    """
    encoder = EncoderRecipe(steps=steps, seed=seed)
    recipe = WordRecipe(neural=neural, clips=clips, encoder=encoder, seed=seed)
    if is_quick:
        recipe = quick(seed)
    torch.set_num_threads(processes)
    work = work or cache_folder() / "wordembed"
    out = out_folder(out, work, quick=is_quick)
    sources = Sources(data, work, processes)
    click.echo(str(run(recipe, sources, trunk_training.load(trunk_path), out)))
