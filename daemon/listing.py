"""Which files are meant by names, folders and patterns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from glob import glob, has_magic
from pathlib import Path

from daemon.errors import SourceError

Skip = Callable[[Path, str], None]
"""Is told which of several names stands for no file, and why."""


def list_files(
    given: Iterable[Path],
    suffixes: Collection[str],
    what: str,
    *,
    recursive: bool = False,
    skip: Skip | None = None,
) -> list[Path]:
    """The files that are meant: files as they are, of folders those that fit, in order of names.

    Patterns such as `*.jpg` are resolved, too, for where no shell did. Nothing is listed twice. A
    file that is named may be called what it likes.

    Args:
        given: files, folders and patterns.
        suffixes: of the files that are taken from a folder, in lower case.
        what: they are, for people.
        recursive: whether folders inside of folders count, too; links to folders do not.
        skip: is told of a folder or pattern among others that stands for nothing, instead of an
            error.

    Raises:
        SourceError: a folder cannot be listed or holds none, or nothing fits a pattern.
    """
    files: dict[Path, None] = {}
    given = list(given)
    for path in given:
        try:
            files |= dict.fromkeys(_meant(path, suffixes, what, recursive=recursive))
        except SourceError as error:
            if skip is None or len(given) == 1:
                raise
            skip(path, str(error).removeprefix(f"{path}: "))
    return list(files)


def _meant(path: Path, suffixes: Collection[str], what: str, *, recursive: bool) -> list[Path]:
    if path.is_dir():
        return files_of(path, suffixes, what, recursive=recursive)
    if not has_magic(str(path)) or path.exists():
        return [path]
    # Path.glob takes no absolute patterns.
    found = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207
    if not found:
        raise SourceError(f"{path}: no file fits this pattern")
    return found


def files_of(
    folder: Path, suffixes: Collection[str], what: str, *, recursive: bool = False
) -> list[Path]:
    """The files of a folder that fit, in the order of their names; of folders inside if asked.

    Raises:
        SourceError: it cannot be listed or holds none.
    """
    try:
        entries = sorted(folder.rglob("*") if recursive else folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed: {error.strerror}") from None
    found = [each for each in entries if each.suffix.lower() in suffixes]
    if not found:
        raise SourceError(f"{folder}: holds no {what} ({', '.join(sorted(suffixes))})")
    return found
