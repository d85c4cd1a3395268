"""Finds objects: a picture of any size in, named boxes with scores out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ConfigError, ModelError
from daemon.inference import Bound, open_session, reason_of
from daemon.validation import suggest
from daemon.vision.frames import Image
from daemon.vision.objects.card import ObjectCard
from daemon.vision.objects.coding import (
    Array,
    decode,
    draw,
    grid,
    place,
    suppress_by_class,
    to_picture,
)

if TYPE_CHECKING:
    import onnxruntime as ort

CANDIDATES = 600
"""Rows at most that are compared with each other."""
SIZES_KEPT = 4
"""Input sizes whose buffers stay: a camera has one, a folder of pictures many."""


@dataclass(frozen=True, slots=True)
class Detection:
    """An object in a picture."""

    name: str
    box: tuple[float, float, float, float]
    """x, y of the upper left corner, width and height, in pixels of the picture."""
    score: float
    """0 to 1."""


class ObjectDetector:
    """One ONNX graph with its buffers and the rules of its card."""

    def __init__(
        self,
        session: ort.InferenceSession,
        card: ObjectCard,
        names: Collection[str] | None = None,
    ) -> None:
        """Look for objects of all classes, or of those in `names` that the card knows."""
        strides = card.output.strides
        (source,), target = session.get_inputs(), session.get_outputs()[0]

        def bind(size: tuple[int, int]) -> tuple[Bound, npt.NDArray[np.uint8], Array]:
            """What is bound for a size, room for its pixels, and the cells of its output."""
            pixels = np.zeros((3, *size), np.uint8)
            image = np.zeros((1, 3, *size), np.float32)
            cells = grid(*size, strides) if strides else np.zeros((0, 3), np.float32)
            given = None  # without cells nobody knows how many rows
            if strides:
                shape = (len(cells), card.width_of_a_row)
                given = np.zeros((1, *(shape[::-1] if card.output.columns else shape)), np.float32)
            return Bound(session, (source.name, image), (target.name, given)), pixels, cells

        self.card = card
        self.classes = [each for each in card.classes if names is None or each in names]
        """Names of what is looked for."""
        first = 4 + card.output.objectness
        columns = [first + card.classes.index(n) for n in self.classes]
        whole = columns == list(range(first, first + len(columns)))
        # A slice of the output is not copied, a choice of its columns is.
        self._columns = slice(first, first + len(columns)) if whole else columns
        self.provider: str = session.get_providers()[0]
        """Execution provider that runs the graph."""
        self.threshold = card.threshold
        """Score from which something is an object; may be set."""
        self._bound = lru_cache(SIZES_KEPT)(bind)

    def detect(self, image: Image, least: float | None = None) -> list[Detection]:
        """Every object in a picture, the surest first.

        Args:
            image: (height, width, 3) BGR, uint8, of any size from one pixel on.
            least: score from which a find is returned; the threshold if None.
        """
        return [
            Detection(
                self.classes[int(row[5])],
                (float(row[0]), float(row[1]), float(row[2]), float(row[3])),
                float(row[4]),
            )
            for row in self.rows(image, least)
        ]

    def rows(self, image: Image, least: float | None = None, *, every_class: bool = False) -> Array:
        """As :meth:`detect`, as an array.

        Args:
            image: as there.
            least: as there.
            every_class: whether a place of the output counts for every class that reaches `least`,
                as precision over recall is measured, and not only for its best.

        Returns:
            (n, 6): x, y, width, height in pixels of `image`, score, and place in `classes`.
        """
        where, size = place(image.shape[1], image.shape[0], self.card.input)
        bound, pixels, cells = self._bound(size)
        draw(image, where, self.card.input, pixels, bound.taken[0])
        output = bound.run()[0]
        rows = output.T if self.card.output.columns else output
        found = self._sorted_out(
            rows, cells, self.threshold if least is None else least, every_class
        )
        found[:, :4] = to_picture(found[:, :4], where, image.shape[1], image.shape[0])
        return found

    def _sorted_out(self, output: Array, cells: Array, least: float, every_class: bool) -> Array:
        """Rows of the network to finds (n, 6) in pixels of its input."""
        coding = self.card.output
        scores = output[:, self._columns]
        if coding.objectness:
            scores = scores * output[:, 4:5]
        places: npt.NDArray[np.intp]
        classes: npt.NDArray[np.intp]
        if every_class:
            places, classes = np.nonzero(scores >= least)
        else:
            places = np.flatnonzero((scores >= least).any(1))
            classes = scores[places].argmax(1)
        values = scores[places, classes]
        if len(places) > CANDIDATES:
            best = np.argsort(-values, kind="stable")[:CANDIDATES]
            places, classes, values = places[best], classes[best], values[best]
        boxes = decode(output[places, :4], coding, cells[places] if len(cells) else None)
        stays = suppress_by_class(boxes, values, classes, self.card.overlap)
        found = np.concatenate([boxes, values[:, None], classes[:, None]], 1)[stays]
        return found.astype(np.float32)


def open_object_detector(
    model: Path | str,
    providers: list[str],
    threads: int = 1,
    names: Collection[str] | None = None,
) -> ObjectDetector:
    """Load an object detector by the path of its card or file, or by its bare name.

    It looks for all classes, or for those in `names` that it knows.

    Raises:
        ModelError: no such model, a wrong card, or a file that is not as the card says.
    """
    card = read_card(find_card(model), ObjectCard)
    check_files(card)
    session = open_session(card.path, providers, threads)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    _check_graph(card, session)
    _check_cells(card, session)
    return ObjectDetector(session, card, names)


def check_names(names: Collection[str], card: ObjectCard, field: str) -> None:
    """Whether a detector knows the classes that are asked for.

    Raises:
        ConfigError: it does not; the message names the field at fault.
    """
    for name in names:
        if name not in card.classes:
            raise ConfigError(
                f"{field}: model {card.name} does not know {name!r}; {suggest(name, card.classes)}"
            )


def _check_graph(card: ObjectCard, session: ort.InferenceSession) -> None:
    inputs = [(each.name, each.shape, each.type) for each in session.get_inputs()]
    sides = [card.input.height, card.input.width]
    shape = inputs[0][1]
    fits = shape[2:] == sides
    if card.input.multiple is not None:
        fits = len(shape) == 4 and not any(isinstance(side, int) for side in shape[2:])
    if len(inputs) != 1 or shape[:2] != [1, 3] or inputs[0][2] != "tensor(float)" or not fits:
        raise ModelError(
            f"{card.path}: must take float32 [1, 3, {sides[0]}, {sides[1]}]"
            f"{' or smaller' if card.input.multiple else ''}, but takes {inputs}"
        )
    shape = session.get_outputs()[0].shape
    width = card.width_of_a_row
    if len(shape) != 3 or shape[1 if card.output.columns else 2] != width:
        raise ModelError(f"{card.path}: must give rows of {width} numbers, but gives {shape}")


def _check_cells(card: ObjectCard, session: ort.InferenceSession) -> None:
    """Whether there is a row for every cell: else boxes would be of other places."""
    if not card.output.strides:
        return
    height, width = card.input.height, card.input.width
    nothing = np.zeros((1, 3, height, width), np.float32)
    try:
        output = session.run(None, {session.get_inputs()[0].name: nothing})[0]
    except Exception as error:  # ONNX Runtime has no public base class for its many errors
        raise ModelError(
            f"{card.path}: fails on {width}x{height} pixels: {reason_of(error)}"
        ) from None
    rows = output.shape[2 if card.output.columns else 1]
    cells = len(grid(height, width, card.output.strides))
    if rows != cells:
        raise ModelError(
            f"{card.path}: output.strides: {card.output.strides} have {cells} cells in "
            f"{width}x{height} pixels, but the file gives {rows} rows; correct the strides"
        )
