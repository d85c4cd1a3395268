"""The three databases of a wake word: positives, negatives and backgrounds, held in memory.

Sounds are kept as 16-bit integers (an hour is 115 MB) and become float32 when drawn.
"""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from daemon.audio.features import SAMPLE_RATE
from export.data.speech import Audio, SpeechCache, Utterance, trim

Stored = npt.NDArray[np.int16]


@dataclass
class Pool:
    """Sounds of one kind and how to draw one."""

    sounds: list[Stored] = field(default_factory=list)

    def add(self, sounds: Iterable[Audio]) -> None:
        self.sounds.extend((np.clip(s, -1, 1) * 32_767).astype(np.int16) for s in sounds)

    @property
    def seconds(self) -> float:
        return sum(map(len, self.sounds)) / SAMPLE_RATE

    def draw(self, rng: np.random.Generator) -> Audio:
        """One whole sound (n,), each equally likely."""
        return self.sounds[int(rng.integers(len(self.sounds)))].astype(np.float32) / 32_768

    def stretch(self, length: int, rng: np.random.Generator) -> Audio:
        """A stretch (length,) of a sound, repeated where the sound is shorter."""
        sound = self.draw(rng)
        if len(sound) <= length:
            return np.resize(sound, length)
        start = int(rng.integers(len(sound) - length + 1))
        return sound[start : start + length]


def read(path: Path) -> Audio:
    """Any file that libsndfile reads, as 16 kHz mono (n,)."""
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    resampled: Audio = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    return resampled


def recorded(
    root: Path, folder: str, splits: Sequence[str] = ("train",), exclude: Sequence[str] = ()
) -> Iterable[Audio]:
    """Recordings that a folder's manifest lists in one of the splits, but for excluded labels."""
    with (root / folder / "manifest.csv").open(newline="") as manifest:
        for row in csv.DictReader(manifest):
            if row["split"] in splits and row["label"] not in exclude:
                yield read(root / row["path"])


def spoken(
    utterances: Iterable[Utterance], cache: SpeechCache, ready: bool = False
) -> Iterable[Audio]:
    """Synthesised utterances; `ready` takes only those that the cache holds already."""
    for utterance in utterances:
        if not ready or cache.path(utterance).exists():
            yield cache.get(utterance)


def music(minutes: float, seed: int) -> Iterable[Audio]:
    """Excerpts of 30 s from the music of Debian's games, from anywhere on the system."""
    folders = ("wesnoth", "wesnoth/1.16", "warzone2100", "frozen-bubble", "hyperrogue", "singularity")
    files = sorted(path for folder in folders for path in Path("/usr/share/games", folder).rglob("*.ogg")
                   if path.stat().st_size > 400_000)  # fmt: skip
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
    for folder in sorted(Path("/usr/share/asterisk/sounds").glob("*_*")):
        files = [path for path in sorted(folder.rglob("*.g722")) if rng.random() < share]
        # G.722 has no header: the files of a speaker decode as one stream in one go.
        stream = b"".join(path.read_bytes() for path in files)
        decoded = subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "g722", "-i", "-", "-ar", str(SAMPLE_RATE), "-ac", "1",
             "-f", "s16le", "-"], input=stream, capture_output=True, check=True).stdout  # fmt: skip
        samples = np.frombuffer(decoded, np.int16).astype(np.float32) / 32_768
        start = 0
        for path in files:
            length = path.stat().st_size * 2
            prompt = samples[start : start + length]
            start += length
            if len(prompt) > SAMPLE_RATE // 2:
                yield trim(prompt)


def cache_folder() -> Path:
    """Where training keeps what is slow to make: `$XDG_CACHE_HOME/porter`, else `~/.cache/porter`."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "porter"
