"""VGG-19 (Simonyan and Zisserman, 2014) from torchvision's file of weights.

The style layers are conv1_1 to conv5_1, the content layer is conv4_2, and pooling is averaging, as
in the paper of Gatys, Ecker and Bethge.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import torch

from daemon.errors import ModelError
from export.features.material import Pictures
from export.features.model import CONTENT, DEVIATION, MEAN, FeatureNetwork, Floats, equally_loud

LICENCE = "torchvision: BSD-3; the weights were trained on ImageNet (research)"
MEASURED = 64
"""Photographs over which channels are made equally loud."""
LAST_BLOCK = 4
"""From 0; of its convolutions only the first has a loss."""


def convert(path: Path, pictures: Pictures) -> FeatureNetwork:
    """The network of a file, its channels equally loud.

    Args:
        path: state of `torchvision.models.vgg19`, as torchvision downloads it.
        pictures: photographs.

    Raises:
        ModelError: the file cannot be read or holds another network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        places = [re.fullmatch(r"features\.(\d+)\.weight", name) for name in state]
        numbers = sorted(int(place[1]) for place in places if place)
        blocks: list[list[tuple[Floats, Floats]]] = []
        before = -3
        for number in numbers:
            # A convolution and its ReLU are two layers; a pooling between blocks is a third.
            if number - before == 3:
                blocks.append([])
            weight, bias = (state[f"features.{number}.{part}"] for part in ("weight", "bias"))
            if weight.shape[2:] != (3, 3) or number - before not in (2, 3):
                raise ValueError(f"layer {number} is no convolution of VGG")
            blocks[-1].append((weight.float().numpy(), bias.float().numpy()))
            before = number
    except (OSError, pickle.UnpicklingError, ValueError, KeyError, IndexError, RuntimeError,
            AttributeError, EOFError, TypeError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:120]
        raise ModelError(f"{path}: not torchvision's VGG-19: {reason}") from None
    if [len(each) for each in blocks] != [2, 2, 4, 4, 4]:
        raise ModelError(f"{path}: not VGG-19: convolutions {[len(each) for each in blocks]}")
    blocks[LAST_BLOCK] = blocks[LAST_BLOCK][:1]
    mean, deviation = (np.array(each, np.float32) for each in (MEAN, DEVIATION))
    network = FeatureNetwork(tuple(map(tuple, blocks)), mean, deviation, CONTENT)
    some = pictures.images[:: max(1, len(pictures) // MEASURED)][:MEASURED]
    return equally_loud(network, some.float() / 255)
