"""One content, one style, one painting: what `porter style` does with a pair of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from daemon.vision.frames import Image
from daemon.vision.style.canvas import Canvas, Floats, framed, keep_colours, scaled
from daemon.vision.style.gradient import GradientGraph, Loss, Seen, Weights
from daemon.vision.style.optimise import Optimiser, optimise

Init = Literal["content", "noise"]
Watch = Callable[[int, Loss, Callable[[], Image]], None]
"""Number of the step, its loss, and the picture of the step if it is wanted."""

LARGEST = 1_024
"""Pixels of the longest side at most: the memory of a run stays below 2 GB."""
MARGIN = 8
"""Pixels of frame around the picture: at its edge the network sees a border that is not there."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to paint."""

    size: int = 512
    """Pixels of the longest side."""
    style_size: int | None = None
    """Of the style picture; as `size` if None. Smaller: finer strokes."""
    steps: int = 300
    init: Init = "content"
    optimiser: Optimiser = "lbfgs"
    weights: Weights = field(default_factory=Weights)
    colours: bool = False
    """Keep those of the content."""
    seed: int = 0
    """Of the noise."""


@dataclass(frozen=True, slots=True)
class Painting:
    """What came of it."""

    image: Image
    start: Loss
    loss: Loss
    steps: int
    interrupted: bool


class Transfer:
    """Paints contents in the manner of one style."""

    def __init__(self, graph: GradientGraph, style: Image, manner: Manner) -> None:
        self._graph = graph
        self._manner = manner
        multiple = graph.card.input.multiple
        canvas = framed(scaled(style, manner.style_size or manner.size), multiple)
        self._grams = graph.look(canvas.image).grams

    def paint(self, content: Image, watch: Watch) -> Painting:
        """Paint one content.

        Args:
            content: (h, w, 3) BGR, uint8.
            watch: called after each step.

        Raises:
            PorterError: the loss is no number.
            KeyboardInterrupt: before there was anything to keep.
        """
        manner, graph = self._manner, self._graph
        shown = scaled(content, manner.size)
        canvas = framed(shown, graph.card.input.multiple, MARGIN)
        target = Seen(graph.look(canvas.image).content, self._grams)

        def finished(image: Floats) -> Image:
            painting = canvas.cut(image)
            return keep_colours(painting, shown) if manner.colours else painting

        found = optimise(
            lambda image: graph.evaluate(image, target, manner.weights),
            _start(canvas, manner),
            manner.steps,
            manner.optimiser,
            lambda step, loss, image: watch(step, loss, lambda: finished(image)),
        )
        # What is written is cut to what a screen can show, and so is what is said of it.
        loss, _ = graph.evaluate(np.clip(found.image, 0, 1), target, manner.weights)
        image = finished(found.image)
        return Painting(image, found.start, loss, found.steps, found.interrupted)


def _start(canvas: Canvas, manner: Manner) -> Floats:
    if manner.init == "content":
        return canvas.image
    rng = np.random.default_rng(manner.seed)
    noise = rng.normal(0.5, 0.15, canvas.image.shape)
    return np.clip(noise, 0, 1).astype(np.float32)
