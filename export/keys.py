"""Names under which work is kept: equal only where all is equal that decides the work.

A run that was cut off goes on under its name; with another recipe, or with pictures or recordings
that changed, it has another name and begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Place = tuple[str, int, int]
"""Path, size in bytes and time of the last change, in nanoseconds."""


class Stored(Protocol):
    """A picture that lies in a file: a scene, or a crop of a face."""

    @property
    def file(self) -> Path: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102


def key(*facts: object) -> str:
    """Twelve hexadecimal digits that stand for facts.

    Args:
        facts: plain values, dataclasses and arrays, and mappings and sequences of them. A path
            stands for what lies there: a folder for all of its files, by size and last change.
    """
    told = json.dumps(facts, sort_keys=True, default=_told)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def key_of_pictures(pictures: Sequence[Stored], *facts: object) -> str:
    """A key of pictures as they are now, and of further facts.

    Args:
        pictures: where they lie decides, with the size and last change of their files.
        facts: as those of :func:`key`.
    """
    files = {file: place(file) for file in {each.file for each in pictures}}
    return key([(*files[each.file], each.name) for each in pictures], *facts)


def content(file: Path) -> str:
    """Twelve hexadecimal digits that stand for what is in a file, wherever it lies."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _told(fact: object) -> Any:
    if isinstance(fact, Path):
        if not fact.is_dir():
            return place(fact)
        # Recordings are read through links to folders, which Path.rglob does not follow.
        within = [
            file
            for folder, _, names in os.walk(fact, followlinks=True)
            for name in names
            if (file := Path(folder, name)).is_file()
        ]
        return [place(each) for each in sorted(within)]
    if is_dataclass(fact):
        return {field.name: getattr(fact, field.name) for field in fields(fact)}
    if isinstance(fact, np.ndarray):
        return [fact.dtype.str, fact.shape, hashlib.sha256(fact.tobytes()).hexdigest()]
    raise TypeError(f"{type(fact).__name__} cannot stand in a key")


def place(file: Path) -> Place:
    """Where a file lies, and its state."""
    stat = file.stat()
    return str(file.resolve()), stat.st_size, stat.st_mtime_ns
