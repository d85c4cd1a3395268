"""Files that only Porter may read, made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import OutputError


def make_folder(folder: Path) -> None:
    """Make a folder for this user alone, with those above it.

    What root makes belongs to the owner of the folder above: the service has to read it, too.

    Raises:
        OutputError: it cannot be made.
    """
    with plain_failures(folder):
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            for each in reversed(missing):
                owner = each.parent.stat()
                os.chown(each, owner.st_uid, owner.st_gid)


def publish(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Make a file of mode 0600, at once with all its content.

    Args:
        path: of the file; its folder exists.
        content: what it shall hold.
        replace: whether to take the place of a file that is there. Else that one stays, untouched.

    Raises:
        OutputError: it cannot be made.
    """
    with plain_failures(path):
        draft = drafted(path)
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            settle(draft, path, replace=replace)
        finally:
            draft.unlink(missing_ok=True)


def drafted(path: Path) -> Path:
    """A name beside a file, for what is to become it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def settle(draft: Path, path: Path, *, replace: bool = False) -> None:
    """Give a finished draft its name. What root makes belongs to the folder's owner: the service
    has to read it, too."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(draft, owner.st_uid, owner.st_gid)
    if replace:
        draft.replace(path)
    else:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def plain_failures(path: Path) -> Iterator[None]:
    """Turn what the operating system says into one line that names the file."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
