"""The loss of style transfer and its gradient, through one ONNX graph.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks" (2016). The
graph holds the feature network and its backward pass (`export/features/drawing.py`). Each term is a
share: 0 is equal to what is wanted, 1 as far from it as nothing at all would be; `variation` is the
mean squared difference of neighbouring pixels, `excess` that of pixels from black or white, where
they are beyond.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ModelError
from daemon.inference import open_session
from daemon.vision.style.cards import CHANNELS, TERMS, GradientCard

if TYPE_CHECKING:
    import onnxruntime as ort

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the feature network sees in a picture."""

    content: Floats
    """(1, channels, h / stride, w / stride) features."""
    grams: list[Floats]
    """(1, channels, channels) for each style layer: which features go together, anywhere."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term of the loss counts."""

    content: float = 1.0
    style: float = 50.0
    variation: float = 10.0
    excess: float = 2000.0


@dataclass(frozen=True, slots=True)
class Loss:
    """Terms of the loss, unweighted, and their weighted sum."""

    content: float
    style: float
    variation: float
    excess: float
    total: float


class GradientGraph:
    """A feature network with its backward pass."""

    def __init__(self, session: ort.InferenceSession, card: GradientCard) -> None:
        import onnxruntime as ort

        self.card = card
        self.provider: str = session.get_providers()[0]
        """Execution provider that runs the graph."""
        self._session = session
        self._only_asked = ort.RunOptions()
        self._only_asked.only_execute_path_to_fetches = True

    def look(self, image: Floats) -> Seen:
        """See a picture.

        Args:
            image: (1, 3, h, w) RGB of 0 to 1; h and w multiples of the card's `input.multiple`.
        """
        card, stride = self.card, self.card.content_stride
        _, _, height, width = image.shape
        shape = (1, card.content_width, height // stride, width // stride)
        nothing = Seen(
            np.ones(shape, np.float32),
            [np.ones((1, width, width), np.float32) for width in card.style_widths],
        )
        names = [f"gram_{place + 1}" for place in range(len(card.style_widths))]
        content, *grams = self._session.run(
            ["content_features", *names], self._feed(image, nothing, Weights()), self._only_asked
        )
        return Seen(content, grams)

    def evaluate(self, image: Floats, target: Seen, weights: Weights) -> tuple[Loss, Floats]:
        """How far a picture is from what it shall be, and how that changes with each pixel.

        Args:
            image: as :meth:`look` takes it; with the sides of the target's content.
            target: the content of one picture, the Gram matrices of another.
            weights: of the terms.

        Returns:
            The loss, and the gradient of its total: (1, 3, h, w).
        """
        terms, gradient = self._session.run(
            ["terms", "gradient"], self._feed(image, target, weights), self._only_asked
        )
        values = dict(zip(TERMS, map(float, terms), strict=True))
        total = sum(getattr(weights, term) * value for term, value in values.items())
        return Loss(**values, total=total), gradient

    def _feed(self, image: Floats, target: Seen, weights: Weights) -> dict[str, Floats]:
        styles = {f"style_{place}": gram for place, gram in enumerate(target.grams, 1)}
        factors = np.array([getattr(weights, term) for term in TERMS], np.float32)
        return {"image": image, "content": target.content, "weights": factors, **styles}


def open_gradient(model: Path | str, providers: list[str], threads: int) -> GradientGraph:
    """Load a feature network by the path of its card or file, or by its bare name.

    Raises:
        ModelError: no such model, a wrong card, or a file that is not as the card says.
    """
    card = read_card(find_card(model), GradientCard)
    check_files(card)
    session = open_session(card.path, providers, threads, reuse_memory=True)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    inputs = {each.name: each.shape for each in session.get_inputs()}
    wanted = {"image", "content", "weights"}
    wanted |= {f"style_{place + 1}" for place in range(len(card.style_widths))}
    if set(inputs) != wanted or inputs["image"][1] != CHANNELS:
        raise ModelError(f"{card.path}: must take {', '.join(sorted(wanted))}, but takes {inputs}")
    return GradientGraph(session, card)
