"""A detector that ships, back to a network that learns on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from daemon.cards import check_files, find_card, read_card
from daemon.errors import ModelError
from daemon.vision.objects.card import ObjectCard
from export.objects.graph import fused
from export.objects.material import Pictures
from export.objects.model import Conv, MultiScale, Widths
from export.unfuse import norm_by_output, weights_of

PREFIX = "network."
"""Of the names of weights in a file."""
LOOKED_AT = 64
"""Pictures over which the outputs of convolutions are measured."""


class Start:
    """A detector to go on from."""

    def __init__(self, model: Path | str) -> None:
        """Read its card, and compare its file with that.

        Raises:
            ModelError: it is missing, damaged, another kind of model or another network.
        """
        path = find_card(model)
        card = read_card(path, ObjectCard)
        check_files(card)
        told: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        recipe = told.get("recipe") or {}
        if "widths" not in recipe:
            raise ModelError(f"{path}: recipe.widths: missing; go on from a model of this stage")
        self.network = card.path
        """The ONNX file."""
        widths: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in recipe["widths"].items()
        }
        self.widths = Widths(**widths)
        self.recipe = recipe | {"data": told.get("data") or []}
        """How it was trained."""


def restore(start: Start, pictures: Pictures) -> MultiScale:
    """The network of a detector that ships.

    Args:
        start: the detector.
        pictures: of the kind that will be learnt from.

    Raises:
        ModelError: the file is of another network than its card says.
    """
    network, shipped = MultiScale(start.widths).eval(), fused(MultiScale(start.widths))
    try:
        weights = weights_of(start.network, PREFIX)
        # The file has the last convolutions as products of matrices.
        shipped.load_state_dict(
            {
                name: each[..., None, None] if each.ndim == 2 else each
                for name, each in weights.items()
            }
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(f"{start.network}: not of the widths in its card: {reason}") from None
    units, given = _units(network), _units(shipped)
    with torch.no_grad():
        given[0].conv.weight *= 255
        for own, other in zip(units, given, strict=True):
            assert isinstance(own.norm, nn.BatchNorm2d)
            norm_by_output(other.conv, own.conv, own.norm)
        shipped(_some(pictures))
        network.out.load_state_dict(shipped.out.state_dict())
    return network


def _some(pictures: Pictures) -> Tensor:
    """(n, 3, side, side) BGR in 0 to 1, evenly from all."""
    step = max(1, len(pictures) // LOOKED_AT)
    return pictures.images[::step][:LOOKED_AT].float() / 255


def _units(network: nn.Module) -> list[Conv]:
    return [each for each in network.modules() if isinstance(each, Conv)]
