"""The triplet loss on likeness, as the daemon measures it: normalised against a cohort."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEAST_DEVIATION = 1e-2


def likeness(vectors: Tensor, cohort: Tensor) -> Tensor:
    """Likeness of all pairs, (n, d) and a cohort (m, d) of length 1 to (n, n).

    That of :class:`daemon.audio.words.likeness.Scale`: in deviations of the cohort's similarities,
    the mean of what both sides see.
    """
    similar, others = vectors @ vectors.T, vectors @ cohort.T
    mean, deviation = others.mean(1), others.std(1).clamp_min(LEAST_DEVIATION)
    seen = (similar - mean[:, None]) / deviation[:, None]
    return (seen + seen.T) / 2


def triplet(alike: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The triplet loss with semi-hard negatives of the batch (Schroff et al., "FaceNet", CVPR 2015,
    equation 1 and section 3.2), on likenesses instead of distances.

    Args:
        alike: (n, n) likeness of all pairs.
        labels: (n,) which word; -1 for no word, which is nobody's positive.
        margin: by how much the positive shall be more alike than the negative.

    Returns:
        The mean over the triplets; 0 if there is none.
    """
    named = labels >= 0
    same = (labels[:, None] == labels[None]) & named[:, None]
    different = ~same & named[:, None]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    anchors, positives = torch.nonzero(same & ~itself, as_tuple=True)
    if not len(anchors):
        return alike.sum() * 0
    near = alike[anchors, positives]
    with torch.no_grad():
        candidates, allowed = alike[anchors], different[anchors]
        beyond = allowed & (candidates < near[:, None])
        hardest = candidates.masked_fill(~beyond, -torch.inf).argmax(1)
        easiest = candidates.masked_fill(~allowed, torch.inf).argmin(1)
        chosen = torch.where(beyond.any(1), hardest, easiest)
    return functional.relu(alike[anchors, chosen] - near + margin).mean()
