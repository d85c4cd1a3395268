"""Galleries and vectors for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.people.gallery import Gallery
from daemon.people.keys import Key
from daemon.people.records import EncoderId, Template

Vector = npt.NDArray[np.float32]
ENCODER = EncoderId("face", "1", "ab" * 32)
OTHER_ENCODER = EncoderId("face", "2", "cd" * 32)


def vector(*seed: int) -> Vector:
    """A unit vector for each seed."""
    raw = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return raw / np.float32(np.linalg.norm(raw))


def near(base: Vector, distance: float, seed: int = 0) -> Vector:
    """A unit vector at a squared distance of another one."""
    aside = np.random.default_rng([seed, 99]).normal(size=len(base))
    aside -= aside @ base * base
    aside /= np.linalg.norm(aside)
    cosine = 1 - distance / 2
    return (cosine * base + np.sqrt(1 - cosine**2) * aside).astype(np.float32)


def template(*seed: int, **changes: Any) -> Template:
    facts: dict[str, Any] = {"vector": vector(*seed), "encoder": ENCODER, "source": f"{seed}.jpg"}
    return Template(**facts | changes)


def key_for(folder: Path) -> Key:
    return Key(b"k" * 32, folder / "gallery.key")


def gallery_in(folder: Path) -> Gallery:
    return Gallery(folder / "gallery.db", key_for(folder))
