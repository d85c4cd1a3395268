"""Looks for what a network takes for faces in pictures without any, to show it that again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from export.faces.composition import Picture
from export.faces.evaluate import Finder
from export.faces.heldout import WIDTH, camera_size
from export.faces.scenes import Scene

SCORE = 0.4
"""From which a false find is worth a lesson."""
WORST = 3
"""Finds of one picture that are kept: the surest."""


def mine(
    finder: Finder, pictures: Sequence[Picture], count: int, seed: int, kept: Path
) -> list[Scene]:
    """Those of `count` pictures without faces in which there are false finds, with their places.

    Args:
        finder: the network.
        pictures: without faces.
        count: how many to look at, drawn at random.
        seed: of the draw.
        kept: JSON file of what was found: a run that was cut off does not look again.
    """
    order = np.random.default_rng([seed, 7]).permutation(len(pictures))[:count]
    scenes = {int(n): scene for n in order if isinstance(scene := pictures[int(n)], Scene)}
    if not kept.exists():
        bar = tqdm(scenes.items(), desc="mining false faces", unit="picture")
        found = {str(place): _false(finder, scene) for place, scene in bar}
        partial = kept.with_suffix(".tmp")
        partial.write_text(json.dumps(found), encoding="utf-8")
        partial.replace(kept)
    places = json.loads(kept.read_text(encoding="utf-8"))
    return [
        replace(scenes[int(place)], hard=np.array(boxes, np.float32))
        for place, boxes in places.items()
        if boxes
    ]


def _false(finder: Finder, scene: Scene) -> list[list[float]]:
    """The surest finds in a picture without faces, x, y, w, h in its pixels."""
    image = scene.read()
    finds = finder(camera_size(image))
    boxes = finds[finds[:, 14] >= SCORE, :4][:WORST] * (max(image.shape[:2]) / WIDTH)
    return [[round(float(value), 1) for value in box] for box in boxes]
