"""Where training keeps what is slow to make."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`porter` in `$XDG_CACHE_HOME` or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "porter"
