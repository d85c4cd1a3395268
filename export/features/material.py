"""Pictures to learn from, squares of equal size in memory."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from daemon.errors import SourceError
from export.faces.scenes import Scene, listed

UNKNOWN = -1
"""Class of a picture without a label."""


@dataclass(frozen=True)
class Pictures:
    """Squares and what is on them."""

    images: Tensor
    """(n, 3, side, side) RGB, uint8."""
    labels: Tensor
    """(n,) number of the class, or :data:`UNKNOWN`."""

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: str) -> Pictures:
        """The same on another device."""
        return Pictures(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Material:
    """What a network learns from, and what it is checked on."""

    learning: Pictures
    checking: Pictures
    classes: tuple[str, ...]


def gather(labelled: Path | None, more: Sequence[Path], side: int) -> Material:
    """Read everything.

    Args:
        labelled: a tar of pictures with a CSV beside it: path, label, split (train or val).
        more: folders and tars of pictures without labels, to learn from.
        side: of the squares, in pixels.

    Pictures that cannot be read are named and skipped.

    Raises:
        SourceError: a folder or a tar cannot be read, or there is no picture to learn from.
    """
    learning: list[tuple[Scene, int]] = []
    checking: list[tuple[Scene, int]] = []
    classes: list[str] = []
    if labelled is not None:
        rows = _rows(labelled.with_suffix(".csv"))
        classes = sorted({label for label, _ in rows.values()})
        for scene in listed(labelled):
            if scene.name in rows:
                label, split = rows[scene.name]
                part = learning if split == "train" else checking
                part.append((scene, classes.index(label)))
    for place in more:
        learning += [(scene, UNKNOWN) for scene in listed(place)]
    if not learning:
        raise SourceError("no pictures to learn from; give --labelled TAR or --pictures PLACE")
    material = Material(_read(learning, side), _read(checking, side), tuple(classes))
    if not len(material.learning):
        raise SourceError("no picture to learn from could be read")
    return material


def _rows(path: Path) -> dict[str, tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["path"]: (row["label"], row["split"]) for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise SourceError(f"{path}: no CSV with path, label and split: {error}") from None


def _read(chosen: Sequence[tuple[Scene, int]], side: int) -> Pictures:
    """Those that can be read; the others are named."""
    images = np.zeros((len(chosen), side, side, 3), np.uint8)
    labels: list[int] = []
    for scene, label in tqdm(chosen, desc="reading", unit="picture", leave=False):
        try:
            images[len(labels)] = square(scene.read(), side)
        except SourceError as error:
            tqdm.write(f"{error}; skipped", file=sys.stderr)
            continue
        labels.append(label)
    read = torch.from_numpy(images[: len(labels)]).permute(0, 3, 1, 2).contiguous()
    return Pictures(read, torch.tensor(labels, dtype=torch.int64))


def square(image: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """The middle of a BGR picture as a square, RGB."""
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    cut = image[top : top + short, left : left + short]
    method = cv2.INTER_AREA if short > side else cv2.INTER_LINEAR
    scaled = cv2.resize(cut, (side, side), interpolation=method)
    return np.asarray(scaled[:, :, ::-1], np.uint8)


def draw(pictures: Pictures, count: int, crop: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random parts of random pictures, on the device where these are.

    Returns:
        (count, 3, crop, crop) RGB of 0 to 1: half of them mirrored, scaled by up to a third, a
        little lighter or darker; and their labels (count,).
    """
    device = pictures.images.device
    chosen = torch.randint(len(pictures), (count,), generator=rng, device=device)
    images = pictures.images[chosen].float() / 255

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=rng, device=device)

    share = uniform(0.62, 1.0)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1] = share * mirror, share
    theta[:, 0, 2], theta[:, 1, 2] = (1 - share) * uniform(-1, 1), (1 - share) * uniform(-1, 1)
    grid = functional.affine_grid(theta, [count, 3, crop, crop], align_corners=False)
    parts = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    gain = uniform(0.8, 1.2).view(-1, 1, 1, 1)
    return (parts * gain).clamp(0, 1), pictures.labels[chosen]


def drawn(seed: int, count: int = 240, side: int = 64) -> Material:
    """Squares, discs, stripes and noise in random colours, to try whether all is in place."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, side, side, 3), np.uint8)
    labels = rng.integers(4, size=count)
    for image, label in zip(images, labels):
        image[:] = rng.integers(40, 216, 3)
        colour = tuple(int(each) for each in rng.integers(0, 256, 3))
        x, y = (int(each) for each in rng.integers(side // 3, 2 * side // 3, 2))
        size = int(rng.integers(side // 8, side // 3))
        if label == 0:
            cv2.rectangle(image, (x - size, y - size), (x + size, y + size), colour, -1)
        elif label == 1:
            cv2.circle(image, (x, y), size, colour, -1)
        elif label == 2:
            for offset in range(0, side, max(4, size // 2)):
                cv2.line(image, (offset, 0), (offset, side), colour, 2)
        else:
            image[:] = rng.integers(0, 256, image.shape)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    held = count // 5
    known = torch.from_numpy(labels)
    return Material(
        Pictures(tensor[held:], known[held:]),
        Pictures(tensor[:held], known[:held]),
        ("square", "disc", "stripes", "noise"),
    )
