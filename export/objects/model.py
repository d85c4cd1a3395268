"""The detectors: one backbone, and two heads for it.

The backbone halves the picture five times, and comes in two kinds. `separable` is for floating
point: inverted residuals (MobileNetV2, arXiv:1801.04381) have the fewest product-sums, and where
maps are small, kernels are 5 x 5. `plain` is for whole numbers of eight bits: behind the same stem
it has 3 x 3 and 1 x 1 convolutions, half of whose channels pass each stage by (CSPNet,
arXiv:1911.11929). A product-sum of theirs then costs a processor a third to a quarter of one in
floating point, where depthwise convolutions gain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daemon.vision.objects.names import CLASSES

STRIDES = (8, 16, 32)
"""Sides in pixels of the cells of the multi-scale head."""
BOXES = 2
"""Boxes that a cell of the v1 head predicts, as published."""


@dataclass(frozen=True)
class Widths:
    """How wide and deep a network is."""

    channels: tuple[int, int, int, int, int] = (16, 32, 48, 96, 160)
    """At strides 2, 4, 8, 16 and 32. Multiples of 16 fill the registers of AVX-512."""
    blocks: tuple[int, int, int] = (1, 2, 1)
    """Residuals at strides 8, 16 and 32; of separable ones, after the one that halves."""
    pyramid: int = 48
    v1: int = 256
    """Channels before the output of the v1 head."""
    kind: str = "separable"
    """Of the convolutions: `separable` or `plain`."""


PLAIN = Widths((16, 32, 64, 128, 256), (2, 3, 2), 64, 256, "plain")
"""Of a plain network: in whole numbers as fast as the other in floating point."""
KINDS = {"separable": Widths(), "plain": PLAIN}
"""Widths of networks by their kinds."""


class Conv(nn.Module):
    """Convolution, batch norm, and an activation unless `linear`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int = 3,
        stride: int = 1,
        *,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self._linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        x = self.norm(self.conv(x))
        return x if self._linear else F.relu(x, inplace=True)


class Separable(nn.Sequential):
    """A depthwise convolution and a pointwise one."""

    def __init__(self, inputs: int, outputs: int, size: int = 5, stride: int = 1) -> None:
        super().__init__(
            Conv(inputs, inputs, size, stride, groups=inputs, linear=True), Conv(inputs, outputs, 1)
        )


class Inverted(nn.Module):
    """Out to `widening` times the channels, depthwise there, and back; added where shapes allow."""

    def __init__(
        self, inputs: int, outputs: int, widening: int, size: int, stride: int = 1
    ) -> None:
        super().__init__()
        inner = inputs * widening
        self.residual = nn.Sequential(
            Conv(inputs, inner, 1),
            Conv(inner, inner, size, stride, groups=inner),
            Conv(inner, outputs, 1, linear=True),
        )
        self._adds = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        y: Tensor = self.residual(x)
        return x + y if self._adds else y


class Residual(nn.Module):
    """A pointwise convolution and a whole one, added to what they were given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(Conv(channels, channels, 1), Conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the same."""
        y: Tensor = self.residual(x)
        return x + y


class Partial(nn.Module):
    """Residuals for half of the channels; the other half passes them by."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        half = channels // 2
        self.past = Conv(channels, half, 1)
        self.through = nn.Sequential(
            Conv(channels, half, 1), *(Residual(half) for _ in range(count))
        )
        self.leave = Conv(2 * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the same."""
        y: Tensor = self.leave(torch.cat([self.past(x), self.through(x)], 1))
        return y


