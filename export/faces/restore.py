"""A detector that ships, back to a network that learns: its batch norms are put in again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from daemon.cards import check_files, find_card, read_card
from daemon.errors import ModelError
from daemon.vision.cards import DetectorCard
from export.faces.model import Detector, Unit, Widths
from export.unfuse import norm_by_output, weights_of

PREFIX = "detector."
"""Of the names of weights in a file."""


class Start:
    """A detector to go on from, as it is before what comes of it may take its place."""

    def __init__(self, model: Path | str) -> None:
        """Read its card, and compare its files with that.

        Raises:
            ModelError: it is missing, damaged or another kind of model.
        """
        path = find_card(model)
        card = read_card(path, DetectorCard)
        check_files(card)
        self.network = card.path
        """The ONNX file."""
        self.name = card.sha256[:12]
        """Of a run that goes on from it."""
        self.licence = card.licence
        """What comes of it is on its terms, too."""
        self._told: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        self._refiner = None if card.refiner is None else card.beside(card.refiner.file)

    def hand_down(self, told: dict[str, Any], out: Path) -> None:
        """Let a card tell what its detector went on from.

        The network for exact landmarks stays with it: it was not learnt from what a detector finds.

        Args:
            told: the card; it is changed.
            out: folder in which the card is made.
        """
        told["recipe"].pop("learning")
        told["recipe"]["before"] = {name: self._told.get(name) for name in ("recipe", "data")}
        if self._refiner is None:
            return
        told["refiner"] = self._told["refiner"]
        told["figures"]["landmarks"] = (self._told.get("figures") or {}).get("landmarks")
        shutil.copy2(self._refiner, out)


def restore(path: Path, widths: Widths, images: Tensor) -> Detector:
    """The network of a file that :func:`export.faces.graph.export` wrote.

    Args:
        path: the ONNX file.
        widths: of its network.
        images: (n, 3, h, w) BGR in [0, 1], of the kind that will be learnt from.

    Raises:
        ModelError: the file is not there, or of another network.
    """
    shipped, network = Detector(widths).eval().fuse(), Detector(widths)
    try:
        shipped.load_state_dict(weights_of(path, PREFIX))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(f"{path}: not a face detector of these widths: {reason}") from None
    with torch.no_grad():
        shipped.first.weight *= 255
    for given, unit in zip(_units(shipped), _units(network), strict=True):
        assert isinstance(unit.norm, nn.BatchNorm2d)
        norm_by_output(given.conv, unit.conv, unit.norm)
    with torch.no_grad():
        shipped(images)
    network.heads.load_state_dict(shipped.heads.state_dict())
    return network.eval()


def _units(network: nn.Module) -> list[Unit]:
    return [each for each in network.modules() if isinstance(each, Unit)]
