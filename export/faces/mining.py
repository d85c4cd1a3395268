"""Looks for what a network takes for faces in pictures without any, to show it that again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from export.faces.composition import Picture
from export.faces.evaluate import Finder
from export.faces.heldout import WIDTH, camera_size
from export.faces.scenes import Scene

SCORE = 0.15
"""From which a false find is worth a lesson."""


def mine(finder: Finder, pictures: Sequence[Picture], count: int, seed: int) -> list[Scene]:
    """Those of `count` pictures without faces in which there are false finds, with their places.

    Args:
        finder: the network.
        pictures: without faces.
        count: how many to look at, drawn at random.
        seed: of the draw.
    """
    order = np.random.default_rng([seed, 7]).permutation(len(pictures))[:count]
    hard = []
    for place in tqdm(order, desc="mining false faces", unit="picture"):
        scene = pictures[int(place)]
        if not isinstance(scene, Scene):
            continue
        image = scene.read()
        finds = finder(camera_size(image))
        boxes = finds[finds[:, 14] >= SCORE, :4] * (max(image.shape[:2]) / WIDTH)
        if len(boxes):
            hard.append(replace(scene, hard=boxes))
    return hard
