"""Which files are meant by names, folders and patterns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from glob import glob, has_magic
from pathlib import Path

from daemon.errors import SourceError


def list_files(
    given: Iterable[Path], suffixes: Collection[str], what: str, *, recursive: bool = False
) -> list[Path]:
    """The files that are meant: files as they are, of folders those that fit, in order of names.

    Patterns such as `*.jpg` are resolved, too, for where no shell did. Nothing is listed twice. A
    file that is named may be called what it likes.

    Args:
        given: files, folders and patterns.
        suffixes: of the files that are taken from a folder, in lower case.
        what: they are, for people.
        recursive: whether folders inside of folders count, too; links to folders do not.

    Raises:
        SourceError: a folder cannot be listed or holds none, or nothing fits a pattern.
    """
    files: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            files |= dict.fromkeys(files_of(path, suffixes, what, recursive=recursive))
        elif has_magic(str(path)) and not path.exists():
            # Path.glob takes no absolute patterns.
            found = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207
            if not found:
                raise SourceError(f"{path}: no file fits this pattern")
            files |= dict.fromkeys(found)
        else:
            files[path] = None
    return list(files)


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
