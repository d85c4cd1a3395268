"""Landscapes that are drawn, for a try without data: day and night differ as in photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from daemon.vision.frames import Image
from export.daynight.material import Pictures

WIDTH, HEIGHT = 128, 96


def pictures(count: int, seed: int) -> Pictures:
    """`count` of each class; the same for the same seed."""
    labels = np.repeat(np.array([0, 1], np.float32), count)
    images = [landscape(bool(night), number, seed) for number, night in enumerate(labels)]
    paths = tuple(Path(f"sketch-{number:03d}") for number in range(len(images)))
    return Pictures(paths, tuple(images), labels)


def landscape(night: bool, number: int, seed: int) -> Image:
    """A sky over ground, with hills, and clouds by day or lamps at night."""
    rng = np.random.default_rng([seed, number, int(night)])
    top, bottom = rng.uniform((60, 10, 5), (110, 45, 35), (2, 3)), rng.uniform(5, 40, 3)
    if not night:
        top, bottom = rng.uniform((180, 140, 70), 255, (2, 3)), rng.uniform(50, 160, 3)
    picture = np.linspace(top[0], top[1], HEIGHT)[:, None].repeat(WIDTH, 1).astype(np.float32)
    ridge = rng.uniform(0.35, 0.75) * HEIGHT + 12 * np.sin(
        np.arange(WIDTH) * rng.uniform(0.02, 0.12) + rng.uniform(0, 6)
    )
    picture[np.arange(HEIGHT)[:, None] > ridge] = bottom
    for _ in range(int(rng.integers(3, 14))):
        x, share = int(rng.integers(WIDTH)), rng.uniform()
        if night:
            lamp = rng.uniform((60, 150, 200), 255).tolist()
            cv2.circle(picture, (x, int(share * HEIGHT)), int(rng.integers(1, 5)), lamp, -1)
        else:
            axes = (int(rng.integers(6, 26)), int(rng.integers(3, 8)))
            cv2.ellipse(picture, (x, int(share * ridge.min())), axes, 0, 0, 360, (250,) * 3, -1)
    # Dull days and bright nights, or brightness alone would tell.
    picture *= rng.uniform(0.9, 2.4) if night else rng.uniform(0.25, 1.0)
    picture += rng.normal(0, 6, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)
