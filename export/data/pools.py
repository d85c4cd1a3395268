"""The three databases of a wake word: positives, negatives and backgrounds, held in memory.

Sounds are kept as 16-bit integers (an hour is 115 MB) and become float32 when drawn.
"""

from __future__ import annotations

import multiprocessing
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr
from tqdm import tqdm

from daemon.audio.features import SAMPLE_RATE
from daemon.errors import SourceError
from export.data.manifests import Clip, read_manifest
from export.data.speech import Audio, SpeechCache, Utterance, trim

Stored = npt.NDArray[np.int16]

SOUNDS = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
"""Endings of the files of a folder without a manifest."""


@dataclass
class Pool:
    """Sounds of one kind and how to draw one."""

    sounds: list[Stored] = field(default_factory=list)

    def add(self, sounds: Iterable[Audio]) -> None:
        """Keep sounds (n,) each."""
        self.sounds.extend((np.clip(s, -1, 1) * 32_767).astype(np.int16) for s in sounds)

    @property
    def seconds(self) -> float:
        """Length of all sounds together."""
        return sum(map(len, self.sounds)) / SAMPLE_RATE

    def draw(self, rng: np.random.Generator) -> Audio:
        """One whole sound (n,), each equally likely."""
        return self.sounds[int(rng.integers(len(self.sounds)))].astype(np.float32) / np.float32(
            32_768
        )

    def stretch(self, length: int, rng: np.random.Generator) -> Audio:
        """A stretch (length,) of a sound, repeated where the sound is shorter."""
        sound = self.draw(rng)
        if len(sound) <= length:
            return np.resize(sound, length).astype(np.float32)
        start = int(rng.integers(len(sound) - length + 1))
        return sound[start : start + length]


CALIBRATION_EVERY = 8
"""Of the recordings of a split, every eighth is kept from training, to set thresholds on."""


def clips(
    root: Path,
    folder: str,
    splits: Sequence[str],
    exclude: Sequence[str] = (),
    calibration: bool | None = None,
) -> list[Clip]:
    """Recordings that a folder's manifest lists in one of the splits, but for excluded labels.

    Args:
        root: folder that the paths in the manifest are relative to.
        folder: folder of the manifest.
        splits: splits to take.
        exclude: labels to leave out.
        calibration: only those kept for calibration, only the others, or (None) all.

    Raises:
        SourceError: the manifest cannot be read, or no recording is in the splits.
    """
    manifest = root / folder / "manifest.csv"
    found = [clip for clip in read_manifest(manifest) if clip.split in splits]
    if not found:
        raise SourceError(
            f"{manifest}: no recording has the split {' or '.join(splits)}; say it in the column "
            "split"
        )
    return [
        clip
        for index, clip in enumerate(found)
        if clip.label not in exclude and calibration in (None, index % CALIBRATION_EVERY == 0)
    ]


def recorded(
    root: Path,
    folder: str,
    splits: Sequence[str],
    exclude: Sequence[str] = (),
    calibration: bool | None = None,
) -> Iterable[Audio]:
    """The sound of :func:`clips`.

    Raises:
        SourceError: as there, or a recording cannot be read.
    """
    for clip in clips(root, folder, splits, exclude, calibration):
        yield clip.read()


def said_by(folders: Mapping[str, Path], hold_out: str | None) -> dict[str, list[Clip]]:
    """Recordings of wake words to learn from, by word.

    Args:
        folders: by word; each has a `manifest.csv`, of which the split `train` counts (all, if it
            names none), or sound files.
        hold_out: a speaker to leave out, kept for a test.

    Raises:
        SourceError: a folder has no recordings, or none at all is by the speaker to leave out.
    """
    found = {word: _listed(folder) for word, folder in folders.items()}
    known = {name for clips in found.values() for clip in clips for name in _who(clip)}
    if hold_out is not None and hold_out not in known:
        there = ", ".join(sorted(known)) or "no manifest.csv names any"
        raise SourceError(f"--hold-out {hold_out}: not among the speakers: {there}")
    rest = {
        word: [clip for clip in clips if hold_out not in _who(clip)]
        for word, clips in found.items()
    }
    for word, folder in folders.items():
        if not rest[word]:
            raise SourceError(f"{folder}: no recordings to learn from; name a folder with some")
    return rest


