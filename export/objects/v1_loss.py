"""The loss of YOLO v1 as published (Redmon et al., arXiv:1506.02640, equation 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from daemon.vision.objects.names import CLASSES
from export.objects.augment import Batch
from export.objects.boxes import iou
from export.objects.model import BOXES, boxes_of, v1_corners

COORD = 5.0
"""Lambda_coord."""
NOOBJ = 0.5
"""Lambda_noobj."""
SURE = 0.35
"""A teacher's box counts from this score; the published loss knows no doubt."""


def v1_loss(predicted: Tensor, batch: Batch) -> Tensor:
    """Sum of squared errors, per picture.

    The cell in which an object's middle lies answers for it; of the cell's two boxes, the one that
    overlaps the object more. Its confidence shall be that overlap (IoU), all others' zero. Errors
    of a box's sides are those of their square roots. Of several objects in a cell the surest
    counts.

    Args:
        predicted: (n, rows, columns, 5 x 2 + classes) of :class:`SingleGrid`.
        batch: what is to be seen.
    """
    n, rows, columns = predicted.shape[:3]
    height, width = batch.images.shape[2:]
    size = predicted.new_tensor([width, height])
    cells = predicted.new_tensor([columns, rows])
    sure = batch.scores >= SURE
    middle = (batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2 / size * cells
    x = middle[..., 0].long().clamp(0, columns - 1)
    y = middle[..., 1].long().clamp(0, rows - 1)
    place = y * columns + x
    # The surest object of each cell: boxes come in the order of their scores.
    rank = torch.arange(place.shape[1], device=place.device).expand_as(place)
    unused = place.shape[1]
    first = torch.full((n, rows * columns), unused, device=place.device)
    first.scatter_reduce_(1, place, torch.where(sure, rank, unused), "amin")
    picture, cell = (first < unused).nonzero(as_tuple=True)
    chosen = first[picture, cell]

    flat = predicted.flatten(1, 2)
    confidence = boxes_of(flat)[..., 4]
    truth = batch.boxes[picture, chosen]
    boxes = v1_corners(predicted, height, width).flatten(1, 2)[picture, cell]
    with torch.no_grad():
        overlap, responsible = iou(boxes, truth[:, None]).max(1)
    of_box = boxes_of(flat[picture, cell])
    own = of_box[torch.arange(len(of_box), device=place.device), responsible]
    offset = middle[picture, chosen] - torch.stack([x, y], -1)[picture, chosen]
    roots = ((truth[:, 2:] - truth[:, :2]) / size).sqrt()
    coordinates = (own[:, :2] - offset).square().sum() + (own[:, 2:4] - roots).square().sum()
    seen = (own[:, 4] - overlap).square().sum()
    nothing = confidence.square().sum() - own[:, 4].square().sum()
    wanted = torch.nn.functional.one_hot(batch.labels[picture, chosen], len(CLASSES))
    classes = (flat[picture, cell, 5 * BOXES :] - wanted).square().sum()
    total: Tensor = COORD * coordinates + seen + NOOBJ * nothing + classes
    return total / n
