"""What commands over many files share: which ones, what is skipped, and where results go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from daemon.cli.progress import say
from daemon.errors import MissingExtra, SourceError
from daemon.paths import file_identity

if TYPE_CHECKING:
    from daemon.inference import Provider
    from daemon.vision.frames import Image

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


MANY_FILES = click.Path(path_type=Path, readable=False)
"""Of files, folders and patterns; one that cannot be read is no wrong usage: it is skipped."""


def pictures_argument(command: CommandT) -> CommandT:
    """Add PICTURE..., which the command gets as `given`: files, folders and patterns."""
    return click.argument("given", nargs=-1, required=True, type=MANY_FILES, metavar="PICTURE...")(
        command
    )


class Skipped:
    """Files that could not be used: a line on standard error each, and how many."""

    def __init__(self, kind: str = "picture") -> None:
        """None so far.

        Args:
            kind: of file, in the singular, for people.
        """
        self.messages: list[str] = []
        self._kind = kind

    def __call__(self, message: str) -> None:
        """Say that a file is skipped, and why; the message names it."""
        self.messages.append(message)
        say(f"{message}; skipped", err=True)

    def cut_short(self, message: str) -> None:
        """Say that a video was used up to where it ends or is damaged; it is not skipped."""
        say(f"{message}; cut short there, what comes before is used", err=True)

    def input(self, path: Path, message: str) -> None:
        """Say that a folder or pattern is skipped, and why."""
        self(f"{path}: {message}")

    def sum_up(self, total: int) -> None:
        """Say how many of all were skipped, and fail if nothing was left.

        Raises:
            SourceError: every file was skipped.
        """
        if self.messages:
            click.echo(f"{len(self.messages)} of {total} {self._kind}s skipped", err=True)
        if len(self.messages) == total:
            raise SourceError(f"no {self._kind} could be used")


def find_pictures(
    given: Iterable[Path], skipped: Skipped, *, recursive: bool = False
) -> list[Path]:
    """The pictures that are meant; of several folders and patterns, empty ones are skipped.

    Raises:
        SourceError: there is no picture at all.
    """
    from daemon.vision.pictures import list_pictures

    found = list_pictures(given, recursive=recursive, skip=skipped.input)
    if not found:
        skipped.sum_up(len(skipped.messages))
    return found


def find_footage(given: Iterable[Path], skipped: Skipped) -> list[Path]:
    """The pictures and videos that are meant, as :func:`find_pictures` finds pictures.

    Raises:
        SourceError: there is neither.
    """
    from daemon.vision.footage import list_footage

    found = list_footage(given, skip=skipped.input)
    if not found:
        skipped.sum_up(len(skipped.messages))
    return found


def read_all(paths: Iterable[Path], skipped: Skipped) -> Iterator[tuple[Path, Image]]:
    """Each picture that can be read, with its path."""
    from daemon.vision.pictures import read_image

    for path in paths:
        try:
            image = read_image(path)
        except SourceError as error:
            skipped(str(error))
        else:
            yield path, image


def distinct_name(stem: str, suffix: str, taken: set[str]) -> str:
    """`stem` and `suffix`, with a number between them if that is taken; takes the name."""
    name, number = stem + suffix, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    taken.add(name)
    return name


def check_apart(
    outputs: Mapping[str, Path | None], read: Iterable[Path], what: str = "pictures"
) -> None:
    """Refuse to write over a file that is read, or two outputs into one file.

    Args:
        outputs: the file of each option, if it was given.
        read: files that are read.
        what: those are, for people.

    Raises:
        click.BadParameter: one of the options.
    """
    looked_at = {file_identity(each) for each in read} - {None}
    taken: dict[Path | tuple[int, int], str] = {}
    for option, file in outputs.items():
        if file is None:
            continue
        identity = file_identity(file)
        if identity in looked_at:
            problem = f"{file} is one of the {what}; name another file"
            raise click.BadParameter(problem, param_hint=option)
        other = taken.setdefault(identity or file.resolve(), option)
        if other != option:
            problem = f"{file} is the file of {other}, too; name another file"
            raise click.BadParameter(problem, param_hint=option)


def make_folder(folder: Path) -> None:
    """Make a folder for what is written, if it is not there.

    Raises:
        OutputError: it cannot be made, or nothing can be written into it.
    """
    import os

    from daemon.errors import OutputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: nothing can be written into this folder")


def require_desk(wanted: str) -> None:
    """Say how to install what the extra `desk` brings, before any work is done.

    Args:
        wanted: the command that needs it.

    Raises:
        MissingExtra: it is not installed.
    """
    from importlib.util import find_spec

    missing = [name for name in ("sklearn", "scipy", "matplotlib") if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{wanted} needs {', '.join(missing)}", "desk")


def choose(provider: Provider | None, configured: Provider) -> list[str]:
    """Execution providers for `--provider`, or as configured.

    Raises:
        ConfigError: CUDA is asked for and does not work here.
    """
    from daemon.inference import choose_providers

    if provider is not None:
        return choose_providers(provider, "--provider")
    return choose_providers(configured)
