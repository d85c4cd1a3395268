"""Options that several commands of the export stage share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
worst_option = click.option(
    "--worst",
    type=click.IntRange(1),
    default=40,
    show_default=True,
    help="Misses and false ones, each, in the error analysis.",
)
data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of prepared sets: NAME.tar with NAME.csv.",
)
scale_option = click.option(
    "--scale",
    type=click.FloatRange(0.01, 100),
    default=1.0,
    show_default=True,
    help="Steps to take, as a factor on those of the recipe.",
)
threads_option = click.option(
    "--threads", default=1, show_default=True, help="Of the network while it learns."
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="bfloat16 learns in half the time on GPUs, and on processors with AVX-512 BF16 or AMX.",
)
work_option = click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of labels and checkpoints; a run that was cut off goes on there.",
)


terms_option = click.option(
    "--terms", multiple=True, help="A line for the card: a source of the data and its terms."
)


def out_option(what: str) -> Callable[[Command], Command]:
    """Where what was trained goes; the command asks :func:`out_folder` what that means."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        show_default="models; with --quick a folder in that of --work",
        help=f"Folder for {what}.",
    )


def out_folder(out: Path | None, work: Path, *, quick: bool) -> Path:
    """Where what was trained goes: the network of a smoke test takes no place of one that ships.

    Args:
        out: as it was given; None: it was not.
        work: folder of labels and checkpoints.
        quick: whether it is a smoke test.
    """
    if out is not None:
        return out
    if not quick:
        return Path("models")
    folder = work / "quick-models"
    click.echo(f"smoke test: what is trained goes to {folder}", err=True)
    return folder


def report_option(*files: str) -> Callable[[Command], Command]:
    """Where figures and the picture of a curve go: these files, and a report."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Folder for {', '.join(files)} and report.json.",
    )


def errors_option(what: str) -> Callable[[Command], Command]:
    """Where what went wrong is shown."""
    return click.option(
        "--errors",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Folder for an error analysis: {what}.",
    )
