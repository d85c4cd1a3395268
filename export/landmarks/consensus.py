"""Landmarks that many looks of a detector agree on.

A single look is a poor label: turn the picture by a few degrees, mirror it or change its size, and
the detector puts the corners of a mouth elsewhere. The median over many such looks is what remains
when that chance is taken out (as in "data distillation", Radosavovic et al., CVPR 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.vision.alignment import transform
from daemon.vision.face import MIRRORED
from export.data.faces import Face
from export.faces.composition import warp
from export.faces.teacher import Teacher
from export.keys import key_of_pictures

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

LOOKS = 16
"""At a face that is learnt from: two sets of so many looks agree on places that are 3 % of the
eye distance apart, which is averaged out over many faces."""
WIDTHS = (40.0, 140.0)
"""Pixels that the face is wide in a look."""
DEGREES = 12.0
SHIFT = 12.0
"""Pixels."""
SCORE = 0.5
"""Of a find that counts."""
ENOUGH = 0.5
"""Share of the looks that has to see the face for its landmarks to be known."""


@dataclass(frozen=True)
class Agreed:
    """What the looks say together."""

    landmarks: Array
    """(5, 2) pixels: see :data:`daemon.vision.face.LANDMARKS`."""
    spread: float
    """How far a look is from it on average, in eye distances."""


def agreed(
    image: Image, box: Sequence[float], teacher: Teacher, looks: int = LOOKS, seed: int = 0
) -> Agreed | None:
    """Look many times at one face; None where too few looks see it.

    Args:
        image: (h, w, 3) BGR.
        box: x, y, width, height of the face in pixels.
        teacher: the detector.
        looks: how many; every second one at the mirror image.
        seed: of sizes, angles and shifts.
    """
    rng = np.random.default_rng(seed)
    tried = (_look(image, box, teacher, rng, number % 2 == 1) for number in range(looks))
    seen = [each for each in tried if each is not None]
    if len(seen) < ENOUGH * looks:
        return None
    points = np.stack(seen)
    middle = np.median(points, 0).astype(np.float32)
    eyes = float(np.linalg.norm(middle[1] - middle[0]))
    away = np.linalg.norm(points - middle, axis=-1).mean()
    return Agreed(middle, float(away) / max(eyes, 1.0))


def _look(
    image: Image,
    box: Sequence[float],
    teacher: Teacher,
    rng: np.random.Generator,
    mirrored: bool,
) -> Array | None:
    x, y, width, height = box
    wide = float(np.exp(rng.uniform(*np.log(WIDTHS))))
    factor = wide / max(width, 1.0)
    side = -(-int(2 * wide * max(1.0, height / max(width, 1.0))) // 32) * 32
    turn = float(rng.uniform(-DEGREES, DEGREES))
    to = np.full(2, side / 2) + rng.uniform(-SHIFT, SHIFT, 2)
    middle, onto = (x + width / 2, y + height / 2), (float(to[0]), float(to[1]))
    view, matrix = warp(image, middle, factor, turn, onto, (side, side), cv2.BORDER_REPLICATE)
    if mirrored:
        view = np.ascontiguousarray(view[:, ::-1])
        to[0] = side - 1 - to[0]
    finds = teacher(view, (side,), SCORE)
    if not len(finds):
        return None
    off = np.linalg.norm(finds[:, :2] + finds[:, 2:4] / 2 - to, axis=1)
    best = finds[int(off.argmin())]
    if off.min() > wide / 2 or not 0.5 < best[2] / wide < 2:
        return None
    points = best[4:14].reshape(5, 2)
    if mirrored:
        points = points[list(MIRRORED)]
        points[:, 0] = side - 1 - points[:, 0]
    back = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    return transform(back, points).astype(np.float32)


def label(
    faces: Sequence[Face], teacher: Teacher, cache: Path, looks: int = LOOKS
) -> list[Agreed | None]:
    """What looks at every face agree on; kept in a folder, so that it is done once."""
    cache.mkdir(parents=True, exist_ok=True)
    boxes = [face.box for face in faces]
    kept = cache / f"{key_of_pictures(faces, boxes, teacher.mark, looks)}.npz"
    if not kept.exists():
        bar = tqdm(faces, desc=f"looks at {faces[0].source}", unit="face")
        found = [agreed(face.read(), face.box, teacher, looks) for face in bar]
        partial = kept.with_suffix(".tmp.npz")
        np.savez(
            partial,
            landmarks=np.stack([each.landmarks if each else _UNKNOWN for each in found]),
            spread=np.array([each.spread if each else np.nan for each in found], np.float32),
        )
        partial.replace(kept)
    with np.load(kept) as saved:
        landmarks, spread = saved["landmarks"], saved["spread"]
    return [
        Agreed(points, float(away)) if np.isfinite(away) else None
        for points, away in zip(landmarks, spread, strict=True)
    ]


_UNKNOWN = np.full((5, 2), np.nan, np.float32)
