"""Training pictures made anew each time: faces in backgrounds, and people where they are.

Pasted faces alone would teach the edge of the paste. So faces come with soft and with hard edges,
in their own surroundings and without, next to real people in whole pictures; and patches that are
no faces are pasted in the very same ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.face import MIRRORED
from export.faces.degrade import degrade
from export.faces.reduction import after, reduce

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
Generator = np.random.Generator
Spot = npt.NDArray[np.float64]
T = TypeVar("T")

SMALLEST = 15.0
"""Width in pixels of the smallest face that is learnt; smaller ones are left open: who learns them
takes lamps, wheels and the moon for faces."""

HARD_SHARE = 0.3
"""Of the backgrounds, how many are hard ones, once there are some."""


class FaceCrop(Protocol):
    """A picture of mostly one face, as :class:`export.data.faces.Face` is."""

    @property
    def box(self) -> tuple[float, float, float, float]: ...  # noqa: D102
    @property
    def landmarks(self) -> Array: ...  # noqa: D102
    def read(self) -> Image: ...  # noqa: D102


class Picture(Protocol):
    """A whole picture, as :class:`export.faces.scenes.Scene` is."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def faces(self) -> Array: ...  # noqa: D102
    @property
    def doubtful(self) -> Array: ...  # noqa: D102
    @property
    def hard(self) -> Array: ...  # noqa: D102
    def read(self) -> Image: ...  # noqa: D102


@dataclass(frozen=True)
class Material:
    """What training pictures are made of."""

    crops: Sequence[Sequence[FaceCrop]]
    """By source: each source is drawn equally often, however many pictures it has."""
    people: Sequence[Picture]
    """Pictures with faces in them."""
    backgrounds: Sequence[Picture]
    """Pictures without."""
    hard: Sequence[Picture] = ()
    """Those of them that a network saw faces in: drawn more often."""


@dataclass
class Sample:
    """A picture and its labels."""

    image: Image
    """(s, s, 3)."""
    faces: Array = field(default_factory=lambda: np.zeros((0, 14), np.float32))
    """(n, 14) boxes and landmarks in pixels."""
    open: Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """(m, 4) boxes in which nothing is learnt unless a face is there."""


def compose(
    material: Material, side: int, rng: Generator, tiled: float = 0.15, whole: float = 0.35
) -> Sample:
    """A training picture of side x side pixels.

    Args:
        material: what to draw from.
        side: in pixels.
        rng: drawn from.
        tiled: share of pictures that are tiled with many faces.
        whole: share of parts of whole pictures with people in them.
    """
    kind = rng.random()
    if kind < whole and material.people:
        sample = _view(_draw(material.people, rng), side, rng)
    elif kind < whole + tiled:
        sample = _tiles(material, side, rng)
    else:
        sample = pasted(material, side, rng)
    if rng.random() < 0.5:
        sample = mirror(sample)
    sample = settle(sample)
    widths = sample.faces[:, 2]
    smallest = float(widths.min()) if len(widths) else float(rng.uniform(12, 80))
    sample.image = degrade(sample.image, smallest, rng)
    return sample


def mirror(sample: Sample) -> Sample:
    """Left and right exchanged."""
    width = sample.image.shape[1]
    faces, left_open = sample.faces.copy(), sample.open.copy()
    faces[:, 0] = width - faces[:, 0] - faces[:, 2]
    left_open[:, 0] = width - left_open[:, 0] - left_open[:, 2]
    points = faces[:, 4:].reshape(-1, 5, 2)[:, list(MIRRORED)]
    points[:, :, 0] = width - 1 - points[:, :, 0]
    faces[:, 4:] = points.reshape(-1, 10)
    return Sample(np.ascontiguousarray(sample.image[:, ::-1]), faces, left_open)


def turn(faces: Array, matrix: npt.NDArray[np.float64]) -> Array:
    """Faces (n, 14) after an affine map (2, 3) of uniform scale.

    A box becomes the upright box around the turned ellipse that filled it.
    """
    scale, sine = np.hypot(*matrix[:, 0]), matrix[1, 0]
    cosine2 = (matrix[0, 0] / scale) ** 2
    sine2 = (sine / scale) ** 2
    middle = (faces[:, :2] + faces[:, 2:4] / 2) @ matrix[:, :2].T + matrix[:, 2]
    half = scale * faces[:, 2:4] / 2
    wide = np.sqrt(half[:, 0] ** 2 * cosine2 + half[:, 1] ** 2 * sine2)
    high = np.sqrt(half[:, 0] ** 2 * sine2 + half[:, 1] ** 2 * cosine2)
    size = np.stack([wide, high], 1) * 2
    points = faces[:, 4:].reshape(-1, 5, 2) @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([middle - size / 2, size, points.reshape(-1, 10)], 1).astype(np.float32)


