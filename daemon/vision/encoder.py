"""The face encoder: a face in, a unit vector out; near vectors are the same person.

Any network fits that takes aligned faces as (n, 3, height, width) and gives (n, dimension): how its
input is to be prepared stands in its card.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ModelError
from daemon.inference import open_session
from daemon.vision.alignment import align
from daemon.vision.cards import EncoderCard

if TYPE_CHECKING:
    import onnxruntime as ort

Vectors = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


class Encoder:
    """One ONNX graph with the buffers of its input."""

    def __init__(self, session: ort.InferenceSession, card: EncoderCard) -> None:
        self._session = session
        self.card = card
        self.size = (card.input.width, card.input.height)
        """Width and height of an aligned face, in pixels."""
        self.template = np.array(card.input.template, np.float64)
        """(5, 2) where the landmarks of an aligned face lie, in pixels."""
        self._name = session.get_inputs()[0].name
        self._planes = (2, 1, 0) if card.input.channels == "rgb" else (0, 1, 2)
        self._mean = np.array(card.input.mean, np.float32)
        self._crops = np.zeros((1, card.input.height, card.input.width, 3), np.uint8)
        self._input = np.zeros((1, 3, card.input.height, card.input.width), np.float32)

    def align(self, image: Image, landmarks: npt.NDArray[np.floating]) -> Image:
        """Cut out a face as this encoder wants it.

        Args:
            image: (height, width, 3) BGR.
            landmarks: (5, 2) in pixels of the image.

        Returns:
            The crop, BGR.
        """
        return align(image, landmarks, self.template, self.size)

    def embed(self, image: Image, landmarks: npt.NDArray[np.floating]) -> Vectors:
        """Embed one face of a picture.

        Args:
            image: (height, width, 3) BGR.
            landmarks: (5, 2) in pixels: right eye (on the image's left), left eye, nose, right and
                left corner of the mouth.

        Returns:
            (dimension,) of length 1.
        """
        align(image, landmarks, self.template, self.size, self._crops[0])
        vector: Vectors = self.embed_crops(self._crops[:1])[0]
        return vector

    def embed_all(self, image: Image, landmarks: npt.NDArray[np.floating]) -> Vectors:
        """Embed all faces of a picture in one run.

        Args:
            image: (height, width, 3) BGR.
            landmarks: (n, 5, 2) in pixels.

        Returns:
            (n, dimension) of length 1 each.
        """
        self._reserve(len(landmarks))
        for crop, points in zip(self._crops, landmarks):
            align(image, points, self.template, self.size, crop)
        return self.embed_crops(self._crops[: len(landmarks)])

    def embed_crops(self, crops: Image) -> Vectors:
        """Embed faces that are aligned already.

        Args:
            crops: (n, height, width, 3) BGR.

        Returns:
            (n, dimension) of length 1 each.
        """
        count = len(crops)
        if not count:
            return np.zeros((0, self.card.dimension), np.float32)
        self._reserve(count)
        values = self._input[:count]
        for plane, source in enumerate(self._planes):
            np.subtract(crops[..., source], self._mean[plane], out=values[:, plane])
        values *= np.float32(self.card.input.scale)
        vectors: Vectors = self._session.run(None, {self._name: values})[0]
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def _reserve(self, count: int) -> None:
        if len(self._input) < count:
            self._crops = np.zeros((count, *self._crops.shape[1:]), np.uint8)
            self._input = np.zeros((count, *self._input.shape[1:]), np.float32)


def open_encoder(model: Path | str, providers: list[str], threads: int = 1) -> Encoder:
    """Find an encoder, check it against its card and load it.

    Args:
        model: path of a card or an ONNX file, or a bare name from the folders of models.
        providers: execution providers in the order of preference.
        threads: of the processor, for one run.

    Raises:
        ModelError: there is no such model, or model and card do not fit each other.
    """
    card = read_card(find_card(model), EncoderCard)
    check_files(card)
    session = open_session(card.path, providers, threads)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ModelError(f"{card.path}: must have one input (faces, 3, height, width)")
    if list(inputs[0].shape[1:]) != [3, card.input.height, card.input.width]:
        raise ModelError(
            f"{card.path}: takes {inputs[0].shape}, but its card says "
            f"3 x {card.input.height} x {card.input.width}"
        )
    encoder = Encoder(session, card)
    # The first run allocates; and it shows what the graph gives, whatever it declares.
    blank = np.zeros((1, card.input.height, card.input.width, 3), np.uint8)
    given = session.run(None, {inputs[0].name: np.zeros(encoder._input.shape, np.float32)})[0].shape
    if given != (1, card.dimension):
        raise ModelError(
            f"{card.path}: output {outputs[0].name} is {given}, but its card says a dimension of "
            f"{card.dimension}"
        )
    encoder.embed_crops(blank)
    return encoder
