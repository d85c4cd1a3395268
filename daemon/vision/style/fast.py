"""Paints in one style at once: a feed-forward network (Johnson, Alahi and Fei-Fei, 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ModelError
from daemon.inference import open_session
from daemon.vision.footage import Footage
from daemon.vision.frames import Image
from daemon.vision.style.canvas import framed, keep_colours, scaled
from daemon.vision.style.cards import CHANNELS, FastStyleCard

if TYPE_CHECKING:
    import onnxruntime as ort

SMALLEST = 16
"""Pixels of a side that the network needs: it mirrors the edges at a quarter of the size."""
MOST_PIXELS = 1_600**2
"""Of a painting whose size nobody has chosen: memory stays below 2 GiB."""


def bearable_size(height: int, width: int) -> int | None:
    """Pixels of the longest side to which a picture is reduced for memory; None: it stays."""
    if height * width <= MOST_PIXELS:
        return None
    return max(1, int(max(height, width) * (MOST_PIXELS / (height * width)) ** 0.5))


class Painter:
    """One ONNX graph that paints pictures of any size."""

    def __init__(self, session: ort.InferenceSession, card: FastStyleCard) -> None:
        self.card = card
        self.provider: str = session.get_providers()[0]
        """Execution provider that runs the graph."""
        self._session = session

    def paint(self, image: Image, size: int | None = None, *, colours: bool = False) -> Image:
        """Paint a picture.

        Args:
            image: (h, w, 3) BGR, uint8.
            size: pixels of the longest side of the painting; if None as the picture's, or what
                :func:`bearable_size` says.
            colours: keep those of the picture, and take only light and dark from the painting.
        """
        size = size or bearable_size(*image.shape[:2])
        if size is not None:
            image = scaled(image, size)
        margin = max(0, -(-(SMALLEST - min(image.shape[:2])) // 2))
        canvas = framed(image, self.card.input.multiple, margin)
        painting = canvas.cut(self._session.run(["painting"], {"image": canvas.image})[0])
        return keep_colours(painting, image) if colours else painting

    def film(
        self, footage: Footage, size: int | None = None, *, colours: bool = False
    ) -> Iterator[Image]:
        """Paint the pictures of a video, one after the other; sides are even.

        Raises:
            SourceError: the video is damaged or cut off; what was painted before is good.
        """
        for image in footage:
            painting = self.paint(image, size, colours=colours)
            height, width = (max(2, side - side % 2) for side in painting.shape[:2])
            yield np.ascontiguousarray(painting[:height, :width])


def open_painter(model: Path | str, providers: list[str], threads: int) -> Painter:
    """Load a feed-forward network by the path of its card or file, or by its bare name.

    Raises:
        ModelError: no such model, a wrong card, or a file that is not as the card says.
    """
    card = read_card(find_card(model), FastStyleCard)
    check_files(card)
    session = open_session(card.path, providers, threads, reuse_memory=True)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    inputs = {each.name: each.shape for each in session.get_inputs()}
    if set(inputs) != {"image"} or inputs["image"][1] != CHANNELS:
        raise ModelError(f"{card.path}: must take image [1, 3, height, width], but takes {inputs}")
    return Painter(session, card)