def _draw(things: Sequence[T], rng: Generator) -> T:
    return things[int(rng.integers(len(things)))]


def _background(material: Material, rng: Generator) -> Picture:
    if material.hard and rng.random() < HARD_SHARE:
        return _draw(material.hard, rng)
    return _draw(material.backgrounds, rng)


def _size(low: float, high: float, rng: Generator) -> float:
    """Every octave is as likely as every other."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _angle(rng: Generator) -> float:
    """Degrees: mostly upright, up to 35."""
    if rng.random() < 0.4:
        return 0.0
    return float(np.clip(rng.normal(0, 14), -35, 35))


def warp(
    image: Image,
    focus: tuple[float, float],
    factor: float,
    angle: float,
    to: tuple[float, float],
    size: tuple[int, int],
    border: int,
) -> tuple[Image, npt.NDArray[np.float64]]:
    """Scale and turn about a point that goes to another; returns picture and the (2, 3) map."""
    matrix = _about(focus, factor, angle, to)
    if factor < 0.7:
        # A warp samples four pixels, whatever it skips: average first.
        image, reduction = reduce(image, factor)
        onto = after(reduction, matrix)
    else:
        onto = matrix
    warped = cv2.warpAffine(
        image, onto, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(114,) * 3
    )
    return np.asarray(warped, np.uint8), matrix


def _view(scene: Picture, side: int, rng: Generator) -> Sample:
    """A part of a whole picture, mostly around one of its faces or hard places."""
    image, faces = scene.read(), scene.faces
    height, width = image.shape[:2]
    aims = faces[:, :4] if len(faces) else scene.hard
    if len(aims) and rng.random() < 0.9:
        aim = aims[int(rng.integers(len(aims)))]
        factor = min(_size(14, side * 0.9, rng) / float(aim[2]), 2.5, 4 * side / max(height, width))
        focus = (float(aim[0] + aim[2] / 2), float(aim[1] + aim[3] / 2))
        to = (float(rng.uniform(0.15, 0.85) * side), float(rng.uniform(0.15, 0.85) * side))
    else:
        least = max(0.5, 0.7 * side / max(height, width))
        factor = _size(least, max(2.0, 1.3 * least), rng)
        focus = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
        to = (side / 2, side / 2)
    border = cv2.BORDER_CONSTANT if len(faces) else cv2.BORDER_REFLECT_101
    angle = _angle(rng) if rng.random() < 0.5 else 0.0
    warped, matrix = warp(image, focus, factor, angle, to, (side, side), border)
    places = scene.doubtful
    corners = np.concatenate([places, np.zeros((len(places), 10), np.float32)], 1)
    return Sample(warped, turn(faces, matrix), turn(corners, matrix)[:, :4])


def pasted(material: Material, side: int, rng: Generator, largest: float = 1.25) -> Sample:
    """A background with none to five faces, and patches that are none.

    Args:
        material: what to draw from.
        side: of the picture, in pixels.
        rng: drawn from.
        largest: width of a lone face at most, in sides of the picture; the least is 14 pixels.
    """
    sample = _view(_background(material, rng), side, rng)
    number = int(rng.choice(6, p=(0.24, 0.3, 0.2, 0.12, 0.08, 0.06)))
    widest = side * (largest if number == 1 else 0.45)
    kinds = [True] * number + [False] * int(rng.choice(4, p=(0.5, 0.25, 0.15, 0.1)))
    for is_face in rng.permutation(kinds):
        width = _size(14, widest if is_face else side * 0.5, rng)
        to = (float(rng.uniform(0, side)), float(rng.uniform(0, side)))
        if is_face:
            crops = _draw(material.crops, rng)
            _paste_face(sample, _draw(crops, rng), width, to, rng)
        else:
            _paste_other(sample, _background(material, rng), width, to, rng)
    return sample


def _tiles(material: Material, side: int, rng: Generator) -> Sample:
    """A grid of crops and of patches that are no faces, each with its own surroundings."""
    sample = Sample(np.full((side, side, 3), int(rng.integers(256)), np.uint8))
    across = int(rng.choice((1, 2, 3, 4, 6), p=(0.25, 0.3, 0.25, 0.12, 0.08)))
    edges = np.linspace(0, side, across + 1).astype(int)
    for place in range(across * across):
        left, top = edges[place % across], edges[place // across]
        wide, high = edges[place % across + 1] - left, edges[place // across + 1] - top
        cell = max(wide, high)
        if rng.random() < 0.75:
            crop = _draw(_draw(material.crops, rng), rng)
            tile = settle(_filling(crop, cell, rng))
        else:
            tile = settle(_view(_background(material, rng), cell, rng))
        sample.image[top : top + high, left : left + wide] = tile.image[:high, :wide]
        tile.faces[:, :2] += (left, top)
        tile.faces[:, 4:] += np.tile((left, top), 5)
        tile.open[:, :2] += (left, top)
        sample.faces = np.concatenate([sample.faces, tile.faces])
        sample.open = np.concatenate([sample.open, tile.open])
    return sample


def _filling(crop: FaceCrop, side: int, rng: Generator) -> Sample:
    """A face crop that about fills a square."""
    image, row = crop.read(), _row(crop)
    height, width = image.shape[:2]
    factor = side / min(height, width) * float(rng.uniform(0.9, 1.5))
    spare = max(0.0, factor * min(height, width) - side) / 2
    to = (side / 2 + rng.uniform(-spare, spare), side / 2 + rng.uniform(-spare, spare))
    warped, matrix = warp(
        image, (width / 2, height / 2), factor, _angle(rng), to, (side, side), cv2.BORDER_REPLICATE
    )
    return Sample(warped, turn(row, matrix))


def _row(crop: FaceCrop) -> Array:
    return np.concatenate([np.array(crop.box, np.float32), crop.landmarks.reshape(-1)])[None]


def _paste_face(
    sample: Sample, crop: FaceCrop, width: float, to: tuple[float, float], rng: Generator
) -> None:
    image, row = crop.read(), _row(crop)
    if rng.random() < 0.15:
        image = _occlude(image, row[0], sample.image, rng)
    x, y, w, h = map(float, row[0, :4])
    matrix = _blend(sample, image, (x, y, w, h), width / w, to, rng)
    if matrix is not None:
        sample.faces = np.concatenate([sample.faces, turn(row, matrix)])


def _paste_other(
    sample: Sample, scene: Picture, width: float, to: tuple[float, float], rng: Generator
) -> None:
    image = scene.read()
    height, length = image.shape[:2]
    if len(scene.hard) and rng.random() < 0.7:
        x, y, w, h = map(float, scene.hard[int(rng.integers(len(scene.hard)))])
    else:
        w = min(float(length), height / 1.25) * rng.uniform(0.15, 0.7)
        h = w * 1.25
        x, y = float(rng.uniform(0, length - w)), float(rng.uniform(0, height - h))
    # Of a whole picture, only what a loose crop of a face would show.
    left, top = max(0, int(x - 0.4 * w)), max(0, int(y - 0.3 * h))
    cut = image[top : int(y + 1.3 * h), left : int(x + 1.4 * w)]
    if min(cut.shape[:2]) >= 4:
        _blend(sample, np.asarray(cut), (x - left, y - top, w, h), width / w, to, rng)


def _blend(
    sample: Sample,
    image: Image,
    box: tuple[float, float, float, float],
    factor: float,
    to: tuple[float, float],
    rng: Generator,
) -> npt.NDArray[np.float64] | None:
    """Paste the box of an image with some surroundings, unless it would cover a face.

    Returns:
        The (2, 3) map from the image to the sample; None if nothing was pasted.
    """
    x, y, w, h = box
    side = sample.image.shape[0]
    focus = (x + w / 2, y + h / 2)
    angle = _angle(rng)
    warped, matrix = warp(image, focus, factor, angle, to, (side, side), cv2.BORDER_REFLECT_101)
    mask = _mask(image.shape[:2], box, rng)
    soft = np.asarray(
        cv2.warpAffine(mask, _about(focus, factor, angle, to), (side, side)), np.float32
    )
    left, top, wide, high = cv2.boundingRect((soft > 0.004).astype(np.uint8))
    place = np.array([to[0] - factor * w / 2, to[1] - factor * h / 2, factor * w, factor * h])
    if not wide or not high or _hides(sample.faces, soft, place):
        return None
    window = np.s_[top : top + high, left : left + wide]
    part, under = warped[window].astype(np.float32), sample.image[window].astype(np.float32)
    alpha = soft[window][..., None]
    strength = rng.uniform(0, 0.9) if rng.random() < 0.7 else 0.0
    mean = (part * alpha).sum((0, 1)) / (alpha.sum() + 1e-6)
    ratio = np.clip((under.mean((0, 1)) + 8) / (mean + 8), 0.35, 1.9)
    part *= 1 - strength + strength * (0.6 * ratio.mean() + 0.4 * ratio)
    mixed = under + alpha * (part - under)
    sample.image[window] = np.clip(mixed, 0, 255).astype(np.uint8)
    return matrix


def _hides(faces: Array, mask: Array, place: Spot) -> bool:
    """Whether pasting would cover a face, or lie upon one.

    Args:
        faces: (n, 14) those that are there.
        mask: (h, w) of the paste, in [0, 1].
        place: (4,) box of what is pasted.
    """
    for x, y, w, h in faces[:, :4]:
        rows = slice(max(0, int(y)), max(0, int(y + h)) + 1)
        columns = slice(max(0, int(x)), max(0, int(x + w)) + 1)
        under = mask[rows, columns]
        shared = max(0.0, min(x + w, place[0] + place[2]) - max(x, place[0])) * max(
            0.0, min(y + h, place[1] + place[3]) - max(y, place[1])
        )
        if (under.size and under.mean() > 0.15) or shared > 0.3 * min(w * h, place[2] * place[3]):
            return True
    return False


def _about(
    focus: tuple[float, float], factor: float, angle: float, to: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """The (2, 3) map that scales and turns about a point, which goes to another."""
    matrix = np.asarray(cv2.getRotationMatrix2D(focus, angle, factor), np.float64)
    matrix[:, 2] += np.array(to) - np.array(focus)
    return matrix


def _mask(shape: tuple[int, ...], box: tuple[float, float, float, float], rng: Generator) -> Array:
    """What of an image is pasted, (h, w) in [0, 1]: an oval, all with soft edges, or just all."""
    height, width = shape[:2]
    x, y, w, h = box
    kind = rng.random()
    mask = np.zeros((height, width), np.float32)
    edge = max(1, round(0.02 * w))
    if kind < 0.3:
        mask[:] = 1
        return mask
    if kind < 0.5:
        mask[edge : height - edge, edge : width - edge] = 1
        return _softened(mask, float(rng.uniform(0.02, 0.08) * w))
    centre = (round(x + w / 2), round(y + h * rng.uniform(0.40, 0.48)))
    axes = (round(w * rng.uniform(0.56, 0.8)), round(h * rng.uniform(0.58, 0.85)))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1.0, -1)
    mask[:edge] = mask[-edge:] = 0
    mask[:, :edge] = mask[:, -edge:] = 0
    return _softened(mask, float(rng.uniform(0.015, 0.08) * w))


def _softened(mask: Array, sigma: float) -> Array:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)


def _occlude(image: Image, row: Array, other: Image, rng: Generator) -> Image:
    """Something over a part of the face: a scarf, a hat, a hand, a bar."""
    image = image.copy()
    height, width = image.shape[:2]
    x, y, w, h = map(float, row[:4])
    kind = rng.integers(4)
    low: Spot = np.array([x - 0.2 * w, y - 0.2 * h])
    high: Spot = np.array([x + 1.2 * w, y + 1.2 * h])
    if kind == 0:
        low[1] = row[9] + rng.uniform(-0.02, 0.2) * h  # from below the nose
    elif kind == 1:
        high[1] = min(row[5], row[7]) - rng.uniform(0.04, 0.15) * h  # to above the eyes
    elif kind == 2:
        share = rng.uniform(0.1, 0.35) * w
        if rng.random() < 0.5:
            high[0] = x + share
        else:
            low[0] = x + w - share
    else:
        middle = np.array([x + rng.uniform(0, w), y + rng.uniform(0, h)])
        half = np.array([w, h]) * rng.uniform(0.05, 0.2, 2)
        low, high = middle - half, middle + half
    left, top = (int(np.clip(v, 0, limit)) for v, limit in zip(low, (width, height)))
    right, bottom = (int(np.clip(v, 0, limit)) for v, limit in zip(high, (width, height)))
    if right - left < 2 or bottom - top < 2:
        return image
    if rng.random() < 0.5:
        fill = rng.integers(0, 256, 3)
        image[top:bottom, left:right] = fill
    else:
        size = (right - left, bottom - top)
        start = [int(rng.integers(max(1, other.shape[i] - size[1 - i]))) for i in (0, 1)]
        patch = other[start[0] : start[0] + size[1], start[1] : start[1] + size[0]]
        image[top:bottom, left:right] = cv2.resize(patch, size)
    return image


def settle(sample: Sample, smallest: float = SMALLEST, shown_at_least: float = 0.45) -> Sample:
    """Leave open what cannot be learnt: faces that are tiny, or mostly outside the picture.

    Args:
        sample: the picture.
        smallest: width in pixels of the smallest face that stays.
        shown_at_least: share of its box that has to be in the picture.
    """
    size = np.array(sample.image.shape[1::-1])
    faces = sample.faces
    if not len(faces):
        return sample
    low = np.clip(faces[:, :2], 0, size)
    high = np.clip(faces[:, :2] + faces[:, 2:4], 0, size)
    shown = (high - low).prod(1) / np.maximum(faces[:, 2:4].prod(1), 1e-6)
    middle = faces[:, :2] + faces[:, 2:4] / 2
    inside = ((middle > 0) & (middle < size)).all(1)
    learnt = (faces[:, 2] >= smallest) & (shown > shown_at_least) & inside
    left = ~learnt & (shown > 0)
    opened = np.concatenate([sample.open, faces[left, :4]])
    return Sample(sample.image, faces[learnt], opened)
