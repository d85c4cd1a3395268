"""Lets a plain detector learn with its numbers rounded as its file will round them.

In the file activations and weights are multiples of steps (:mod:`export.objects.quantise`). What
learnt without that loses by it; what learns with it, with gradients passed through as if nothing
had been rounded, finds weights that bear it (Jacob et al., "Quantization and training of neural
networks for efficient integer-arithmetic-only inference", arXiv:1712.05877).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.objects.model import Conv, MultiScale, Partial, Residual

LEVELS = 255
"""Steps of an activation, from 0 to the largest."""
WEIGHT_LEVELS = 64
"""Steps of a channel's weights, from 0 to the largest, on either side."""
FADING = 0.99
"""Share of the largest value so far that counts in the next batch: steps follow what is learnt."""


def round_numbers(network: nn.Module) -> None:
    """Round what the files of all plain multi-scale detectors in a network round, from now on.

    Of weights those are the convolutions' behind the stem, but for the last, whose numbers are
    boxes and scores; of activations what the stem and these convolutions give, every sum, and
    what is joined.
    """
    for detector in network.modules():
        if isinstance(detector, MultiScale) and detector.plain:
            _round_those_of(detector)


def _round_those_of(detector: MultiScale) -> None:
    stem, pyramid = detector.backbone.stem, detector.pyramid
    inside = set(stem.modules())
    _round_what_it_gives(stem)
    for module in detector.modules():
        if isinstance(module, Conv) and module not in inside:
            _round_its_weights(module.conv)
            _round_what_it_gives(module)
        elif isinstance(module, Residual):
            _round_what_it_gives(module)
        elif isinstance(module, Partial):
            _round_what_it_takes(module.leave)
    for module in (pyramid.down_to_16, pyramid.down_to_8, pyramid.up_to_16, pyramid.up_to_32):
        _round_what_it_takes(module)


def _round_its_weights(convolution: nn.Conv2d) -> None:
    # Batch norm scales whole channels, and the steps of their weights with them.
    def convolve(input: Tensor) -> Tensor:
        weight = convolution.weight
        steps = weight.detach().abs().amax((1, 2, 3), keepdim=True) / WEIGHT_LEVELS
        given: Tensor = convolution._conv_forward(input, _round(weight, steps), convolution.bias)
        return given

    convolution.forward = convolve  # type: ignore[method-assign]


def _round_what_it_gives(module: nn.Module) -> None:
    rounded = _Rounded()
    module.register_forward_hook(lambda _, taken, given: rounded(given))


def _round_what_it_takes(module: nn.Module) -> None:
    rounded = _Rounded()
    module.register_forward_pre_hook(lambda _, taken: rounded(taken[0]))


class _Rounded:
    """One activation, not negative, in steps of a 255th of the largest that it was of late."""

    def __init__(self) -> None:
        self._largest: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        largest = x.detach().amax().float()
        if self._largest is not None:
            largest = torch.maximum(largest, self._largest * FADING)
        self._largest = largest
        return _round(x, largest / LEVELS)


def _round(x: Tensor, step: Tensor) -> Tensor:
    rounded: Tensor = _Round.apply(x, step.clamp_min(1e-9))  # type: ignore[no-untyped-call]
    return rounded


class _Round(torch.autograd.Function):
    """To multiples of a step; the gradient passes as if nothing happened."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor) -> Tensor:
        """Of any shape, and steps that spread to it, to that shape."""
        return (x / step).round_().mul_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient by the rounded is that by what was rounded."""
        return gradient, None
