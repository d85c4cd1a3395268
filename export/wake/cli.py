"""`porter-export wake`: trains wake words on a shared trunk."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click
import torch

from daemon.paths import shipped_models
from export.data.cache import cache_folder
from export.options import out_folder, out_option, terms_option
from export.trunk import train as trunk_training
from export.wake.recipe import Sources, WakeRecipe, quick, run
from export.wake.train import HeadRecipe


@click.command()
@click.option(
    "--word",
    "words",
    multiple=True,
    required=True,
    help="The word or phrase; several are trained on one set of mixtures.",
)
@out_option("NAME.onnx and its card")
@click.option(
    "--trunk",
    "trunk_path",
    type=click.Path(exists=True, path_type=Path),
    default=shipped_models() / "trunk.pt",
    show_default="the one that ships",
    help="The shared trunk, from porter-export trunk.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of recordings: speech/, negative_words/, noise/. Without: synthesis alone.",
)
@click.option(
    "--positives",
    multiple=True,
    metavar="[WORD=]DIR",
    help="Folder of real recordings of a word; WORD may be left out if there is one.",
)
@terms_option
@click.option("--hold-out", help="A speaker of the positives to keep for a test.")
@click.option(
    "--neural", default=WakeRecipe.neural, show_default=True, help="Neural utterances of each word."
)
@click.option(
    "--rivals",
    default=WakeRecipe.rivals,
    show_default=True,
    help="Neural utterances of rival words.",
)
@click.option("--clips", default=WakeRecipe.clips, show_default=True, help="Mixtures of 10 s.")
@click.option("--epochs", default=HeadRecipe.epochs, show_default=True)
@click.option(
    "--members",
    default=HeadRecipe.members,
    show_default=True,
    help="Heads whose logits are averaged.",
)
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal models.")
@click.option(
    "--quick",
    "is_quick",
    is_flag=True,
    help="A smoke test in under three minutes: few voices, no neural ones.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of mixtures and checkpoints; a run that was cut off goes on there.",
)
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
def wake(
    words: tuple[str, ...],
    out: Path | None,
    trunk_path: Path,
    data: Path | None,
    positives: tuple[str, ...],
    terms: tuple[str, ...],
    hold_out: str | None,
    neural: int,
    rivals: int,
    clips: int,
    epochs: int,
    members: int,
    seed: int,
    is_quick: bool,
    work: Path | None,
    processes: int,
) -> None:
    """Train a streaming wake word from synthetic voices, and recordings if there are some.

    \b
    Example:
        porter-export wake --word activate --data audio/ --out models/
    """
    recipe = WakeRecipe(
        words,
        neural,
        rivals,
        clips,
        seed=seed,
        head=HeadRecipe(epochs=epochs, members=members, seed=seed),
    )
    if is_quick:
        recipe = quick(words, seed)
    torch.set_num_threads(processes)
    folder = work or cache_folder() / "wake"
    out = out_folder(out, folder, quick=is_quick)
    taught_by = trunk_training.taught_by(trunk_training.recipe_of(trunk_path))
    sources = Sources(
        data, _recordings(positives, words), hold_out, folder, taught_by, processes, terms
    )
    for card in run(replace(recipe, words=words), sources, trunk_training.load(trunk_path), out):
        click.echo(str(card))


def _recordings(given: tuple[str, ...], words: tuple[str, ...]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for value in given:
        word, equals, folder = value.rpartition("=")
        if not equals and len(words) > 1:
            raise click.BadParameter(
                f"say whose recordings: {words[0]}={value}", param_hint="--positives"
            )
        if equals and word not in words:
            raise click.BadParameter(f"{word} is not a --word", param_hint="--positives")
        if not Path(folder).is_dir():
            raise click.BadParameter(f"{folder} is not a folder", param_hint="--positives")
        folders[word or words[0]] = Path(folder)
    return folders
