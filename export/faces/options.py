"""Options of the commands that learn from composed pictures: where those come from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cards import find_card
from export.faces.heldout import kept_out
from export.faces.material import Sources

Command = TypeVar("Command", bound=Callable[..., Any])

PLACE = click.Path(exists=True, path_type=Path)

_OPTIONS = (
    click.option(
        "--data",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder with faces/ (sets with a CSV) to learn from, and detection/, images/, "
        "daynight/: nothing like the pictures that an evaluation takes from there is learnt.",
    ),
    click.option(
        "--more-faces",
        multiple=True,
        type=PLACE,
        help="Folder of crops of faces; sub-folders are people, if there are any.",
    ),
    click.option(
        "--scenes",
        multiple=True,
        type=PLACE,
        help="Folder or tar of whole pictures, with people and without.",
    ),
    click.option(
        "--animals",
        multiple=True,
        type=PLACE,
        help="Folder or tar of pictures of animals, whose faces shall not be found.",
    ),
    click.option(
        "--teacher",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="YuNet (face_detection_yunet_*.onnx of the OpenCV zoo), which labels whole pictures.",
    ),
    click.option(
        "--persons",
        metavar="MODEL",
        default="objects",
        show_default=True,
        help="Detector of objects: where it sees a person, a picture is not taken for one without "
        "faces.",
    ),
)


def sources_options(command: Command) -> Command:
    """`--data`, `--more-faces`, `--scenes`, `--animals`, `--teacher` and
    `--persons`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


workers_option = click.option(
    "--workers",
    default=max(1, (os.cpu_count() or 2) - 1),
    show_default=True,
    help="Processes that make pictures.",
)


def sources_of(
    data: Path | None,
    more_faces: tuple[Path, ...],
    scenes: tuple[Path, ...],
    animals: tuple[Path, ...],
    teacher: Path | None,
    persons: str,
) -> Sources:
    """What the options say, without what an evaluation shows.

    Raises:
        click.UsageError: there is nothing to learn from.
        ModelError: there is no such detector of persons.
    """
    if teacher is None or not (data or more_faces) or not scenes:
        raise click.UsageError(
            "give --teacher, --scenes, and --data or --more-faces; or --quick for a smoke test"
        )
    whole, part = kept_out(data) if data is not None else ((), ())
    faces = data / "faces" if data is not None else None
    return Sources(faces, more_faces, scenes, animals, whole, part, teacher, find_card(persons))
