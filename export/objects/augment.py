"""Batches cut from pictures on the device: scaled, shifted, mirrored, four in one, in other light.

A sample is a square that a point divides into four fields, each of which shows a picture of its own
(the mosaic of YOLOv4, arXiv:2004.10934); where the point is the lower right corner, one picture
fills the square.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from export.objects.material import GREY, Pictures

KEPT_SHARE = 0.3
"""A box of which less is left after cutting counts no longer."""
SMALLEST = 4.0
"""Pixels of the sides of the smallest box that counts."""
MOST_BOXES = 60
"""In one sample."""


@dataclass
class Batch:
    """Samples and what they show."""

    images: Tensor
    """(n, 3, side, side) float, BGR in 0 to 1."""
    boxes: Tensor
    """(n, m, 4), left, top, right, bottom in pixels."""
    labels: Tensor
    """(n, m)."""
    scores: Tensor
    """(n, m); 0 where there is no box."""


@dataclass(frozen=True)
class Augmentation:
    """How much a sample may differ from its pictures."""

    mosaic: float = 0.6
    """Share of samples that show four pictures."""
    smallest: float = 0.5
    """Factor on a picture's size, at least."""
    largest: float = 1.5
    light: float = 0.3
    """Brightness, contrast and saturation are changed by up to this share."""
    grey: float = 0.05
    """Share of samples without colour."""


def draw(
    pictures: Pictures,
    chosen: Tensor,
    side: int,
    how: Augmentation,
    dice: torch.Generator,
) -> Batch:
    """Cut a batch.

    Args:
        pictures: where from, on the device.
        chosen: (n, 4) numbers of pictures, one for each field.
        side: of the samples, in pixels.
        how: much they may differ.
        dice: a generator on the device.
    """
    n, device = len(chosen), pictures.images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(*shape, device=device).uniform_(low, high, generator=dice)

    four = uniform(0, 1, n) < how.mosaic
    middle = uniform(0.25 * side, 0.75 * side, n, 2)
    middle = torch.where(four[:, None], middle, torch.full_like(middle, side))
    images = torch.zeros(n, 3, side, side, device=device)
    boxes, labels, scores = [], [], []
    for field in range(4):
        shown = torch.arange(n, device=device) if field == 0 else four.nonzero().flatten()
        if not len(shown):
            continue
        part = pictures.part(chosen[shown, field])
        right, low = field % 2, field // 2
        m = middle[shown]
        start = torch.stack([m[:, 0] * right, m[:, 1] * low], 1)
        end = torch.stack(
            [m[:, 0] if not right else torch.full_like(m[:, 0], side),
             m[:, 1] if not low else torch.full_like(m[:, 1], side)], 1
        )  # fmt: skip
        scale = _scale(part, side, four[shown], how, uniform)
        size = part.sizes * scale[:, None]
        loose = side - size
        anywhere = torch.minimum(loose, loose * 0) + loose.abs() * uniform(0, 1, len(shown), 2)
        towards = torch.stack(
            [m[:, 0] if right else m[:, 0] - size[:, 0], m[:, 1] if low else m[:, 1] - size[:, 1]],
            1,
        )
        corner = torch.where(four[shown][:, None], towards, anywhere)
        mirrored = uniform(0, 1, len(shown)) < 0.5
        field_images = _sample(part, corner, scale, mirrored, side)
        inside = _mask(start, end, side)
        images[shown] = torch.where(inside, field_images, images[shown])
        cut, kept = _cut(part, corner, scale, mirrored, start, end)
        all_boxes = torch.zeros(n, cut.shape[1], 4, device=device)
        all_labels = torch.zeros(n, cut.shape[1], dtype=torch.long, device=device)
        all_scores = torch.zeros(n, cut.shape[1], device=device)
        all_boxes[shown], all_labels[shown], all_scores[shown] = cut, part.labels, kept
        boxes.append(all_boxes)
        labels.append(all_labels)
        scores.append(all_scores)
    best, order = torch.cat(scores, 1).sort(1, descending=True)
    order = order[:, :MOST_BOXES]
    most = max(1, int((best[:, :MOST_BOXES] > 0).sum(1).max()))
    order = order[:, :most]
    return Batch(
        _light(images, how, uniform),
        torch.cat(boxes, 1).gather(1, order[..., None].expand(-1, -1, 4)),
        torch.cat(labels, 1).gather(1, order),
        best[:, :most],
    )


