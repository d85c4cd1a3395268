"""Mixed clips on disk: rendered once, heard through any trunk, shared by all words of a run."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from export.data.mixing import Databases, mix
from export.trunk.model import Trunk

SHARD = 250
"""Clips of a file."""


@dataclass
class Heard:
    """A bank as a trunk hears it."""

    steps: npt.NDArray[np.float16]
    """(clips, 125, 96) embeddings, or (clips, 125, width) hypercolumns, as was asked for."""
    labels: npt.NDArray[np.int8]
    """(clips, 125, words): 1, 0 or -1 (ignored)."""


class Bank:
    """`clips` mixtures made by `databases()`, in a folder named after the recipe.

    Each holds up to `positives` of the words.
    """

    def __init__(
        self,
        folder: Path,
        clips: int,
        seed: int,
        databases: Callable[[], Databases],
        positives: int = 4,
    ) -> None:
        self.folder, self.seed, self.positives = folder, seed, positives
        self.shards = range((clips + SHARD - 1) // SHARD)
        self._databases = databases

    def render(self, processes: int) -> None:
        """Mix what is not on disk yet; a run that was cut off goes on where it stopped."""
        missing = [shard for shard in self.shards if not self.path(shard).exists()]
        if not missing:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        global _databases
        # Forked workers share the databases' memory instead of copying gigabytes.
        _databases = self._databases()
        jobs = [(self.path(shard), self.seed, shard, self.positives) for shard in missing]
        with (
            multiprocessing.get_context("fork").Pool(processes) as pool,
            tqdm(total=len(missing) * SHARD, desc="mixing", unit="clip") as bar,
        ):
            for _ in pool.imap_unordered(_render, jobs):
                bar.update(SHARD)

    def hear(self, trunk: Trunk, columns: bool = False) -> Heard:
        """Embeddings of every clip, or whole hypercolumns, kept beside it per trunk."""
        name = fingerprint(trunk) + ("-columns" if columns else "")
        heard, labels = [], []
        for shard in tqdm(self.shards, desc="listening", unit="shard"):
            with np.load(self.path(shard)) as stored:
                labels.append(stored["labels"])
                kept = self.path(shard).with_suffix(f".{name}.npy")
                if not kept.exists():
                    heard_shard = listen(trunk, stored["samples"], columns)
                    _save(kept, partial(np.save, arr=heard_shard))
            heard.append(np.load(kept))
        return Heard(np.concatenate(heard), np.concatenate(labels))

    def path(self, shard: int) -> Path:
        """File of a shard: `samples` (250, 160000) and `labels` (250, 125, words)."""
        return self.folder / f"{shard:04d}.npz"


def listen(
    trunk: Trunk, samples: npt.NDArray[np.int16], columns: bool, batch: int = 10
) -> npt.NDArray[np.float16]:
    """(clips, n) 16-bit samples to (clips, n // 1280, 96 or width), each clip from silence."""
    device = next(trunk.parameters()).device
    hear = trunk.hear if columns else trunk.stream
    heard = []
    with torch.inference_mode():
        for start in range(0, len(samples), batch):
            part = torch.from_numpy(samples[start : start + batch]).to(device).float() / 32_768
            state = [s.to(device).expand(len(part), *s.shape[1:]) for s in trunk.initial_state()]
            heard.append(hear(part, state)[0].cpu().numpy().astype(np.float16))
    return np.concatenate(heard)


def fingerprint(trunk: Trunk) -> str:
    """A name for a trunk: the hash of its weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(trunk.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


_databases: Databases | None = None


def _render(job: tuple[Path, int, int, int]) -> None:
    path, seed, shard, positives = job
    assert _databases is not None
    clips = [
        mix(_databases, np.random.default_rng([seed, shard, i]), positives) for i in range(SHARD)
    ]
    samples = np.stack([(clip.samples * 32_767).astype(np.int16) for clip in clips])
    labels = np.stack([clip.labels.astype(np.int8) for clip in clips])
    _save(path, partial(np.savez, samples=samples, labels=labels))


def _save(path: Path, write: Callable[[Path], None]) -> None:
    partial = path.with_name(f"{os.getpid()}-{path.name}")
    write(partial)
    partial.replace(path)
