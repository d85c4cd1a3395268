"""Pictures that matplotlib draws: whether it is there, which names it can write, and writing."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.progress import say
from daemon.errors import MissingExtra
from daemon.paths import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".jpg", ".jpeg", ".pdf", ".png", ".svg", ".webp")
"""What the name of a picture may end in."""


def require_drawable(path: Path, option: str) -> None:
    """Check that a picture can be drawn and has a picture's name, before anything long begins.

    Args:
        path: of the picture.
        option: that names it.

    Raises:
        MissingExtra: matplotlib is not installed.
        click.BadParameter: the name says no format.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(
            f"{path}: no picture's name; use one of {', '.join(SUFFIXES)}", param_hint=option
        )
    if find_spec("matplotlib") is None:
        raise MissingExtra(f"{option} needs matplotlib", "plot")


def save(figure: Figure, path: Path, option: str, dpi: int) -> None:
    """Write a picture in the format that its name says, whole or not at all.

    Raises:
        OutputError: it cannot be written; a file that was there before is as it was.
    """
    drawn = BytesIO()
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        figure.savefig(drawn, format=path.suffix[1:].lower(), dpi=dpi)
    if any("Glyph" in str(each.message) for each in raised):
        say(f"{option}: {path}: letters that its font does not have are drawn as boxes", err=True)
    write_whole(path, drawn.getvalue(), f"{option}: {path}")