def plain(pictures: Pictures) -> Batch:
    """Pictures as they are, as a detector that runs sees them."""
    return Batch(pictures.images.float() / 255, pictures.boxes, pictures.labels, pictures.scores)


def _scale(part: Pictures, side: int, four: Tensor, how: Augmentation, uniform: object) -> Tensor:
    """(n,): a picture that fills the square has 1 before chance; a field of a mosaic has 0.75."""
    assert callable(uniform)
    fitting = side / part.sizes.amax(1)
    chance: Tensor = torch.exp(
        uniform(
            torch.log(torch.tensor(how.smallest)).item(),
            torch.log(torch.tensor(how.largest)).item(),
            len(part),
        )
    )
    return fitting * chance * torch.where(four, 0.75, 1.0)


def _sample(part: Pictures, corner: Tensor, scale: Tensor, mirrored: Tensor, side: int) -> Tensor:
    """Pictures drawn with their corner at a place: (n, 3, side, side), 0 where there is none."""
    stored = part.images.shape[-1]
    sign = torch.where(mirrored, -1.0, 1.0)
    # Source x of an output pixel's middle X: (X - corner) / scale, counted from the other side of
    # the picture if it is mirrored; then in grid_sample's unit, -1 to 1 over the stored square.
    theta = torch.zeros(len(part), 2, 3, device=corner.device)
    step = 1 / scale
    first_x = (side / 2 - corner[:, 0]) * step
    first_x = torch.where(mirrored, part.sizes[:, 0] - first_x, first_x)
    theta[:, 0, 0] = sign * step * side / stored
    theta[:, 0, 2] = 2 * first_x / stored - 1
    theta[:, 1, 1] = step * side / stored
    theta[:, 1, 2] = 2 * (side / 2 - corner[:, 1]) * step / stored - 1
    grid = F.affine_grid(theta, [len(part), 3, side, side], align_corners=False)
    return F.grid_sample(part.images.float() - GREY, grid, "bilinear", "zeros", False)


def _mask(start: Tensor, end: Tensor, side: int) -> Tensor:
    """(n, 1, side, side): where a field is."""
    middles = torch.arange(side, device=start.device) + 0.5
    x = (middles >= start[:, :1]) & (middles < end[:, :1])
    y = (middles >= start[:, 1:]) & (middles < end[:, 1:])
    return (y[:, :, None] & x[:, None, :])[:, None]


def _cut(
    part: Pictures, corner: Tensor, scale: Tensor, mirrored: Tensor, start: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """Boxes of a field in pixels of the sample, and their scores, 0 where too little is left."""
    boxes = part.boxes
    width = part.sizes[:, None, :1]
    turned = torch.cat(
        [width - boxes[..., 2:3], boxes[..., 1:2], width - boxes[..., :1], boxes[..., 3:]], -1
    )
    boxes = torch.where(mirrored[:, None, None], turned, boxes)
    moved = boxes * scale[:, None, None] + corner.repeat(1, 2)[:, None]
    low, high = start.repeat(1, 2)[:, None], end.repeat(1, 2)[:, None]
    cut = torch.minimum(torch.maximum(moved, low), high)
    sides = cut[..., 2:] - cut[..., :2]
    whole = (moved[..., 2:] - moved[..., :2]).prod(-1)
    stays = (sides.prod(-1) > KEPT_SHARE * whole) & (sides.amin(-1) >= SMALLEST)
    return cut, torch.where(stays, part.scores, torch.zeros_like(part.scores))


def _light(images: Tensor, how: Augmentation, uniform: object) -> Tensor:
    """Pixels from -114 to 141 to BGR in 0 to 1, in another light."""
    assert callable(uniform)
    n, amount = len(images), how.light
    grey = images.mean(1, keepdim=True)
    colour = uniform(1 - 2 * amount, 1 + 2 * amount, n, 1, 1, 1)
    colour = torch.where(uniform(0, 1, n, 1, 1, 1) < how.grey, torch.zeros_like(colour), colour)
    tint = uniform(1 - amount / 4, 1 + amount / 4, n, 3, 1, 1)
    contrast = uniform(1 - amount, 1 + amount, n, 1, 1, 1)
    lift = uniform(-127.5 * amount, 127.5 * amount, n, 1, 1, 1)
    changed = (grey + (images - grey) * colour) * tint * contrast + lift
    result: Tensor = ((changed + GREY) / 255).clamp(0, 1)
    return result