def _listed(folder: Path) -> list[Clip]:
    if (folder / "manifest.csv").exists():
        clips = read_manifest(folder / "manifest.csv")
        return [clip for clip in clips if clip.split in ("", "train")]
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS)
    return [Clip(path, path.name, "", "", "", None) for path in files]


def _who(clip: Clip) -> set[str]:
    return {name for name in (clip.speaker, clip.source) if name}


def spoken(
    utterances: Sequence[Utterance], cache: SpeechCache, processes: int = 1
) -> Iterable[Audio]:
    """Synthesised utterances (n,), those that are not in the cache made first."""
    missing = [utterance for utterance in utterances if not cache.path(utterance).exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            made = pool.imap_unordered(partial(_synthesise, cache), missing, chunksize=8)
            for _ in tqdm(made, total=len(missing), desc="speaking", unit="word"):
                pass
    for utterance in utterances:
        yield cache.get(utterance)


def _synthesise(cache: SpeechCache, utterance: Utterance) -> None:
    cache.get(utterance)


def tunes() -> list[Path]:
    """Music of Debian's games."""
    folders = (
        "wesnoth",
        "wesnoth/1.16",
        "warzone2100",
        "frozen-bubble",
        "hyperrogue",
        "singularity",
    )
    return sorted(
        path
        for folder in folders
        for path in Path("/usr/share/games", folder).rglob("*.ogg")
        if path.stat().st_size > 400_000
    )


def installed() -> list[Path]:
    """Files of Debian's packages that are learnt from: music and telephone prompts."""
    return [*tunes(), *(file for folder in _speakers() for file in _prompts_of(folder))]


def music(minutes: float, seed: int) -> Iterable[Audio]:
    """Excerpts of 30 s from the music of Debian's games, from anywhere on the system."""
    files = tunes()
    rng = np.random.default_rng(seed)
    for _ in range(int(minutes * 2) if files else 0):
        with sf.SoundFile(files[int(rng.integers(len(files)))]) as sound:
            length = min(30 * sound.samplerate, sound.frames)
            sound.seek(int(rng.integers(sound.frames - length + 1)))
            samples = sound.read(length, dtype="float32", always_2d=True).mean(axis=1)
            yield soxr.resample(samples, sound.samplerate, SAMPLE_RATE)


def prompts(seed: int, share: float = 1.0) -> Iterable[Audio]:
    """Recorded telephone prompts of five speakers (Debian's asterisk-core-sounds-*-g722)."""
    rng = np.random.default_rng(seed)
    for folder in _speakers():
        files = [path for path in _prompts_of(folder) if rng.random() < share]
        # G.722 has no header: the files of a speaker decode as one stream in one go.
        stream = b"".join(path.read_bytes() for path in files)
        decoded = subprocess.run(
            [
                "ffmpeg",
                "-v",
                "error",
                "-f",
                "g722",
                "-i",
                "-",
                "-ar",
                str(SAMPLE_RATE),
                "-ac",
                "1",
                "-f",
                "s16le",
                "-",
            ],
            input=stream,
            capture_output=True,
            check=True,
        ).stdout
        samples = np.frombuffer(decoded, np.int16).astype(np.float32) / np.float32(32_768)
        start = 0
        for path in files:
            length = path.stat().st_size * 2
            prompt = samples[start : start + length]
            start += length
            if len(prompt) > SAMPLE_RATE // 2:
                yield trim(prompt)


def _speakers() -> list[Path]:
    return sorted(Path("/usr/share/asterisk/sounds").glob("*_*"))


def _prompts_of(speaker: Path) -> list[Path]:
    return sorted(speaker.rglob("*.g722"))
