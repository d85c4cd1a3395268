"""Sound files as whole recordings: which ones are meant, and their samples."""

from __future__ import annotations

from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP
from daemon.audio.file import FAST_HOPS, FileSource
from daemon.errors import SourceError

Array = npt.NDArray[np.float32]

SUFFIXES = {".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
"""Files that are taken from a folder; one that is named may be called what it likes."""


def list_recordings(given: Iterable[Path]) -> list[Path]:
    """The files that are meant: files as they are, folders and patterns in the order of names.

    Raises:
        SourceError: a folder without recordings, or a pattern that nothing matches.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
            if not inside:
                raise SourceError(f"{path}: holds no recordings ({', '.join(sorted(SUFFIXES))})")
            found += inside
        elif not path.exists() and has_magic(str(path)):
            # Path.glob takes no absolute patterns.
            matching = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207
            if not matching:
                raise SourceError(f"{path}: no file fits this pattern")
            found += matching
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def read_recording(path: Path, longest: float) -> Array:
    """Samples (n,) of a file, in [-1, 1] at 16 kHz mono.

    Args:
        path: anything that libsndfile reads.
        longest: seconds after which it is too long to be what is wanted.

    Raises:
        SourceError: missing, empty, damaged, no sound file, or longer.
    """
    source = FileSource(path, None)
    source.open()
    blocks: list[Array] = []
    pcm = np.zeros(FAST_HOPS * HOP, np.float32)
    try:
        while source.read(pcm) is not None:
            blocks.append(pcm.copy())
            if sum(map(len, blocks)) > longest * 16_000 + 2 * len(pcm):
                raise SourceError(f"{path}: longer than {longest:g} s; cut it")
    finally:
        source.close()
    samples = np.concatenate(blocks)
    return samples[: max(0, len(samples) - source.padding)]
