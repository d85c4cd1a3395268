"""Faces cut out as a detector with its errors would cut them, as a camera at a door shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from daemon.vision.alignment import similarity, transform
from daemon.vision.face import MIRRORED
from daemon.vision.landmarks import EYES, SIDE, TEMPLATE
from export.faces.composition import FaceCrop
from export.faces.degrade import degrade
from export.faces.reduction import after, reduce, resizing

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
Generator = np.random.Generator

BORDERS = (cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT)
TIGHTEST = 0.1
"""Spread of a label, in eye distances, up to which it counts in full."""


@dataclass(frozen=True)
class Labelled:
    """A picture and where its landmarks are."""

    face: FaceCrop
    landmarks: Array
    """(5, 2) pixels of the picture."""
    weight: float
    """Of its error: less where the looks that made the label disagree."""


def trusted(spread: float) -> float:
    """Weight of a label whose looks differ by so many eye distances."""
    return float(min(1.0, (TIGHTEST / max(spread, 1e-6)) ** 2))


class Cuts(Dataset[tuple[Tensor, Tensor, float]]):
    """Examples by number: the same for the same seed."""

    def __init__(self, groups: Sequence[Sequence[Labelled]], seed: int, first: int, count: int):
        """Each group of faces is drawn as often as every other."""
        self._groups = groups
        self._seed, self._first, self._count = seed, first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, float]:
        """Cut (3, SIDE, SIDE) uint8, offsets from the template (5, 2) in eye distances, weight."""
        rng = np.random.default_rng([self._seed, self._first + index])
        group = self._groups[int(rng.integers(len(self._groups)))]
        each = group[int(rng.integers(len(group)))]
        cut, offsets = cut_out(each.face.read(), each.landmarks, rng)
        image = torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1)))
        return image, torch.from_numpy(offsets), each.weight


def cut_out(image: Image, landmarks: Array, rng: Generator) -> tuple[Image, Array]:
    """A face as it will be cut out by landmarks that are off, and where they really are.

    The face is first brought to the size that it has in some camera's picture and worn there, then
    cut out of that.

    Returns:
        (SIDE, SIDE, 3) and offsets from the template, (5, 2) in eye distances.
    """
    points = landmarks.astype(np.float64)
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        points = points[list(MIRRORED)]
        points[:, 0] = image.shape[1] - 1 - points[:, 0]
    coarse = _as_found(points, rng)
    # A camera's pixels, in pixels of the cut: from far too few to more than are needed.
    factor = float(np.exp(rng.uniform(np.log(0.35), np.log(1.8))))
    side = max(16, round(SIDE * factor))
    onto = similarity(coarse, transform(resizing(side / SIDE, side / SIDE), TEMPLATE))
    scale = float(np.hypot(onto[0, 0], onto[1, 0]))
    if scale < 0.5:
        image, reduction = reduce(image, 2 * scale)
        onto = after(reduction, onto)
    border = BORDERS[int(rng.integers(len(BORDERS)))]
    grey = int(rng.integers(256))
    seen = cv2.warpAffine(
        image, onto, (side, side), borderMode=border, borderValue=(grey, grey, grey)
    )
    wide = 2.2 * EYES * side / SIDE
    seen = degrade(np.asarray(seen, np.uint8), wide, rng)
    if rng.random() < 0.15:
        _hide(seen, rng)
    cut = cv2.resize(seen, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    true = transform(similarity(coarse, TEMPLATE), points)
    return np.asarray(cut, np.uint8), ((true - TEMPLATE) / EYES).astype(np.float32)


def _as_found(points: npt.NDArray[np.float64], rng: Generator) -> npt.NDArray[np.float64]:
    """Landmarks as a detector finds them: each a little off, and all of them together."""
    eyes = max(1.0, float(np.linalg.norm(points[1] - points[0])))
    wild = 2.0 if rng.random() < 0.15 else 1.0
    middle = points.mean(0)
    turn = cv2.getRotationMatrix2D(
        (float(middle[0]), float(middle[1])),
        wild * float(rng.normal(0, 6)),
        float(np.exp(wild * rng.normal(0, 0.08))),
    )
    moved = transform(np.asarray(turn, np.float64), points) + wild * rng.normal(0, 0.07 * eyes, 2)
    found: npt.NDArray[np.float64] = moved + wild * rng.normal(0, 0.06 * eyes, (5, 2))
    return found


def _hide(image: Image, rng: Generator) -> None:
    """A hand, a scarf, a strand of hair: a patch of one colour."""
    side = image.shape[0]
    wide, high = (int(each) for each in rng.uniform(0.15, 0.45, 2) * side)
    left, top = (int(each) for each in rng.uniform(0, 0.8, 2) * side)
    image[top : top + high, left : left + wide] = rng.integers(0, 256, 3)