class Backbone(nn.Module):
    """A picture to features at strides 8, 16 and 32."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = widths.channels
        n8, n16, n32 = widths.blocks
        self.stem = nn.Sequential(Conv(3, c2, 3, 2), Separable(c2, c4, 3, 2))
        plain = widths.kind == "plain"
        self.at8 = _plain(c4, c8, n8) if plain else _inverted(c4, c8, 2, 3, n8)
        self.at16 = _plain(c8, c16, n16) if plain else _inverted(c8, c16, 3, 5, n16)
        self.at32 = _plain(c16, c32, n32) if plain else _inverted(c16, c32, 4, 5, n32)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, h, w), BGR in 0 to 1, to features of (h / 8, w / 8) and so on."""
        at8 = self.at8(self.stem(x))
        at16 = self.at16(at8)
        return at8, at16, self.at32(at16)


def _inverted(inputs: int, outputs: int, widening: int, size: int, count: int) -> nn.Sequential:
    """One residual that halves the map, and `count` more."""
    return nn.Sequential(
        Inverted(inputs, outputs, widening, size, 2),
        *(Inverted(outputs, outputs, 3, size) for _ in range(count)),
    )


def _plain(inputs: int, outputs: int, count: int) -> nn.Sequential:
    """A convolution that halves the map, and `count` residuals for half of its channels."""
    return nn.Sequential(Conv(inputs, outputs, 3, 2), Partial(outputs, count))


def _mixing(widths: Widths, channels: int, stride: int = 1) -> nn.Module:
    """A convolution of all that is there, over places and channels."""
    if widths.kind == "plain":
        return Conv(channels, channels, 3, stride)
    return Separable(channels, channels, 5, stride)


class Pyramid(nn.Module):
    """Features of three strides, each told what the others see (PANet, arXiv:1803.01534)."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        _, _, c8, c16, c32 = widths.channels
        p = widths.pyramid
        self.enter = nn.ModuleList([Conv(c, p, 1) for c in (c8, c16, c32)])
        self.down_to_16, self.down_to_8 = _mixing(widths, p), _mixing(widths, p)
        self.halve_8, self.halve_16 = _mixing(widths, p, 2), _mixing(widths, p, 2)
        self.up_to_16, self.up_to_32 = _mixing(widths, p), _mixing(widths, p)

    def forward(self, at8: Tensor, at16: Tensor, at32: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Three maps of features to three of `pyramid` channels, of the same sizes."""
        p8, p16, p32 = (enter(x) for enter, x in zip(self.enter, (at8, at16, at32), strict=True))
        p16 = self.down_to_16(p16 + F.interpolate(p32, scale_factor=2.0))
        p8 = self.down_to_8(p8 + F.interpolate(p16, scale_factor=2.0))
        p16 = self.up_to_16(p16 + self.halve_8(p8))
        return p8, p16, self.up_to_32(p32 + self.halve_16(p16))


