"""Which cells learn which face, and how far their predictions are from it.

Cells are assigned by how well they already predict (task alignment: Feng et al., "TOOD", ICCV
2021, in the form of YOLOv8), among those whose stride suits the size of the face. Scores learn the
overlap of their box (varifocal loss: Zhang et al., "VarifocalNet", CVPR 2021), boxes by complete
IoU (Zheng et al., AAAI 2020), landmarks by a smooth L1 in units of the box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from daemon.vision.priors import LARGEST, STRIDES

SUITS = {8: (0.0, 80.0), 16: (28.0, 180.0), 32: (72.0, math.inf)}
"""Geometric mean of width and height, in pixels, of the faces that a stride may learn."""
CANDIDATES = 9
"""Cells that learn one face."""
SCORE_POWER, OVERLAP_POWER = 0.5, 5.0
"""Of score and overlap in the alignment of a cell with a face."""
FOCUS = 2.0
"""Exponent of the varifocal loss for cells without a face."""
SMOOTH = 0.02
"""Landmark error, in sides of the box, below which the loss is quadratic."""


@dataclass(frozen=True)
class Labels:
    """Of a batch, padded to the picture with the most."""

    faces: Tensor
    """(n, m, 14) boxes and landmarks in pixels."""
    real: Tensor
    """(n, m) bool: which are no padding."""
    open: Tensor
    """(n, k, 4) boxes where no cell learns that there is nothing; padding has no size."""


@dataclass(frozen=True)
class Weights:
    """Of the parts of the loss."""

    score: float = 1.0
    nothing: float = 0.75
    """Of cells without a face, within the score: more of it makes fewer false faces."""
    box: float = 2.0
    landmarks: float = 8.0


@dataclass(frozen=True)
class Loss:
    """The sum and its parts."""

    total: Tensor
    score: float
    box: float
    landmarks: float


def decode(codes: Tensor, cells: Tensor) -> Tensor:
    """Codes (n, 14, cells) to faces (n, cells, 14): :func:`daemon.vision.priors.decode`."""
    codes = codes.transpose(1, 2)
    middle, side = cells[:, :2], cells[:, 2:]
    size = codes[..., 2:4].clamp(max=LARGEST).exp() * side
    corner = codes[..., :2] * side + middle - size / 2
    points = codes[..., 4:] * side + middle.repeat(1, 5)
    return torch.cat([corner, size, points], -1)


def loss(predicted: Tensor, labels: Labels, cells: Tensor, weights: Weights) -> Loss:
    """How far a batch is from its labels.

    Args:
        predicted: (n, 15, cells) of the network.
        labels: of the pictures.
        cells: (cells, 3), as :func:`daemon.vision.priors.cells` gives them.
        weights: of the parts.
    """
    logits = predicted[:, 0]
    faces = decode(predicted[:, 1:], cells)
    with torch.no_grad():
        quality, chosen = assign(logits.sigmoid(), faces, labels, cells)
        free = ~_inside(cells, labels.open).any(1)
    target = quality
    probability = logits.sigmoid()
    weight = torch.where(
        target > 0, target, weights.nothing * probability.detach().pow(FOCUS) * free
    )
    norm = target.sum().clamp(min=1)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    score = (entropy * weight).sum() / norm
    picture, cell = torch.nonzero(target > 0, as_tuple=True)
    wanted = labels.faces[picture, chosen[picture, cell]]
    given, share = faces[picture, cell], target[picture, cell]
    box = ((1 - complete_iou(given[:, :4], wanted[:, :4])) * share).sum() / norm
    side = wanted[:, 2:4].prod(1, keepdim=True).sqrt()
    off = functional.smooth_l1_loss(
        given[:, 4:] / side, wanted[:, 4:] / side, reduction="none", beta=SMOOTH
    )
    points = (off.mean(1) * share).sum() / norm
    total = weights.score * score + weights.box * box + weights.landmarks * points
    return Loss(total, float(score.detach()), float(box.detach()), float(points.detach()))


def assign(scores: Tensor, faces: Tensor, labels: Labels, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Give every face its cells.

    Args:
        scores: (n, cells) in [0, 1].
        faces: (n, cells, 14) predictions in pixels.
        labels: of the pictures.
        cells: (cells, 3).

    Returns:
        The score that every cell shall have, (n, cells), 0 for no face; and the face that it
        learns, (n, cells), meaningless where the score is 0.
    """
    number = labels.faces.shape[1]
    if not number:
        return torch.zeros_like(scores), torch.zeros_like(scores, dtype=torch.long)
    boxes = labels.faces[..., :4]
    overlaps = iou(boxes[:, :, None], faces[:, None, :, :4]).clamp(min=0)
    size = boxes[..., 2:].prod(-1).clamp(min=1e-6).sqrt()
    suits = torch.zeros(*size.shape, len(cells), dtype=torch.bool, device=size.device)
    for stride in STRIDES:
        low, high = SUITS[stride]
        suits |= ((size > low) & (size < high))[..., None] & (cells[:, 2] == stride)
    near = _inside(cells, _core(boxes)) & suits & labels.real[..., None]
    # An untrained network overlaps nothing: a floor lets the nearest cells begin.
    distance = (cells[:, :2] - (boxes[..., :2] + boxes[..., 2:] / 2)[:, :, None]).norm(dim=-1)
    start = 1e-4 / (1 + distance / size[..., None])
    alignment = (
        scores[:, None].pow(SCORE_POWER) * overlaps.pow(OVERLAP_POWER) + start * 1e-3
    ) * near
    best = alignment.topk(min(CANDIDATES, len(cells)), dim=-1)
    taken = torch.zeros_like(alignment).scatter_(-1, best.indices, 1.0) * (alignment > 0)
    # A cell that several faces want learns the one that it overlaps most.
    wanted = torch.where(taken > 0, overlaps + 1e-6, torch.zeros_like(overlaps))
    strongest, chosen = wanted.max(1)
    owned = taken * functional.one_hot(chosen, number).transpose(1, 2) * (strongest > 0)[:, None]
    aligned = alignment * owned
    top = aligned.amax(-1, keepdim=True)
    top_overlap = (overlaps * owned).amax(-1, keepdim=True)
    # The best cell of a face shall score its overlap, and not less than lets it begin.
    quality = (aligned / (top + 1e-12) * top_overlap.clamp(min=0.1)).amax(1)
    return quality, chosen


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes x, y, w, h that are paired by broadcasting."""
    low = torch.maximum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., :2] + boxes[..., 2:], others[..., :2] + others[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared / (boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared + 1e-6)


def complete_iou(given: Tensor, wanted: Tensor) -> Tensor:
    """CIoU of paired boxes (n, 4): overlap, less the distance of middles and of aspects."""
    overlap = iou(given, wanted)
    low = torch.minimum(given[:, :2], wanted[:, :2])
    high = torch.maximum(given[:, :2] + given[:, 2:], wanted[:, :2] + wanted[:, 2:])
    diagonal = (high - low).square().sum(1) + 1e-6
    apart = (given[:, :2] + given[:, 2:] / 2 - wanted[:, :2] - wanted[:, 2:] / 2).square().sum(1)
    angle = torch.atan(wanted[:, 2] / wanted[:, 3].clamp(min=1e-6)) - torch.atan(
        given[:, 2] / given[:, 3].clamp(min=1e-6)
    )
    aspect = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        share = aspect / (1 - overlap + aspect + 1e-6)
    return overlap - apart / diagonal - share * aspect


def _core(boxes: Tensor) -> Tensor:
    """The middle part of boxes, in which a cell may learn the face; never without a cell."""
    size = (0.7 * boxes[..., 2:]).clamp(min=1.2 * min(STRIDES))
    return torch.cat([boxes[..., :2] + boxes[..., 2:] / 2 - size / 2, size], -1)


def _inside(cells: Tensor, boxes: Tensor) -> Tensor:
    """Whether the middle of each cell lies in each box: (n, k, 4) to (n, k, cells)."""
    low, high = boxes[..., None, :2], (boxes[..., :2] + boxes[..., 2:])[..., None, :]
    middle = cells[:, :2]
    return ((middle > low) & (middle < high)).all(-1)
