"""Batches cut from pictures on the device: scaled, shifted, mirrored, four in one, in other light.

A sample is a square that a point divides into four fields, each of which shows a picture of its own
(the mosaic of YOLOv4, arXiv:2004.10934); where the point is the lower right corner, one picture
fills the square.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from export.objects.material import GREY, Marks, Pictures
from export.objects.paint import Layout, paint

KEPT_SHARE = 0.3
"""A box of which less is left after cutting counts no longer."""
SMALLEST = 4.0
"""Pixels of the sides of the smallest box that counts."""
MOST_BOXES = 40
"""In one sample; of more, the surest count."""
FIELD = 0.75
"""Factor on a picture's size in a mosaic, before chance: else it would show little of it."""

Uniform = Callable[..., Tensor]
"""Numbers between two bounds, of a shape."""


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
    """Cut a batch. As many of its samples, the first, are mosaics as their share says.

    So all shapes are the same from batch to batch, and nothing waits for the device.

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

    four = round(how.mosaic * n)
    parts = []
    if four:
        middle = uniform(0.25 * side, 0.75 * side, four, 2)
        parts.append(_compose(pictures, chosen[:four], middle, side, how, uniform))
    if four < n:
        middle = torch.full((n - four, 2), float(side), device=device)
        parts.append(_compose(pictures, chosen[four:, :1], middle, side, how, uniform))
    layouts, *fields = zip(*parts, strict=True)
    boxes, labels, scores = (torch.cat(each) for each in fields)
    light = _light(n, how, uniform, device)
    shares = [len(each.middle) for each in layouts]
    if device.type == "cpu":
        shown = zip(layouts, torch.split(light, shares), strict=True)
        images = torch.cat([paint(pictures, *each, side) for each in shown])
        # Most samples show few objects, and what is compared with each costs time.
        most = max(1, int((scores > 0).sum(1).max()))
        boxes, labels, scores = boxes[:, :most], labels[:, :most], scores[:, :most]
    else:
        images = _lit(torch.cat([_sample(pictures, each, side) for each in layouts]), light)
    return Batch(images, boxes, labels, scores)


def _compose(
    pictures: Pictures,
    chosen: Tensor,
    middle: Tensor,
    side: int,
    how: Augmentation,
    uniform: Uniform,
) -> tuple[Layout, Tensor, Tensor, Tensor]:
    """Samples of one field or of four.

    Args:
        pictures: where from.
        chosen: (n, fields) numbers of pictures.
        middle: (n, 2), x and y of the point between the fields.
        side: of the samples.
        how: much they may differ.
        uniform: chance.

    Returns:
        Where pictures lie, boxes (n, m, 4), labels and scores (n, m).
    """
    n, fields = chosen.shape
    flat = pictures.marks(chosen.flatten())
    field = torch.arange(fields, device=chosen.device)
    # Whether a field lies right of and below the middle: (fields, 2), for x and y.
    beyond = torch.stack([field % 2, field // 2], 1).bool()
    point = middle[:, None].expand(n, fields, 2)
    start = torch.where(beyond, point, 0.0).flatten(0, 1)
    end = torch.where(beyond, float(side), point).flatten(0, 1)
    fitting = side / flat.sizes.amax(1)
    chance = uniform(math.log(how.smallest), math.log(how.largest), n * fields).exp()
    scale = fitting * chance * (1.0 if fields == 1 else FIELD)
    size = flat.sizes * scale[:, None]
    if fields == 1:
        loose = side - size
        corner = loose.clamp(max=0) + loose.abs() * uniform(0, 1, n, 2)
    else:
        corner = torch.where(beyond.repeat(n, 1), start, end - size)
    mirrored = uniform(0, 1, n * fields) < 0.5
    boxes, scores = _cut(flat, corner, scale, mirrored, start, end)
    best, order = scores.view(n, -1).sort(1, descending=True)
    order = order[:, :MOST_BOXES]
    return (
        Layout(chosen, corner, scale, mirrored, middle),
        boxes.view(n, -1, 4).gather(1, order[..., None].expand(-1, -1, 4)),
        flat.labels.view(n, -1).gather(1, order),
        best[:, :MOST_BOXES],
    )


def _sample(pictures: Pictures, layout: Layout, side: int) -> Tensor:
    """Pictures drawn with their corners at their places, each in its field, all at once.

    Returns:
        (n, 3, side, side), 0 to 255, grey where no picture is.
    """
    across, middle, sizes = layout.across, layout.middle, pictures.sizes[layout.chosen.flatten()]
    corner, scale, mirrored = layout.corner, layout.scale, layout.mirrored
    images = pictures.images[layout.chosen.flatten()]
    n, stored = len(middle), images.shape[-1]
    # The pictures of a sample side by side, so that one look-up draws them all.
    sheet = images.reshape(n, across, across, 3, stored, stored).permute(0, 3, 1, 4, 2, 5)
    sheet = sheet.reshape(n, 3, across * stored, across * stored).float() - GREY
    places = torch.arange(side, device=images.device) + 0.5
    # Source x and y of every column and row, for each field: (n, across, across, side).
    from_x = (places - corner[:, :1]) / scale[:, None]
    from_x = torch.where(mirrored[:, None], sizes[:, :1] - from_x, from_x)
    from_y = (places - corner[:, 1:]) / scale[:, None]
    shape = (n, across, across, side)
    limits = sizes.view(n, across, across, 2)

    def inside(source: Tensor, axis: int) -> Tensor:
        return (source >= 0) & (source <= limits[..., axis : axis + 1])

    from_x, from_y = from_x.view(shape), from_y.view(shape)
    seen_x, seen_y = inside(from_x, 0), inside(from_y, 1)
    # Half a pixel within its tile, so that no neighbour shines through.
    tile = torch.arange(across, device=images.device) * stored
    from_x = from_x.clamp(0.5, stored - 0.5) + tile[None, None, :, None]
    from_y = from_y.clamp(0.5, stored - 0.5) + tile[None, :, None, None]
    right, low = (places >= middle[:, :1]).long(), (places >= middle[:, 1:]).long()
    field = low[:, :, None] * across + right[:, None, :]
    x, y = _of_fields(from_x, field, 2), _of_fields(from_y, field, 3)
    seen = _of_fields(seen_x, field, 2) & _of_fields(seen_y, field, 3)
    grid = torch.stack([x, y], -1) * (2 / (across * stored)) - 1
    return F.grid_sample(sheet, grid, "bilinear", "zeros", False) * seen[:, None] + GREY


def _of_fields(values: Tensor, field: Tensor, repeated: int) -> Tensor:
    """Values of columns or rows, as the field of each pixel has them.

    Args:
        values: (n, across, across, side).
        field: (n, side, side), the number of each pixel's.
        repeated: 2 for values of columns, which all rows share; 3 for values of rows.

    Returns:
        (n, side, side).
    """
    n, side = values.shape[0], values.shape[-1]
    spread = values.flatten(1, 2).unsqueeze(repeated).expand(n, -1, side, side)
    return spread.gather(1, field[:, None])[:, 0]


def _cut(
    part: Marks, corner: Tensor, scale: Tensor, mirrored: Tensor, start: Tensor, end: Tensor
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


def _light(n: int, how: Augmentation, uniform: Uniform, device: torch.device) -> Tensor:
    """Other light: (n, 3, 4), by which BGR of 0 to 255, and 1, are multiplied."""
    amount = how.light
    colour = uniform(1 - 2 * amount, 1 + 2 * amount, n, 1, 1)
    colour = torch.where(uniform(0, 1, n, 1, 1) < how.grey, torch.zeros_like(colour), colour)
    tint = uniform(1 - amount / 4, 1 + amount / 4, n, 3, 1)
    contrast = uniform(1 - amount, 1 + amount, n, 1, 1)
    lift = uniform(-127.5 * amount, 127.5 * amount, n, 1, 1)
    each = colour * torch.eye(3, device=device) + (1 - colour) / 3
    mixed = each * tint * contrast
    return torch.cat([mixed, GREY + lift - GREY * mixed.sum(2, keepdim=True)], 2)


def _lit(images: Tensor, light: Tensor) -> Tensor:
    """Pixels (n, 3, side, side) from 0 to 255 to BGR in 0 to 1, in that light."""
    changed = torch.baddbmm(light[..., 3:], light[..., :3], images.flatten(2))
    return (changed.view_as(images) / 255).clamp(0, 1)
