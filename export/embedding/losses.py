"""What an embedding is trained for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def squared_distances(vectors: Tensor, others: Tensor) -> Tensor:
    """Squared distances of unit vectors, (n, d) and (m, d) to (n, m), 0 to 4."""
    return (2 - 2 * vectors @ others.T).clamp_min(0)


def triplet(vectors: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The triplet loss with semi-hard negatives of the batch.

    max(|a - p|^2 - |a - n|^2 + margin, 0) over all pairs of anchor and positive (Schroff et al.,
    "FaceNet", CVPR 2015, equation 1). The negative is the nearest that is farther than the positive
    (section 3.2); where there is none, the farthest of all: the hardest would let all vectors
    collapse into one.

    Args:
        vectors: (n, d) of length 1.
        labels: (n,) who it is; -1 for a stranger, who is nobody's positive.
        margin: alpha.

    Returns:
        The mean over the triplets; 0 if there is none.
    """
    distances = squared_distances(vectors, vectors)
    named = labels >= 0
    same = (labels[:, None] == labels[None]) & named[:, None] & named[None]
    # Two strangers may be one person: an anchor is always a named one.
    different = ~same & named[:, None]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    anchors, positives = torch.nonzero(same & ~itself, as_tuple=True)
    if not len(anchors):
        return vectors.sum() * 0
    near = distances[anchors, positives]
    with torch.no_grad():
        candidates = distances[anchors]
        allowed = different[anchors]
        beyond = allowed & (candidates > near[:, None])
        nearest = candidates.masked_fill(~beyond, torch.inf).argmin(1)
        farthest = candidates.masked_fill(~allowed, -torch.inf).argmax(1)
        chosen = torch.where(beyond.any(1), nearest, farthest)
        valid = allowed.any(1)
    losses = functional.relu(near - distances[anchors, chosen] + margin)[valid]
    return losses.mean() if len(losses) else vectors.sum() * 0


def distillation(vectors: Tensor, targets: Tensor) -> Tensor:
    """Mean squared distance to the teachers' unit vectors, (n, d) each."""
    return (vectors - targets).square().sum(1).mean()


def relation(vectors: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of the similarities of all pairs of a batch (Park et al., "Relational
    knowledge distillation", CVPR 2019, with similarities in place of distances)."""
    pairs = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    return (vectors @ vectors.T - targets @ targets.T)[pairs].square().mean()


class MarginSoftmax(nn.Module):
    """Softmax over people with a margin on the cosine of the right one (Wang et al., "CosFace",
    CVPR 2018)."""

    def __init__(self, people: int, dimension: int, scale: float, margin: float) -> None:
        """Start with random centres of `people` people."""
        super().__init__()
        self.centres = nn.Parameter(torch.randn(people, dimension) * 0.01)
        self.scale, self.margin = scale, margin

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of the named ones.

        Args:
            vectors: (n, dimension) of length 1.
            labels: (n,) place of the person; -1 for a stranger, who is left out.
        """
        named = labels >= 0
        if not named.any():
            return vectors.sum() * 0
        cosines = vectors[named] @ functional.normalize(self.centres).T
        right = functional.one_hot(labels[named], len(self.centres))
        return functional.cross_entropy(self.scale * (cosines - self.margin * right), labels[named])
