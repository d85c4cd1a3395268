"""A small network that starts as a large one: dlib's, with its widest layers cut to their rank.

Most of dlib's weights sit in the 256 channels of its last two stages, whose outputs vary in far
fewer directions. Each such convolution is written as one to those directions and a 1x1 from there
(Zhang et al., "Accelerating very deep convolutional networks for classification and detection",
IEEE PAMI 38(10), 2016: principal components of the layer's outputs). What is lost is learnt again
by distillation. dlib's weights are in the public domain (CC0), so what starts from them may be used
for anything that the pictures allow.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.embedding import dlib_net
from export.embedding.dlib_net import DlibNet

RANK = 160
"""Directions that are kept of 256."""
SIDE = 112
"""Of the faces that it takes; they are widened to the 150 pixels of the original inside."""
TEMPLATE_SCALE = SIDE / dlib_net.SIZE
RIDGE = 1e-2


class CompressedNet(nn.Module):
    """Aligned faces to unit vectors."""

    def __init__(self, net: DlibNet, dimension: int = 128) -> None:
        """Take over a network; it is changed, and shall not be used otherwise any more.

        Args:
            net: dlib's network.
            dimension: of the vectors.
        """
        super().__init__()
        self.stem = _for_porter(net.stem.conv)
        self.blocks = net.blocks
        self.head = nn.Linear(net.head.in_features, dimension)

    def pooled(self, faces: Tensor) -> Tensor:
        """Means of the last maps, (n, 256).

        Args:
            faces: (n, 3, 112, 112) RGB, (x - 127.5) / 127.5.
        """
        size = (dlib_net.SIZE, dlib_net.SIZE)
        wide = functional.interpolate(faces, size, mode="bilinear", align_corners=False)
        maps: Tensor = self.blocks(functional.max_pool2d(self.stem(wide).relu(), 3, 2))
        return maps.mean((2, 3))

    def forward(self, faces: Tensor) -> Tensor:
        """Unit vectors, (n, dimension)."""
        pooled = self.pooled(faces)
        with torch.autocast(faces.device.type, enabled=False):
            return functional.normalize(self.head(pooled.float()))

    def cut(self, faces: Tensor, rank: int = RANK) -> None:
        """Replace the widest convolutions by their principal directions.

        Args:
            faces: (n, 3, 112, 112) on which the outputs are seen.
            rank: directions that are kept.
        """
        wide = [
            (unit, unit.conv)
            for unit in self.blocks.modules()
            if isinstance(unit, dlib_net.Unit)
            and isinstance(unit.conv, nn.Conv2d)
            and unit.conv.out_channels >= 256
        ]
        seen: dict[nn.Module, Tensor] = {}
        hooks = [
            conv.register_forward_hook(
                lambda layer, _, out: seen.__setitem__(layer, out.transpose(0, 1).flatten(1))
            )
            for _, conv in wide
        ]
        with torch.inference_mode():
            self.pooled(faces)
        for hook in hooks:
            hook.remove()
        for unit, conv in wide:
            unit.conv = _low_rank(conv, seen[conv].T.clone(), rank)

    def fit_head(self, pooled: Tensor, targets: Tensor) -> None:
        """Start the head with the least squares from the pooled maps to the targets.

        Args:
            pooled: (n, 256).
            targets: (n, dimension).
        """
        centre = pooled.mean(0)
        x, y = (pooled - centre).double(), (targets - targets.mean(0)).double()
        ridge = RIDGE * x.square().sum() / x.shape[1] / len(x)
        gram = x.T @ x / len(x) + ridge * torch.eye(x.shape[1], dtype=torch.double)
        weight = torch.linalg.solve(gram, x.T @ y / len(x)).T.float()
        self.head.weight.data = weight
        self.head.bias.data = targets.mean(0) - weight @ centre


def _for_porter(stem: nn.Module) -> nn.Module:
    """The first layer for pixels as (x - 127.5) / 127.5; it has no padding, so this is exact."""
    assert isinstance(stem, nn.Conv2d)
    assert stem.bias is not None
    mean = torch.tensor(dlib_net.MEAN)
    shift = ((127.5 - mean) / dlib_net.SCALE)[None, :, None, None]
    stem.bias.data += (stem.weight.data * shift).sum((1, 2, 3))
    stem.weight.data *= 127.5 / dlib_net.SCALE
    return stem


def _low_rank(conv: nn.Conv2d, outputs: Tensor, rank: int) -> nn.Sequential:
    """A convolution as one to `rank` directions of its outputs (samples, channels) and back."""
    assert conv.bias is not None
    mean = outputs.mean(0)
    _, axes = torch.linalg.eigh((outputs - mean).T @ (outputs - mean))
    axes = axes[:, -rank:]
    into = nn.Conv2d(conv.in_channels, rank, 3, conv.stride[0], int(conv.padding[0]))
    back = nn.Conv2d(rank, conv.out_channels, 1)
    assert into.bias is not None
    assert back.bias is not None
    into.weight.data = torch.einsum("or,oikl->rikl", axes, conv.weight.data)
    into.bias.data = axes.T @ (conv.bias.data - mean)
    back.weight.data = axes[:, :, None, None].clone()
    back.bias.data = mean.clone()
    return nn.Sequential(into, back)


def prepared(crops: npt.NDArray[np.uint8]) -> Tensor:
    """Faces (n, 112, 112, 3) BGR as the networks take them, (n, 3, 112, 112)."""
    planes = np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2))
    return (torch.from_numpy(planes).float() - 127.5) / 127.5
