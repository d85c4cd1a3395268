"""Sound files as whole recordings: which ones are meant, and their samples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.audio.file import FAST_HOPS, FileSource
from daemon.errors import SourceError
from daemon.listing import Skip, list_files

Array = npt.NDArray[np.float32]

SUFFIXES = {".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
"""Files that are taken from a folder; one that is named may be called what it likes."""


def list_recordings(given: Iterable[Path], *, skip: Skip | None = None) -> list[Path]:
    """The recordings that are meant by files, folders and patterns; see :func:`list_files`.

    Raises:
        SourceError: a folder without recordings, or a pattern that nothing matches.
    """
    return list_files(given, SUFFIXES, "recordings", skip=skip)


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
    most = longest * SAMPLE_RATE + 2 * FAST_HOPS * HOP
    pcm = np.zeros(FAST_HOPS * HOP, np.float32)
    try:
        while source.read(pcm) is not None:
            blocks.append(pcm.copy())
            if len(blocks) * len(pcm) > most:
                raise SourceError(f"{path}: longer than {longest:g} s; cut it")
    finally:
        source.close()
    samples = np.concatenate(blocks)
    return samples[: max(0, len(samples) - source.padding)]
