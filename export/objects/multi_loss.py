"""The loss of the second variant: task-aligned assignment, CIoU, and a teacher's doubt as target.

Which cells learn an object is decided by what they predict (TOOD, arXiv:2108.07755): those that
score its class high and overlap it well. What they shall score is how well they overlap it, times
how sure the teacher was of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from daemon.vision.objects.names import CLASSES
from export.objects.augment import Batch
from export.objects.boxes import ciou, iou
from export.objects.model import corners

CELLS = 10
"""At most, that learn one object."""
NEAR = 16.0
"""Pixels of the sides of the smallest area in which cells may answer for an object."""
BOX = 2.5
"""Weight of the boxes' loss, with 1 for the classes'."""


@dataclass
class Assignment:
    """What each cell shall predict."""

    target: Tensor
    """(n, cells, classes): scores."""
    boxes: Tensor
    """(n, cells, 4): left, top, right, bottom in pixels, where `weight` is above 0."""
    weight: Tensor
    """(n, cells): of the box; 0 where the cell answers for nothing."""


def multi_loss(predicted: Tensor, cells: Tensor, batch: Batch) -> Tensor:
    """Loss per unit of what is to be seen.

    Args:
        predicted: (n, cells, 4 + classes) of :class:`MultiScale`.
        cells: (cells, 3), of :func:`export.objects.model.centres`.
        batch: what is to be seen.
    """
    boxes = corners(predicted[..., :4], cells)
    logits = predicted[..., 4:]
    with torch.no_grad():
        assigned = assign(logits.sigmoid(), boxes, cells, batch)
    total = assigned.weight.sum().clamp(min=1)
    classes = F.binary_cross_entropy_with_logits(logits, assigned.target, reduction="sum")
    lies = assigned.weight > 0
    off = 1 - ciou(boxes[lies], assigned.boxes[lies])
    return (classes + BOX * (off * assigned.weight[lies]).sum()) / total


def assign(scores: Tensor, boxes: Tensor, cells: Tensor, batch: Batch) -> Assignment:
    """Decide which cells learn which object.

    Args:
        scores: (n, cells, classes), 0 to 1.
        boxes: (n, cells, 4), as predicted.
        cells: (cells, 3).
        batch: with m objects in each picture.
    """
    truth, labels = batch.boxes, batch.labels
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    half = ((truth[..., 2:] - truth[..., :2]) / 2).clamp(min=NEAR / 2)
    near_x, near_y = (
        (cells[:, axis] - middle[..., axis, None]).abs() < half[..., axis, None] for axis in (0, 1)
    )
    may = near_x & near_y & (batch.scores > 0)[..., None]
    # Few cells lie in a box, so only these pairs are looked at.
    picture, mark, cell = may.nonzero(as_tuple=True)
    overlap = iou(boxes[picture, cell], truth[picture, mark])
    fit = scores[picture, cell, labels[picture, mark]].sqrt() * overlap**4
    # At the beginning nothing overlaps: then the cells nearest the middle learn.
    apart = (cells[cell, :2] - middle[picture, mark]) / half[picture, mark]
    nearness = 1e-9 / (1 + apart.square().sum(1))
    nothing = torch.zeros_like(may, dtype=scores.dtype)
    overlaps, aligned, ranked = (
        nothing.index_put((picture, mark, cell), each) for each in (overlap, fit, fit + nearness)
    )
    best = ranked.topk(min(CELLS, len(cells)), 2)
    chosen = torch.zeros_like(may).scatter_(2, best.indices, best.values > 0)
    # A cell that several objects want learns the one that it overlaps most.
    rivals = torch.where(chosen, overlaps + 1e-6, overlaps.new_zeros(()))
    most, owner = rivals.max(1)
    taken = most > 0
    chosen &= torch.zeros_like(chosen).scatter_(1, owner[:, None], True)
    highest = (aligned * chosen).amax(2, keepdim=True)
    reach = (overlaps * chosen).amax(2, keepdim=True)
    quality = aligned / (highest + 1e-9) * reach * batch.scores[:, :, None]
    weight = quality.gather(1, owner[:, None])[:, 0] * taken
    weight = torch.where(taken, weight.clamp(min=1e-3), weight)
    labels = batch.labels.gather(1, owner)
    target = F.one_hot(labels, len(CLASSES)) * weight[..., None]
    own = truth.gather(1, owner[..., None].expand(-1, -1, 4))
    return Assignment(target.to(scores.dtype), own, weight)
