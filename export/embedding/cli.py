"""`porter-export embed`: trains the face encoder, or converts another one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from export.cli import existing_folder
from export.data.cache import cache_folder
from export.data.faces import Face, select
from export.data.lfw import read_pairs
from export.embedding import package
from export.embedding.crops import crops_key, kept_crops
from export.embedding.evaluate import peers
from export.embedding.material import Sources, check_enough, finder_of, gather, read
from export.embedding.model import DIMENSION
from export.embedding.publish import calibrate_converted, candidate, keep_apart, measure, publish
from export.embedding.recipe import DEFAULT_STEPS, VARIANTS, in_order, network, steps_of, variant
from export.embedding.targets import principal
from export.embedding.teachers import VectorStore, open_teachers
from export.embedding.train import train
from export.keys import key
from export.options import data_option, out_folder, out_option, precision_option, terms_option


@click.command()
@data_option
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME[:PART,...]",
    help="A prepared set; of its parts train, calibration and test only those named.",
)
@click.option(
    "--pictures",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of pictures with a sub-folder for each person: what you have rights to.",
)
@click.option(
    "--more",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of unnamed faces that only serve to learn from; needs a teacher.",
)
@click.option(
    "--finder",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YuNet (ONNX), which finds the landmarks of pictures in folders.",
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    metavar="MODEL[:WEIGHT]",
    help="`dlib`, or an encoder's ONNX file. None: triplets alone.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(list(VARIANTS)),
    help="Recipes to train, in this order; `margin` goes on from `distilled`, `compressed` from "
    "dlib's weights.",
)
@click.option(
    "--steps",
    multiple=True,
    metavar="[VARIANT=]N",
    help=f"Steps of training, of all variants or of one. [default: {DEFAULT_STEPS}]",
)
@precision_option
@click.option("--quick", is_flag=True, help="A network of no use in two minutes: is all in place?")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of checkpoints and logs; a run that was cut off goes on from there.",
)
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
@click.option(
    "--convert",
    metavar="dlib|FILE",
    help="Train nothing: bring dlib's network or a bare MobileFaceNet into the daemon's form. "
    "Thresholds are measured on the people kept apart in --pictures or --data; those of dlib are "
    "known without.",
)
@click.option(
    "--choose-on",
    nargs=2,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="TAR PAIRS",
    help="Labelled pairs, as LFW's view 1, to choose the best variant by; else the calibration "
    "part decides.",
)
@terms_option
@out_option("face.onnx and its card")
def embed(
    data: Path | None,
    sets: tuple[str, ...],
    pictures: tuple[Path, ...],
    more: tuple[Path, ...],
    finder: Path | None,
    teachers: tuple[str, ...],
    variants: tuple[str, ...],
    steps: tuple[str, ...],
    precision: str,
    quick: bool,
    seed: int,
    work: Path | None,
    processes: int,
    convert: str | None,
    choose_on: tuple[Path, Path] | None,
    terms: tuple[str, ...],
    out: Path | None,
) -> None:
    """Train the face encoder and write it with its card.

    \b
    Examples:
        porter-export embed --pictures people/ --finder yunet.onnx --teacher dlib
        porter-export embed --convert dlib --out models/
    """
    existing_folder(data, "--data")
    for each in (*pictures, *more):
        existing_folder(each, "--pictures/--more")
    folder = work or cache_folder() / "embed"
    out = out_folder(out, folder, quick=quick and convert is None)
    cache = cache_folder() / "faces"
    store = VectorStore(cache / "vectors")
    if convert is not None:
        known: list[Face] = []
        if data or pictures:
            known, _ = read(Sources(data, sets, pictures, (), finder), cache)
            check_enough(select(known, "calibration"), select(known, "test"))
        if convert == "dlib":
            card = package.convert_dlib(package.dlib_weights(), out)
        else:
            card = package.convert_mobilefacenet(Path(convert), out)
        if known:
            card = calibrate_converted(card, known, store)
        click.echo(f"{card.path}")
        return
    torch.set_num_threads(max(1, processes))
    names = in_order(variants or (("distilled", "margin") if teachers else ("triplet",)), teachers)
    opened = open_teachers(teachers, cache / "teachers")
    material = gather(Sources(data, sets, pictures, more, finder), opened, store, cache)
    crops = kept_crops(material.train, cache)
    pairs = None
    if choose_on is not None:
        pairs = read_pairs(*choose_on, finder_of(finder))
    held = keep_apart(material, opened, store, pairs)
    figures = {system.name: measure(system, held, store) for system in peers(opened)}
    candidates = []
    faces = crops_key(material.train), [face.identity for face in material.train]
    runs: dict[str | None, Path] = {}
    for name in names:
        chosen = variant(name, steps_of(name, steps), quick)
        recipe = replace(chosen.recipe, seed=seed, precision=precision)
        chosen = replace(chosen, recipe=recipe)
        taught = None if name == "triplet" else material.taught
        targets = None
        if taught is not None:
            project = principal(taught, DIMENSION, recipe.kept_centre, recipe.flattened)
            targets = project(taught)
        before = runs.get(chosen.goes_on_from)
        decided = key(chosen, quick, *faces, targets, before.name if before else None)
        runs[name] = folder / f"{name}-{decided}"
        net = train(
            recipe,
            network(chosen, crops, targets, quick),
            np.array(chosen.input.template),
            material.train,
            crops,
            targets,
            runs[name],
            before / "encoder.pt" if before else None,
        )
        candidates.append(candidate(name, chosen, net, runs[name], held, store))
        figures[name] = candidates[-1].figures
        click.echo(f"{name}: {figures[name]}")
    best = max(candidates, key=lambda each: each.merit)
    click.echo(publish(best, figures, material, held, store, out, terms, opened))
