"""Finds faces: a picture of any size in, boxes with landmarks and scores out.

The network sees the picture at most as large as the card says, in the upper left corner of an input
whose sides are multiples of 32. Input and output of each size are bound once. Two more networks, if
the card names them, look at each find: one says whether it is a face, one corrects its landmarks.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ModelError
from daemon.inference import Bound, open_session
from daemon.vision import confirmation, landmarks
from daemon.vision.boxes import suppress
from daemon.vision.cards import Confirmer, DetectorCard
from daemon.vision.confirmation import FaceConfirmer
from daemon.vision.face import COLUMNS, Face, from_rows
from daemon.vision.landmarks import LandmarkRefiner
from daemon.vision.priors import CHANNELS, MULTIPLE, cells, decode

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

FILLING = 114
"""Grey level beside the picture, as in training."""
CANDIDATES = 400
"""Cells at most that are compared with each other: a picture has far fewer faces."""
CONFIRMED = 64
"""Finds of a picture, the surest first, that are looked at again; the rest is dropped, so that no
pattern holds up the door."""
REFINED = 16
"""Faces of a picture, the surest first, whose landmarks are looked at again: the rest of a crowd
would cost more time than it took to find it."""
SIZES_KEPT = 4
"""Input sizes whose buffers stay: a camera has one, a folder of pictures many."""


class FaceDetector:
    """One ONNX graph with its buffers and the rules of its card."""

    def __init__(
        self,
        session: ort.InferenceSession,
        card: DetectorCard,
        refiner: LandmarkRefiner | None = None,
        confirmer: FaceConfirmer | None = None,
    ) -> None:
        def bind(height: int, width: int) -> tuple[Bound, Array]:
            """What is bound for a size, and the cells of that size."""
            grid = cells(height, width)
            image = np.full((1, 3, height, width), FILLING, np.float32)
            found = np.zeros((1, CHANNELS, len(grid)), np.float32)
            return Bound(session, ("image", image), ("cells", found)), grid

        self.card = card
        self.provider: str = session.get_providers()[0]
        """Execution provider that runs the graph."""
        self.threshold = card.threshold
        """Score from which something is a face; may be set."""
        self._refiner = refiner
        self._second = None
        if confirmer is not None and card.confirmer is not None:
            self._second = confirmer, card.confirmer
        self._bound = lru_cache(SIZES_KEPT)(bind)

    def detect(
        self, image: Image, longest_side: int | None = None, least: float | None = None
    ) -> list[Face]:
        """Every face in a picture, the surest first.

        Args:
            image: (height, width, 3) BGR, uint8, of any size from one pixel on.
            longest_side: pixels to which a larger picture is reduced; what the card says if None.
            least: score from which a find is returned; the threshold if None. With a network that
                confirms, what the detector alone gives less than the card's `candidates` stays out.

        Returns:
            Faces in pixels of `image`; boxes of faces at its edge reach beyond it.
        """
        return from_rows(self.rows(image, longest_side, least))

    def rows(
        self, image: Image, longest_side: int | None = None, least: float | None = None
    ) -> Array:
        """As :meth:`detect`, as an array: (n, 15), see :data:`daemon.vision.face.COLUMNS`."""
        height, width = image.shape[:2]
        limit = longest_side or self.card.input.longest_side
        shrink = min(1.0, limit / max(height, width))
        shown = image
        if shrink < 1:
            size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            shown = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        shown_height, shown_width = shown.shape[:2]
        bound, grid = self._bound(_padded(shown_height), _padded(shown_width))
        planes = bound.taken[0]
        for plane, channel in zip(planes, cv2.split(shown)):
            plane[:shown_height, :shown_width] = channel
        planes[:, :shown_height, shown_width:] = FILLING
        planes[:, shown_height:] = FILLING
        least = least or self.threshold
        looked_at = least if self._second is None else self._second[1].candidates
        found = self._sorted_out(bound.run()[0], grid, looked_at)
        found[:, 0:14:2] *= width / shown_width
        found[:, 1:14:2] *= height / shown_height
        if self._second is not None:
            found = _confirmed(*self._second, image, found[:CONFIRMED], least)
        if self._refiner is not None:
            for row in found[:REFINED]:
                refined = self._refiner.refine(image, row[4:14].reshape(5, 2))
                row[4:14] = refined.reshape(-1)
        return found

    def _sorted_out(self, predicted: Array, grid: Array, least: float) -> Array:
        """(15, cells) of the network to faces (n, 15) in pixels of its input."""
        logits = predicted[0]
        chosen = np.flatnonzero(logits >= np.log(least / (1 - least)))
        if len(chosen) > CANDIDATES:
            chosen = chosen[np.argsort(-logits[chosen], kind="stable")[:CANDIDATES]]
        found = np.empty((len(chosen), COLUMNS), np.float32)
        found[:, :14] = decode(predicted[1:, chosen].T, grid[chosen])
        found[:, 14] = 1 / (1 + np.exp(-logits[chosen]))
        return found[suppress(found[:, :4], found[:, 14], self.card.overlap)]


def open_detector(model: Path | str, providers: list[str], threads: int = 1) -> FaceDetector:
    """Load a face detector by the path of its card or file, or by its bare name.

    Raises:
        ModelError: no such model, a wrong card, or a file that is not as the card says.
    """
    card = read_card(find_card(model), DetectorCard)
    check_files(card)
    session = open_session(card.path, providers, threads)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    _check_graph(card.path, session)
    refiner = _open_refiner(card, providers, threads)
    return FaceDetector(session, card, refiner, _open_confirmer(card, providers, threads))


def _confirmed(
    confirmer: FaceConfirmer, rules: Confirmer, image: Image, found: Array, least: float
) -> Array:
    """Finds (n, 15) with their second opinion in the score, the surest first, from `least` on."""
    if not len(found):
        return found
    odds = rules.weight * confirmation.log_odds(found[:, 14])
    for place, row in enumerate(found):
        odds[place] += confirmer.evidence(image, row[4:14].reshape(5, 2))
    found[:, 14] = 1 / (1 + np.exp(-odds))
    kept = found[found[:, 14] >= least]
    return kept[np.argsort(-kept[:, 14], kind="stable")]


def _open_refiner(card: DetectorCard, providers: list[str], threads: int) -> LandmarkRefiner | None:
    if card.refiner is None:
        return None
    side = landmarks.SIDE
    session = open_session(card.beside(card.refiner.file), providers, threads)
    _check_look(card.beside(card.refiner.file), session, side, "points", [1, 5, 2])
    return LandmarkRefiner(session)


def _open_confirmer(card: DetectorCard, providers: list[str], threads: int) -> FaceConfirmer | None:
    if card.confirmer is None:
        return None
    side = confirmation.SIDE
    session = open_session(card.beside(card.confirmer.file), providers, threads)
    _check_look(card.beside(card.confirmer.file), session, side, "evidence", [1, 1])
    return FaceConfirmer(session)


def _check_look(
    path: Path, session: ort.InferenceSession, side: int, output: str, shape: list[int]
) -> None:
    """A network that looks at one find: a square in, something of one shape out."""
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    if inputs != {"face": [1, 3, side, side]} or outputs != {output: shape}:
        raise ModelError(
            f"{path}: must take face [1, 3, {side}, {side}] and give {output} {shape}, "
            f"but takes {inputs} and gives {outputs}"
        )


def _padded(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE


def _check_graph(path: Path, session: ort.InferenceSession) -> None:
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    if set(inputs) != {"image"} or len(inputs["image"]) != 4 or inputs["image"][1] != 3:
        raise ModelError(f"{path}: must take image [1, 3, height, width], but takes {inputs}")
    if "cells" not in outputs or outputs["cells"][1] != CHANNELS:
        raise ModelError(f"{path}: must give cells [1, {CHANNELS}, n], but gives {outputs}")
