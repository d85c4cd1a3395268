"""SqueezeNet in PyTorch, with the weights of its ONNX file: what it sees, and what it answers.

Iandola et al., "SqueezeNet" (2016), version 1.1, trained on ImageNet. The file is the one that many
collections of ONNX models hold; its input is BGR less the means of Caffe.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from daemon.errors import ModelError

MEAN = (123.0, 117.0, 104.0)
"""Subtracted from red, green and blue of 0 to 255."""
FIRES = {2: (64, 16), 3: (128, 16), 4: (128, 32), 5: (256, 32),
         6: (256, 48), 7: (384, 48), 8: (384, 64), 9: (512, 64)}  # fmt: skip
"""Inputs and narrowest width of each fire module."""
EXPANDED = {2: 64, 3: 64, 4: 128, 5: 128, 6: 192, 7: 192, 8: 256, 9: 256}
"""Outputs of each of its two wide convolutions."""
WIDTHS = (64, 128, 256, 512)
"""Channels of what it sees."""
CLASSES = 1000


class SqueezeNet(nn.Module):
    """Pictures to features at strides 2, 4, 8 and 16, and to the classes of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 3, 2)
        self.fires = nn.ModuleDict({str(number): _Fire(number) for number in FIRES})
        self.last = nn.Conv2d(WIDTHS[-1], CLASSES, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of a picture.

        Args:
            image: (n, 3, h, w) RGB of 0 to 1, h and w multiples of 16.

        Returns:
            (n, width, h / stride - 1, w / stride - 1) for each of :data:`WIDTHS`. Convolution and
            poolings have no border, so that each value lies about half a step right of and below
            that of a network with borders.
        """
        mean = torch.tensor(MEAN, device=image.device).view(1, 3, 1, 1)
        # BGR, as Caffe reads pictures.
        x = functional.relu(self.first((255 * image - mean).flip(1)))
        seen = [x]
        for last in ((2, 3), (4, 5), (6, 7, 8, 9)):
            x = functional.max_pool2d(x, 3, 2)
            for number in last:
                x = self.fires[str(number)](x)
            seen.append(x)
        return seen

    def answer(self, features: Tensor) -> Tensor:
        """Logits (n, 1000) for the features of stride 16."""
        return functional.relu(self.last(features)).mean((2, 3))


class _Fire(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        inputs, narrow = FIRES[number]
        self.squeeze1x1 = nn.Conv2d(inputs, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, EXPANDED[number], 1)
        self.expand3x3 = nn.Conv2d(narrow, EXPANDED[number], 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze1x1(x))
        return functional.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


def load(path: Path) -> SqueezeNet:
    """The network with the weights of an ONNX file, frozen.

    Raises:
        ModelError: the file cannot be read, or holds another network.
    """
    try:
        stored = {each.name: each for each in onnx.load(str(path)).graph.initializer}
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    # protobuf has many errors for what is no model.
    except Exception:
        raise ModelError(f"{path}: not an ONNX file, or damaged; copy it again") from None
    net = SqueezeNet()
    convolutions: dict[str, nn.Module] = {"conv1": net.first, "conv10": net.last}
    for number in FIRES:
        fire = net.fires[str(number)]
        convolutions |= {f"fire{number}/{name}": each for name, each in fire.named_children()}
    for name, conv in convolutions.items():
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        for parameter, suffix in ((conv.weight, "w_0"), (conv.bias, "b_0")):
            tensor = stored.get(f"{name}_{suffix}")
            if tensor is None or tuple(tensor.dims) != tuple(parameter.shape):
                raise ModelError(f"{path}: not SqueezeNet 1.1: no {name}_{suffix} as expected")
            values = numpy_helper.to_array(tensor).astype(np.float32)
            parameter.data = torch.from_numpy(values)
    return net.eval().requires_grad_(False)