class MultiScale(nn.Module):
    """The second variant: a score for each class and a box at every cell of three strides."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.plain = widths.kind == "plain"
        self.backbone = Backbone(widths)
        self.pyramid = Pyramid(widths)
        p = widths.pyramid
        self.mix = nn.ModuleList([_mixing(widths, p) for _ in STRIDES])
        self.out = nn.ModuleList([nn.Conv2d(p, 4 + len(CLASSES), 1) for _ in STRIDES])
        for out in self.out:
            assert isinstance(out, nn.Conv2d)
            assert out.bias is not None
            nn.init.normal_(out.weight, std=0.01)
            nn.init.constant_(out.bias[:4], 1.0)
            nn.init.constant_(out.bias[4:], -4.6)  # a hundredth: most cells see nothing

    def features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the outputs are made from: of (n, 3, h, w) three maps of `pyramid` channels."""
        features: tuple[Tensor, Tensor, Tensor] = self.pyramid(*self.backbone(x))
        return features

    def mixed(self, features: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        """Features as the last convolutions take them."""
        return [mix(each) for mix, each in zip(self.mix, features, strict=True)]

    def parts(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """What the last convolutions give, (n, 4 + classes, cells), as distances and logits."""
        reach = _positive if self.plain else F.softplus
        return reach(codes[:, :4]), codes[:, 4:]

    def codes(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Features to codes, as :meth:`forward` gives them."""
        mixed = self.mixed(features)
        given = [out(each).flatten(2) for out, each in zip(self.out, mixed, strict=True)]
        return torch.cat(self.parts(torch.cat(given, 2)), 1).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures to codes.

        Args:
            x: (n, 3, h, w), BGR in 0 to 1; h and w multiples of 32.

        Returns:
            (n, cells, 4 + classes): distances of left, top, right and bottom from the middle of the
            cell, in cells, then the classes' logits.
        """
        return self.codes(self.features(x))


def _positive(x: Tensor) -> Tensor:
    """e^x below 0 and 1 + x above: as smooth as softplus, and much faster in ONNX Runtime."""
    return x.clamp(min=0) + x.clamp(max=0).exp()


class SingleGrid(nn.Module):
    """The first variant: YOLO v1's output (arXiv:1506.02640), from a grid of stride 32."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.backbone = Backbone(widths)
        self.mix = nn.Sequential(Conv(widths.channels[4], widths.v1, 1), _mixing(widths, widths.v1))
        self.out = nn.Conv2d(widths.v1, BOXES * 5 + len(CLASSES), 1)
        assert self.out.bias is not None
        nn.init.normal_(self.out.weight, std=0.01)
        with torch.no_grad():
            box = torch.tensor([0.5, 0.5, 0.4, 0.4, 0.1])
            self.out.bias.copy_(torch.cat([box.repeat(BOXES), torch.zeros(len(CLASSES))]))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures to what the published network predicts, with a linear output.

        Args:
            x: (n, 3, h, w), BGR in 0 to 1; h and w multiples of 32.

        Returns:
            (n, rows, columns, 5 x 2 + classes): of two boxes the middle within its cell, the square
            roots of width and height as shares of the picture, and the confidence; then of the
            cell a probability for each class.
        """
        result: Tensor = self.out(self.mix(self.backbone(x)[2])).permute(0, 2, 3, 1)
        return result


VARIANTS: dict[str, type[SingleGrid] | type[MultiScale]] = {"v1": SingleGrid, "multi": MultiScale}


def centres(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """x and y of the middle of each cell in pixels, and its stride: (cells, 3)."""
    parts = []
    for stride in STRIDES:
        y, x = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        middle = (torch.stack([x.flatten(), y.flatten()], 1) + 0.5) * stride
        parts.append(torch.cat([middle, torch.full((len(middle), 1), float(stride))], 1))
    return torch.cat(parts).to(device)


def corners(codes: Tensor, cells: Tensor) -> Tensor:
    """Distances of (..., cells, 4) to left, top, right, bottom in pixels of the input."""
    reach = codes * cells[:, 2:]
    return torch.cat([cells[:, :2] - reach[..., :2], cells[:, :2] + reach[..., 2:]], -1)


def boxes_of(predicted: Tensor) -> Tensor:
    """The part of YOLO v1's output (..., 5 x 2 + classes) that is boxes: (..., 2, 5)."""
    return predicted[..., : 5 * BOXES].reshape(*predicted.shape[:-1], BOXES, 5)


def v1_corners(predicted: Tensor, height: int, width: int) -> Tensor:
    """Boxes of YOLO v1's output.

    Args:
        predicted: (n, rows, columns, 5 x 2 + classes).
        height: of the input, in pixels.
        width: of the input, in pixels.

    Returns:
        (n, rows, columns, 2, 4): left, top, right, bottom in pixels of the input.
    """
    rows, columns = predicted.shape[1:3]
    boxes = boxes_of(predicted)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    corner = torch.stack([x, y], -1).to(predicted.device)[:, :, None]
    size = boxes.new_tensor([width, height])
    middle = (boxes[..., :2] + corner) * size / boxes.new_tensor([columns, rows])
    half = boxes[..., 2:4] ** 2 * size / 2
    return torch.cat([middle - half, middle + half], -1)
