"""Lists of labelled recordings: `manifest.csv` files, how they are named on a command line, read.

A manifest lies in the folder of its recordings; its paths are relative to the folder above, so that
the manifests of sibling folders can be joined. Columns: path, label, source, split, seconds,
rms_dbfs, clipped, and optionally speaker.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from daemon.audio.features import SAMPLE_RATE
from daemon.errors import SourceError

Audio = npt.NDArray[np.float32]

REQUIRED_COLUMNS = ("path", "label")
_SPEAKER_SOURCE = re.compile(r"(speaker|librispeech|fsdd)_\w+")
"""Sources that name the speaker, for manifests without a speaker column."""


@dataclass(frozen=True)
class Clip:
    """One recording of a manifest."""

    path: Path
    name: str
    """The path as the manifest has it."""
    label: str
    source: str
    split: str
    speaker: str | None

    def read(self) -> Audio:
        """Samples (n,), float32 in [-1, 1], 16 kHz, channels averaged.

        Raises:
            SourceError: the file is missing, empty or not audio.
        """
        try:
            samples, rate = sf.read(self.path, dtype="float32", always_2d=True)
        except (sf.LibsndfileError, OSError) as error:
            reason = "is missing" if not self.path.exists() else f"cannot be read: {error}"
            raise SourceError(f"{self.path}: {reason}; correct it or its manifest") from error
        if not len(samples):
            raise SourceError(f"{self.path}: holds no samples; remove it from its manifest")
        mono: Audio = samples.mean(1)
        return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)


def read_manifest(path: Path) -> list[Clip]:
    """Every clip of a manifest, in its order.

    Raises:
        SourceError: the file is missing, has no such columns, or a row without a path.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = [name for name in REQUIRED_COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise SourceError(
                    f"{path}: has no column {missing[0]!r}; a manifest needs "
                    f"{', '.join(REQUIRED_COLUMNS)}"
                )
            return [_clip(row, path, number) for number, row in enumerate(rows, 2)]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise SourceError(
            f"{path}: {reason}; name the manifest.csv of a folder of clips"
        ) from error


def _clip(row: dict[str, str | None], manifest: Path, line: int) -> Clip:
    name = row["path"]
    if not name:
        raise SourceError(f"{manifest}:{line}: the row has no path; give it one or remove it")
    source = row.get("source") or ""
    speaker = row.get("speaker") or (source if _SPEAKER_SOURCE.fullmatch(source) else None)
    return Clip(
        manifest.parent.parent / name,
        name,
        row["label"] or "",
        source,
        row.get("split") or "",
        speaker,
    )


def select(
    wanted: Iterable[str], excluded_labels: Collection[str] = (), split: str | None = None
) -> list[Clip]:
    """Clips of several manifests, each named as `MANIFEST[:label[,label...][:split]]`.

    Args:
        wanted: manifests; labels and a split keep only clips that have them.
        excluded_labels: labels to leave out everywhere.
        split: keep only this split, unless the manifest's own text names one.

    Raises:
        SourceError: a manifest cannot be read, or nothing in it matches.
    """
    chosen: list[Clip] = []
    for text in wanted:
        name, _, rest = text.partition(":")
        labels, _, own_split = rest.partition(":")
        keep, part = set(filter(None, labels.split(","))), own_split or split
        clips = read_manifest(Path(name))
        if unknown := sorted(keep - {clip.label for clip in clips}):
            raise SourceError(
                f"{name}: no clip is labelled {unknown[0]!r}; it has "
                f"{', '.join(sorted({clip.label for clip in clips}))}"
            )
        matching = [
            clip
            for clip in clips
            if (not keep or clip.label in keep)
            and clip.label not in excluded_labels
            and (not part or clip.split == part)
        ]
        if not matching:
            raise SourceError(
                f"{text}: no clip matches; look at its labels, splits and --exclude-label"
            )
        chosen += matching
    return chosen
