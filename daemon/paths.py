"""Where things are, in a checkout and in an installed wheel alike.

Environment variables move them: `PORTER_CONFIG` names the configuration file, `PORTER_MODELS` a
folder of models that is searched before the one that ships, and `STATE_DIRECTORY`, which systemd
sets for a service, the folder of what Porter keeps.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from daemon.errors import ModelError, OutputError

SYSTEM_CONFIG = Path("/etc/porter/config.yaml")
"""The configuration of the service, used when neither `--config` nor `PORTER_CONFIG` is given."""

SYSTEM_STATE = Path("/var/lib/porter")
"""What the service keeps; whoever may write there works on the same gallery."""

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "share"
_SHARE = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def default_config() -> Path:
    """The commented configuration that ships."""
    return _SHARE / "config.yaml"


def shipped_models() -> Path:
    """The folder of models that ships."""
    return _SHARE / "models"


def model_folders() -> list[Path]:
    """Folders in which a bare model name is looked up, in order.

    Raises:
        ModelError: `$PORTER_MODELS` is no folder.
    """
    own = os.environ.get("PORTER_MODELS")
    if not own:
        return [shipped_models()]
    folder = Path(own).expanduser()
    if not folder.is_dir():
        raise ModelError(f"PORTER_MODELS: {folder}: no such folder")
    return [folder, shipped_models()]


def find_config(path: Path | None = None) -> Path:
    """The configuration file in use: `path`, `$PORTER_CONFIG`, `/etc/porter`, or what ships."""
    if path is not None:
        return path
    if named := os.environ.get("PORTER_CONFIG"):
        return Path(named).expanduser()
    return SYSTEM_CONFIG if SYSTEM_CONFIG.exists() else default_config()


def state_directory() -> Path:
    """The folder of what Porter keeps; not made yet, perhaps.

    `$STATE_DIRECTORY` (the first, if systemd gives several), else the service's own where this user
    may write it, else `~/.local/state/porter`.
    """
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if os.access(SYSTEM_STATE, os.W_OK | os.X_OK):
        return SYSTEM_STATE
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path("~/.local/state").expanduser()) / "porter"


def file_identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to, by whatever name and through links; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_whole(path: Path, data: bytes, name: str) -> None:
    """Write a file whole or not at all; one that was there before stays until then.

    Args:
        path: of the file.
        data: what it shall hold.
        name: what messages call it.

    Raises:
        OutputError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder may be none
            draft.unlink(missing_ok=True)
        raise OutputError(f"{name}: cannot be written: {error.strerror}") from None
