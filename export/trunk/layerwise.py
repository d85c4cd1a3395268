"""A start for distillation: each layer of the trunk fitted to the teacher's activations.

The teacher has half as many channels again. Layer by layer, the channels that together carry most
of the layer's variance are chosen (QR with column pivoting), and the trunk's layer is solved by
least squares to give, from what the trunk's own layer below gives, the teacher's activations of the
chosen channels, as in channel pruning by reconstruction (He, Zhang and Sun, 2017, eq. 2). Minutes
of this save hours of gradient descent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg
import torch
from torch import Tensor, nn

from export.trunk.model import Column, Trunk, centred
from export.trunk.teacher import Scale, SpeechTeacher

SAMPLES = 60_000
"""Positions (time and band) of a layer that a fit looks at."""
RIDGE = 1e-4

Array = npt.NDArray[np.float32]


@torch.inference_mode()
def fit(
    trunk: Trunk, teacher: SpeechTeacher, scale: Scale, levels: Sequence[Array], seed: int = 0
) -> None:
    """Set the weights of a trunk layer by layer.

    Args:
        trunk: is changed in place; on the CPU, where the solvers are.
        teacher: gives the activations to match.
        scale: of the embeddings that the trunk shall give.
        levels: log-mel clips (frames, 32), all of one length.
        seed: of the choice of positions.
    """
    rng = np.random.default_rng(seed)
    activations = teacher.activations(levels)
    trunk.eval()
    x = centred(torch.from_numpy(np.stack(levels)).transpose(1, 2)[:, None])
    for layer in trunk.layers():
        if isinstance(layer, Column):
            linear, rectified = next(activations)
            chosen = _leading(rectified, layer.convolution.out_channels, rng)
            _solve(layer, x, _bands_first(linear[:, chosen]), rng)
        x = layer(x)
    target, _ = next(activations)
    rows, wanted = _patches(trunk.embed, x, _bands_first(target), rng)
    weights = _least_squares(rows, scale.standard(wanted))
    trunk.embed.weight.copy_(weights[:-1].T.reshape(trunk.embed.weight.shape))
    assert trunk.embed.bias is not None
    trunk.embed.bias.copy_(weights[-1])


def _bands_first(activations: Array) -> Tensor:
    """(clips, channels, time, bands), as the teacher has it, to (clips, channels, bands, time)."""
    return torch.from_numpy(activations).transpose(2, 3)


def _leading(rectified: Array, count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    flat = rectified.transpose(0, 2, 3, 1).reshape(-1, rectified.shape[1])
    flat = flat[rng.integers(len(flat), size=min(len(flat), SAMPLES))]
    _, _, order = scipy.linalg.qr(flat - flat.mean(0), mode="economic", pivoting=True)
    return np.sort(order[:count])


def _solve(layer: Column, x: Tensor, target: Tensor, rng: np.random.Generator) -> None:
    rows, wanted = _patches(layer.convolution, x, target, rng)
    weights = _least_squares(rows, wanted)
    layer.convolution.weight.copy_(weights[:-1].T.reshape(layer.convolution.weight.shape))
    linear = rows @ weights[:-1]
    norm = layer.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(linear.mean(0))
    norm.running_var.copy_(linear.var(0))
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    norm.bias.copy_(weights[-1] + norm.running_mean)


def _patches(
    convolution: nn.Conv2d, x: Tensor, target: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """What the convolution sees at random positions, (n, inputs), and what it should give there."""
    bands, times = (int(size) for size in convolution.kernel_size)
    x = nn.functional.pad(x, (0, 0, bands // 2, bands // 2))
    count = SAMPLES
    clip = torch.from_numpy(rng.integers(target.shape[0], size=count))
    band = torch.from_numpy(rng.integers(target.shape[2], size=count))
    time = torch.from_numpy(rng.integers(target.shape[3], size=count))
    parts = [x[clip, :, band + i, time + j] for i in range(bands) for j in range(times)]
    rows = torch.stack(parts, dim=2).reshape(count, -1)
    return rows, target[clip, :, band, time]


def _least_squares(rows: Tensor, target: Tensor) -> Tensor:
    """Ridge regression with an intercept, the intercept in the last row of the result."""
    ones = torch.ones(len(rows), 1)
    design = torch.cat([rows, ones], dim=1).double()
    gram = design.T @ design
    gram += torch.eye(len(gram)) * RIDGE * gram.diagonal().mean()
    weights: Tensor = torch.linalg.solve(gram, design.T @ target.double()).float()
    return weights
