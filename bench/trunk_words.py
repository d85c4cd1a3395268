"""How well words are heard on several trunks, under the same heads and on the same mixtures.

    python -m bench.trunk_words --run ~/.cache/porter/wake/NAME --trunk a.pt --trunk models/trunk.pt

Of every trunk, a committee for each word learns from the mixtures of a run of `porter-export wake`
and is measured on that run's calibration mixtures, as they are and with pink noise. No recording of
a test is heard, so a trunk may be chosen by this.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import numpy.typing as npt

from bench.common import json_option, plain_errors, show, table
from daemon.audio.features import STEP_SECONDS
from export.data.augment import active_level
from export.data.mixing import Databases
from export.trunk.train import load
from export.wake.bank import Bank, listen
from export.wake.calibrate import CANDIDATES, operating_point
from export.wake.conditions import pink
from export.wake.recipe import predict
from export.wake.train import HeadRecipe, train


@click.command()
@click.option(
    "--run",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of a run of porter-export wake, with `learn` and `calibrate`.",
)
@click.option(
    "--word",
    "words",
    multiple=True,
    default=("activate", "computer", "alexa"),
    show_default=True,
    help="The words of that run, in their order.",
)
@click.option(
    "--trunk",
    "trunks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="A trunk.pt; may be repeated.",
)
@click.option("--clips", default=4_000, show_default=True, help="Of the run, to learn from.")
@click.option("--epochs", default=HeadRecipe.epochs, show_default=True)
@click.option("--snr", default=10.0, show_default=True, help="Of the pink noise, in dB.")
@click.option("--allowed", default=3, show_default=True, help="False accepts of each word.")
@json_option
def main(
    folder: Path,
    words: tuple[str, ...],
    trunks: tuple[Path, ...],
    clips: int,
    epochs: int,
    snr: float,
    allowed: int,
    as_json: bool,
) -> None:
    """Misses of each word at a few false accepts, trunk by trunk, clean and in pink noise."""
    with plain_errors():
        learning = Bank(folder / "learn", clips, 0, lambda: Databases({}, [], []))
        clean, labels = _calibration(folder / "calibrate")
        sounds = {"as mixed": clean, f"pink noise at {snr:g} dB": _in_pink(clean, snr)}
        rows: list[tuple[str, str, str, float]] = []
        for path in trunks:
            trunk = load(path)
            heard = learning.hear(trunk)
            checked = {
                name: listen(trunk, samples, columns=False) for name, samples in sounds.items()
            }
            for column, word in enumerate(words):
                with TemporaryDirectory() as work:
                    head = train(HeadRecipe(epochs=epochs), heard, column, Path(work), word)
                for name, embeddings in checked.items():
                    misses = _misses(predict(head, embeddings), labels[:, :, column], allowed)
                    rows.append((str(path), word, name, misses))
    keys = ("trunk", "word", "condition", "misses")
    cells = [[*row[:3], f"{100 * row[3]:.1f} %"] for row in rows]
    header = [*keys[:3], f"misses at <= {allowed} false accepts"]
    facts = {"rows": [dict(zip(keys, row, strict=True)) for row in rows]}
    show(facts, table(header, cells), as_json)


def _calibration(folder: Path) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int8]]:
    samples, labels = [], []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            samples.append(stored["samples"])
            labels.append(stored["labels"])
    return np.concatenate(samples), np.concatenate(labels)


def _in_pink(clips: npt.NDArray[np.int16], snr: float) -> npt.NDArray[np.int16]:
    noisy = []
    for index, clip in enumerate(clips):
        sound = clip.astype(np.float32) / 32_768
        level = active_level(sound) * 10 ** (-snr / 20)
        sound += np.float32(level) * pink(len(sound), np.random.default_rng(index))
        noisy.append((np.clip(sound, -1, 1) * 32_767).astype(np.int16))
    return np.stack(noisy)


def _misses(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int8], allowed: int
) -> float:
    """At the lowest threshold with at most `allowed` false accepts."""
    hours = probabilities.size * STEP_SECONDS / 3600
    points = [operating_point(probabilities, labels, threshold) for threshold in CANDIDATES]
    good = [p for p in points if p.false_accepts_per_hour * hours <= allowed + 0.5]
    return (good or points[-1:])[0].miss_rate


if __name__ == "__main__":
    main()
