"""Options that the commands for feature networks and painters share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from export.options import out_option, terms_option

Command = TypeVar("Command", bound=Callable[..., Any])


def learning_options(command: Command) -> Command:
    """Add what is learnt from, for how long, and where things go."""
    options = (
        click.option(
            "--labelled",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Tar of pictures with a CSV beside it: path, label, split (train or val).",
        ),
        click.option(
            "--pictures",
            multiple=True,
            type=click.Path(exists=True, path_type=Path),
            help="Folder or tar of pictures without labels.",
        ),
        click.option(
            "--steps", type=click.IntRange(1), help="Steps to take; else those of the recipe."
        ),
        click.option(
            "--minutes",
            type=click.FloatRange(0.05),
            help="How long to learn, instead of a number of steps.",
        ),
        click.option("--batch", type=click.IntRange(1), help="Pictures in a step."),
        click.option("--crop", type=click.IntRange(32), help="Side of a picture in a step."),
        click.option("--seed", default=0, show_default=True),
        click.option("--quick", is_flag=True, help="A smoke test on drawn pictures."),
        terms_option,
        click.option("--work", type=click.Path(path_type=Path), help="Folder of weights and logs."),
        click.option("--threads", default=2, show_default=True, help="Of PyTorch, on a CPU."),
        out_option("the model and its card"),
    )
    for option in reversed(options):
        command = option(command)
    return command
