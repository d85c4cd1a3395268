"""How well, and how fast, day is told from night, beside mean brightness, in one run.

    python -m bench.daynight daynight/val webcams/test

Each folder has `day/` and `night/`. The threshold on brightness is chosen on `--learn`, a folder
that the network learnt from, as the network's weights were. A look is timed as the daemon does it:
a camera picture of 640x480 in, one probability out, one thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.common import json_option, machine, plain_errors, show, table
from daemon.inference import CPU
from daemon.vision.light.classifier import open_light
from export.daynight.evaluate import Share, brightness, brightness_threshold, measured, timed
from export.daynight.material import read


@click.command()
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER...",
)
@click.option("--model", default="daynight", show_default=True, help="Name, card or ONNX file.")
@click.option(
    "--learn",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder on which the threshold of mean brightness is chosen; without it, no such row.",
)
@json_option
def main(folders: tuple[Path, ...], model: str, learn: Path | None, as_json: bool) -> None:
    """Accuracy on folders of labelled pictures, and milliseconds for a picture."""
    with plain_errors():
        classifier = open_light(model, [CPU])
        cut = None
        if learn is not None:
            known = read([learn], _skip)
            cut = brightness_threshold(brightness(known.images), known.labels)
        facts: dict[str, Any] = {"machine": machine(), "folders": {}}
        rows = []
        for folder in folders:
            pictures = read([folder], _skip)
            said = [classifier.probability(each) for each in pictures.images]
            found = {"network": np.array(said, np.float32)}
            if cut is not None:
                found["brightness"] = (brightness(pictures.images) < cut).astype(np.float32)
            told = {name: measured(each, pictures.labels) for name, each in found.items()}
            facts["folders"][str(folder)] = told
            for name, each in told.items():
                right = Share(each["right"], each["of"])
                rows.append([folder, name, right, f"{each['day']:.3f}", f"{each['night']:.3f}"])
        facts["milliseconds"] = timed(classifier)
    text = table(["folder", "by", "right", "of day", "of night"], rows)
    parts = ", ".join(f"{name} {value:.3f} ms" for name, value in facts["milliseconds"].items())
    show(facts, f"{facts['machine']}\n{text}\na picture of 640x480: {parts}", as_json)


def _skip(message: str) -> None:
    click.echo(f"{message}; skipped", err=True)


if __name__ == "__main__":
    main()
