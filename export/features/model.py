"""The feature network: as VGG (Simonyan and Zisserman, 2014), but light, with average pooling.

Three forms of it: one that learns (with batch norm), the plain weights of convolutions that are
left when it has learnt, and these weights as a PyTorch module that others learn through.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

Floats = npt.NDArray[np.float32]
Widths = tuple[tuple[int, ...], ...]

WIDTHS: Widths = ((32, 32), (48, 48), (96, 96), (128, 128), (128,))
"""Channels of the convolutions of each block; a pooling halves the picture between blocks. ONNX
Runtime computes sixteen channels at a time: 24 would cost as much as 32."""
CONTENT = (3, 1)
"""Block and place in it of the layer that makes the content: VGG's conv4_2, as in the paper."""
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of red, green and blue over photographs, 0 to 1 (those of ImageNet)."""
SILENT = 0.05
"""Mean activation, as a share of the layer's median, that a channel counts with at least: one that
hardly ever fires is not blown up to the loudness of the others."""


@dataclass(frozen=True)
class FeatureNetwork:
    """Convolutions with 3 x 3 weights, stride 1 and a border of zeros, each before a ReLU."""

    blocks: tuple[tuple[tuple[Floats, Floats], ...], ...]
    """Weights (outputs, inputs, 3, 3) and biases (outputs,) of each convolution of each block."""
    mean: Floats
    deviation: Floats
    """(3,) of red, green and blue in pixels of 0 to 1."""
    content: tuple[int, int]

    @property
    def widths(self) -> Widths:
        """Channels of each convolution of each block."""
        return tuple(tuple(len(bias) for _, bias in block) for block in self.blocks)

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be multiples of, so that pooling leaves nothing out."""
        return int(2 ** (len(self.blocks) - 1))


class LearningFeatures(nn.Module):
    """The network while it learns: a batch norm behind each convolution."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, widths: Widths = WIDTHS) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        inputs = 3
        for block in widths:
            units = nn.ModuleList()
            for outputs in block:
                conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
                units.append(nn.Sequential(conv, nn.BatchNorm2d(outputs)))
                inputs = outputs
            self.blocks.append(units)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """(n, 3, h, w) RGB of 0 to 1 to the features at the end of each block."""
        x = (image - self.mean) / self.deviation
        ends = []
        for number, block in enumerate(self.blocks):
            if number:
                x = functional.avg_pool2d(x, 2)
            assert isinstance(block, nn.ModuleList)
            for unit in block:
                x = functional.relu(unit(x))
            ends.append(x)
        return ends

    def fold(self) -> FeatureNetwork:
        """What is left when it has learnt: batch norms taken into the convolutions."""
        blocks = []
        for block in self.blocks:
            assert isinstance(block, nn.ModuleList)
            folded = []
            for unit in block:
                assert isinstance(unit, nn.Sequential)
                conv, norm = unit.eval()
                assert isinstance(conv, nn.Conv2d)
                assert isinstance(norm, nn.BatchNorm2d)
                fused = fuse_conv_bn_eval(conv, norm)
                assert fused.bias is not None
                folded.append((_array(fused.weight), _array(fused.bias)))
            blocks.append(tuple(folded))
        mean, deviation = (np.array(each, np.float32) for each in (MEAN, DEVIATION))
        return FeatureNetwork(tuple(blocks), mean, deviation, CONTENT)


@torch.no_grad()
def equally_loud(network: FeatureNetwork, pictures: Tensor) -> FeatureNetwork:
    """A network whose channels have a mean of 1 over pictures, as Gatys scaled VGG's.

    A ReLU and an average do not mind a factor, so that a channel's can be taken from the weights
    behind it: the network sees the same, and no channel drowns the others in a Gram matrix.

    Args:
        network: as it has learnt.
        pictures: (n, 3, h, w) RGB of 0 to 1.
    """
    x = (pictures - torch.from_numpy(network.mean).to(pictures).view(1, 3, 1, 1)) / (
        torch.from_numpy(network.deviation).to(pictures).view(1, 3, 1, 1)
    )
    before = torch.ones(3, device=x.device)
    blocks = []
    for number, block in enumerate(network.blocks):
        if number:
            x = functional.avg_pool2d(x, 2)
        scaled = []
        for parameters in block:
            conv = _conv(parameters).to(x.device)
            assert conv.bias is not None
            x = functional.relu(conv(x))
            loud = x.mean((0, 2, 3))
            loud = loud.clamp_min(SILENT * float(loud.median())).clamp_min(1e-6)
            weight = conv.weight * before[None, :, None, None] / loud[:, None, None, None]
            scaled.append((_array(weight), _array(conv.bias / loud)))
            before = loud
        blocks.append(tuple(scaled))
    return replace(network, blocks=tuple(blocks))


def _array(parameter: Tensor) -> Floats:
    return parameter.detach().float().cpu().numpy().copy()


@dataclass(frozen=True)
class Seen:
    """What a feature network sees in pictures."""

    content: Tensor
    """(n, channels, h, w) features of the content layer."""
    styles: list[Tensor]
    """(n, channels, h, w) features of the first layer of each block."""


class Features(nn.Module):
    """A feature network that has learnt, for others to learn through."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.content = network.content
        self.register_buffer("mean", torch.from_numpy(network.mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.from_numpy(network.deviation).view(1, 3, 1, 1))
        self.blocks = nn.ModuleList(nn.ModuleList(map(_conv, block)) for block in network.blocks)
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> Seen:
        """(n, 3, h, w) RGB of 0 to 1."""
        x = (image - self.mean) / self.deviation
        styles, content = [], None
        for number, block in enumerate(self.blocks):
            if number:
                x = functional.avg_pool2d(x, 2)
            assert isinstance(block, nn.ModuleList)
            for place, conv in enumerate(block):
                x = functional.relu(conv(x))
                if place == 0:
                    styles.append(x)
                if (number, place) == self.content:
                    content = x
        assert content is not None
        return Seen(content, styles)


def _conv(parameters: tuple[Floats, Floats]) -> nn.Conv2d:
    weight, bias = parameters
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    conv.weight.data = torch.from_numpy(weight)
    assert conv.bias is not None
    conv.bias.data = torch.from_numpy(bias)
    return conv


def gram(features: Tensor) -> Tensor:
    """Gram matrices of features (n, channels, h, w), over their area: (n, channels, channels)."""
    rows = features.flatten(2).float()
    return rows @ rows.transpose(1, 2) / rows.shape[2]


def random_network(widths: Widths = WIDTHS, seed: int = 0) -> FeatureNetwork:
    """A network that has learnt nothing (He initialisation), for tests and comparisons."""
    rng = np.random.default_rng(seed)
    blocks, inputs = [], 3
    for block in widths:
        convolutions = []
        for outputs in block:
            scale = (2 / (9 * inputs)) ** 0.5
            weight = rng.normal(0, scale, (outputs, inputs, 3, 3)).astype(np.float32)
            convolutions.append((weight, rng.normal(0, 0.1, outputs).astype(np.float32)))
            inputs = outputs
        blocks.append(tuple(convolutions))
    content = (min(CONTENT[0], len(widths) - 1), 0)
    if len(widths[content[0]]) > CONTENT[1]:
        content = (content[0], CONTENT[1])
    mean, deviation = (np.array(each, np.float32) for each in (MEAN, DEVIATION))
    return FeatureNetwork(tuple(blocks), mean, deviation, content)
