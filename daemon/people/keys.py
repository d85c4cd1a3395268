"""The key that the gallery is encrypted with: where it is, and that nobody else can read it."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import GalleryError
from daemon.paths import state_directory
from daemon.people.files import make_folder, publish

KEY_BYTES = 32
CREDENTIAL = "porter.key"
"""Name of the credential in the unit: LoadCredentialEncrypted=porter.key:FILE."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key and where it came from, for messages."""

    secret: bytes = field(repr=False)
    path: Path


def load_key(path: Path | None, *, create: bool) -> Key:
    """The key of the gallery.

    Args:
        path: as configured; None takes the systemd credential, else the state directory.
        create: make a key where there is none; only right as long as there is no gallery either.

    Raises:
        GalleryError: there is no key, others can read it, or it is not 32 bytes.
    """
    credential = _credential()
    if path is None and credential is not None:
        # systemd guards its credentials itself; with an ACL their mode only looks open.
        return Key(_read(credential), credential)
    place = path or state_directory() / "gallery.key"
    if not place.exists():
        if not create:
            raise GalleryError(
                f"{place}: the key of the gallery is missing, and without it the gallery cannot be "
                "read; put it back, or set gallery.key"
            )
        make_folder(place.parent)
        publish(place, secrets.token_bytes(KEY_BYTES))
    _check_private(place)
    return Key(_read(place), place)


def _credential() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / CREDENTIAL if folder else None
    return path if path is not None and path.exists() else None


def _check_private(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise GalleryError(f"{path}: the key cannot be read: {error.strerror}") from None
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise GalleryError(
            f"{path}: others can read the key (mode {status.st_mode & 0o777:o}); "
            f"chmod 600 {path}, and make a new key if somebody may have"
        )


def _read(path: Path) -> bytes:
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise GalleryError(f"{path}: the key cannot be read: {error.strerror}") from None
    if len(secret) != KEY_BYTES:
        raise GalleryError(f"{path}: a key has {KEY_BYTES} bytes, and this file {len(secret)}")
    return secret
