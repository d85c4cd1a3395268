"""Intersection over union of boxes as tensors: left, top, right, bottom."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TINY = 1e-7


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4) with others that broadcast against them."""
    shared = _shared(boxes, others)
    return shared / (_area(boxes) + _area(others) - shared + TINY)


def ciou(boxes: Tensor, others: Tensor) -> Tensor:
    """Complete IoU (arXiv:1911.08287): less where middles are apart and proportions differ."""
    plain = iou(boxes, others)
    low = torch.minimum(boxes[..., :2], others[..., :2])
    high = torch.maximum(boxes[..., 2:], others[..., 2:])
    diagonal = (high - low).square().sum(-1) + TINY
    apart = (boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:]).square().sum(-1)
    slant = [torch.atan(_width(each) / (_height(each) + TINY)) for each in (boxes, others)]
    differ = 4 / math.pi**2 * (slant[1] - slant[0]).square()
    with torch.no_grad():
        weight = differ / (1 - plain + differ + TINY)
    return plain - apart / 4 / diagonal - weight * differ


def _shared(boxes: Tensor, others: Tensor) -> Tensor:
    low = torch.maximum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., 2:], others[..., 2:])
    return (high - low).clamp(min=0).prod(-1)


def _width(boxes: Tensor) -> Tensor:
    return boxes[..., 2] - boxes[..., 0]


def _height(boxes: Tensor) -> Tensor:
    return boxes[..., 3] - boxes[..., 1]


def _area(boxes: Tensor) -> Tensor:
    return _width(boxes) * _height(boxes)
