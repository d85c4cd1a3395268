"""Tells day from night: a picture of any size in, the probability of night out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ModelError
from daemon.inference import Bound, open_session
from daemon.vision.frames import Image
from daemon.vision.light.card import LightCard
from daemon.vision.light.prepare import as_input, shrink

if TYPE_CHECKING:
    import onnxruntime as ort


class LightClassifier:
    """One ONNX graph with its buffers. For one thread at a time."""

    def __init__(self, session: ort.InferenceSession, card: LightCard) -> None:
        self.card = card
        self.provider: str = session.get_providers()[0]
        """Execution provider that runs the graph."""
        image = np.zeros((1, 3, card.input.side, card.input.side), np.float32)
        night = np.zeros((1,), np.float32)
        self._bound = Bound(session, ("image", image), ("night", night))

    def probability(self, image: Image) -> float:
        """Probability of night, 0 to 1, of a picture (height, width, 3), BGR, of any size."""
        as_input(shrink(image, self.card.input.side), self._bound.taken[0])
        return float(self._bound.run()[0])


def open_light(model: Path | str, providers: list[str], threads: int = 1) -> LightClassifier:
    """Load a day-or-night network by the path of its card or file, or by its bare name.

    Raises:
        ModelError: no such model, a wrong card, or a file that is not as the card says.
    """
    card = read_card(find_card(model), LightCard)
    check_files(card)
    session = open_session(card.path, providers, threads)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    inputs = {each.name: each.shape[1:] for each in session.get_inputs()}
    outputs = {each.name: len(each.shape) for each in session.get_outputs()}
    side = card.input.side
    if inputs != {"image": [3, side, side]} or outputs.get("night") != 1:
        raise ModelError(
            f"{card.path}: must take image [n, 3, {side}, {side}] and give night [n], "
            f"but takes {inputs} and gives {list(outputs)}"
        )
    return LightClassifier(session, card)
