"""Progress bars on standard error, and the lines that are printed while one is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from tqdm import tqdm

ItemT = TypeVar("ItemT")


@contextmanager
def progress(
    items: Iterable[ItemT], label: str, length: int | None = None
) -> Iterator[tqdm[ItemT]]:
    """`items` under a progress bar on standard error; without one where that is no terminal.

    Args:
        items: to go through, or to be counted by `update`.
        label: of the bar.
        length: how many there are, where they do not know it themselves; None is unknown.
    """
    from tqdm import tqdm

    hidden = not sys.stderr.isatty() or (isinstance(items, Sized) and len(items) < 2)
    with tqdm(items, label, length, file=sys.stderr, disable=hidden, dynamic_ncols=True) as bar:
        yield bar


def say(line: str, *, err: bool = False) -> None:
    """Print a line; a progress bar that is shown makes room for it."""
    from tqdm import tqdm

    with tqdm.external_write_mode(sys.stderr if err else sys.stdout):
        click.echo(line, err=err)
