"""Drawn faces and textures: enough to try the whole way of training where there are no pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from export.faces.composition import Material

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

SIDE = 120
"""Of a drawn face's picture, in pixels."""


def _none(columns: int) -> Array:
    return np.zeros((0, columns), np.float32)


@dataclass(frozen=True)
class Sketch:
    """An oval with two eyes, a nose and a mouth; the seed decides colours and proportions."""

    seed: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x, y, w, h in pixels."""
        x, y, w, h = self._shape()
        return float(x - w / 2), float(y - h / 2), float(w), float(h)

    @property
    def landmarks(self) -> Array:
        """(5, 2) x, y in pixels."""
        x, y, w, h = self._shape()
        offsets = [(-0.22, -0.12), (0.22, -0.12), (0, 0.08), (-0.16, 0.25), (0.16, 0.25)]
        return np.array([(x + a * w, y + b * h) for a, b in offsets], np.float32)

    def _shape(self) -> tuple[float, float, float, float]:
        rng = np.random.default_rng(self.seed)
        x, y = SIDE / 2 + rng.uniform(-8, 8, 2)
        w = float(rng.uniform(50, 64))
        return float(x), float(y), w, w * float(rng.uniform(1.15, 1.35))

    def read(self) -> Image:
        """Draw it."""
        rng = np.random.default_rng([self.seed, 1])
        x, y, w, h = self._shape()
        image = np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3), np.uint8)
        skin = np.array([0.6, 0.75, 1.0]) * rng.uniform(90, 250)
        centre = (round(x), round(y))
        cv2.ellipse(image, centre, (round(w / 2), round(h / 2)), 0, 0, 360, skin.tolist(), -1)
        points = self.landmarks.round().astype(int)
        dark = (skin * 0.25).tolist()
        for eye in points[:2]:
            cv2.ellipse(image, eye.tolist(), (6, 4), 0, 0, 360, (skin * 0 + 245).tolist(), -1)
            cv2.circle(image, eye.tolist(), 3, dark, -1)
        cv2.circle(image, points[2].tolist(), 4, (skin * 0.7).tolist(), -1)
        cv2.line(image, points[3].tolist(), points[4].tolist(), (40, 40, 160), 4)
        return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8), np.uint8)


@dataclass(frozen=True)
class Texture:
    """Gradients, ovals, bars and noise, but nothing like a face."""

    seed: int
    faces: Array = field(default_factory=lambda: _none(14))
    doubtful: Array = field(default_factory=lambda: _none(4))
    hard: Array = field(default_factory=lambda: _none(4))

    @property
    def name(self) -> str:
        """For people."""
        return f"texture {self.seed}"

    def read(self) -> Image:
        """Draw it."""
        rng = np.random.default_rng([self.seed, 2])
        image = cv2.resize(rng.integers(0, 256, (4, 5, 3)).astype(np.uint8), (320, 240))
        for _ in range(int(rng.integers(4, 16))):
            colour = rng.integers(0, 256, 3).tolist()
            x, y = (int(rng.integers(limit)) for limit in (320, 240))
            size = (int(rng.integers(4, 60)), int(rng.integers(4, 60)))
            if rng.random() < 0.5:
                cv2.ellipse(image, (x, y), size, float(rng.uniform(0, 180)), 0, 360, colour, -1)
            else:
                cv2.rectangle(image, (x, y), (x + size[0], y + size[1]), colour, -1)
        return np.asarray(image, np.uint8)


def material(seed: int, faces: int = 400, textures: int = 200) -> Material:
    """Drawn material; another seed gives other faces and textures."""
    first = seed * 1_000_000
    return Material(
        [[Sketch(first + number) for number in range(faces)]],
        [],
        [Texture(first + number) for number in range(textures)],
    )
