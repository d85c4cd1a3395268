"""Drawn pictures for a smoke test: three of the twelve classes as plain shapes."""

from __future__ import annotations

import numpy as np
import torch

from daemon.vision.objects.names import CLASSES
from export.objects.material import MOST_BOXES, Pictures

SHAPES = {
    "person": ((20, 48), (30, 30, 220)),
    "car": ((48, 24), (220, 60, 30)),
    "dog": ((32, 32), (40, 200, 40)),
}
"""Width and height in pixels, and colour (BGR)."""


def draw_pictures(count: int, side: int, seed: int) -> Pictures:
    """Squares with one to three coloured rectangles on noise; a class has its form and colour."""
    rng = np.random.default_rng(seed)
    images = np.empty((count, 3, side, side), np.uint8)
    boxes = torch.zeros(count, MOST_BOXES, 4)
    labels = torch.zeros(count, MOST_BOXES, dtype=torch.long)
    scores = torch.zeros(count, MOST_BOXES)
    for number in range(count):
        ground = rng.integers(60, 180, (3, 1, 1)) + rng.normal(0, 6, (3, side, side))
        for place in range(int(rng.integers(1, 4))):
            name = str(rng.choice(list(SHAPES)))
            size, colour = SHAPES[name]
            width, height = (int(each * rng.uniform(0.7, 1.4)) for each in size)
            x, y = int(rng.integers(side - width)), int(rng.integers(side - height))
            ground[:, y : y + height, x : x + width] = np.reshape(colour, (3, 1, 1))
            boxes[number, place] = torch.tensor([x, y, x + width, y + height])
            labels[number, place] = CLASSES.index(name)
            scores[number, place] = 0.9
        images[number] = ground.clip(0, 255)
    sizes = torch.full((count, 2), float(side))
    return Pictures(sizes, boxes, labels, scores, torch.from_numpy(images))
