"""`porter daynight`: is it day or night in pictures?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.options import provider_option
from daemon.cli.parameters import config_option
from daemon.cli.pictures import (
    Skipped,
    choose,
    find_pictures,
    json_option,
    pictures_argument,
    read_all,
)
from daemon.cli.progress import progress, say

if TYPE_CHECKING:
    from daemon.inference import Provider

EPILOG = """\b
Examples:
  porter daynight street.jpg
  porter daynight pictures/ --json
  porter daynight 'webcam-*.png' | grep night

\b
Exit codes: 0 done, 65 the model is missing or damaged, 66 no picture could be used.
"""


@click.command(epilog=EPILOG)
@pictures_argument
@click.option(
    "--model",
    metavar="NAME",
    help="Name, card or ONNX file of the network; without it, light.model of the configuration.",
)
@json_option
@provider_option
@config_option
def command(
    given: tuple[Path, ...],
    model: str | None,
    as_json: bool,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Tell day from night in each PICTURE: a file, a folder, or a pattern such as '*.jpg'.

    Prints path, day or night, and the probability of that. Pictures that cannot be read are skipped
    and counted.
    """
    from daemon.config import load_config
    from daemon.vision.light.classifier import open_light
    from daemon.vision.light.prepare import LABELS

    config = load_config(path)
    classifier = open_light(
        config.light.model if model is None else model,
        choose(provider, config.inference.provider),
        config.inference.threads,
    )
    card, skipped, found = classifier.card, Skipped(), []
    paths = find_pictures(given, skipped)
    total = len(paths) + len(skipped.messages)
    with progress(paths, "looking") as bar:
        for place, image in read_all(bar, skipped):
            night = classifier.probability(image)
            light = LABELS[night >= card.threshold]
            if as_json:
                found.append({"picture": str(place), "light": light, "night": round(night, 4)})
            else:
                sure = night if light == "night" else 1 - night
                say(f"{place}  {light}  {sure:.3f}")
    if as_json:
        facts = {
            "model": f"{card.name} {card.version}",
            "threshold": card.threshold,
            "pictures": found,
            "skipped": skipped.messages,
        }
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    skipped.sum_up(total)
