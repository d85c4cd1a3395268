"""The network that compares words: windows of a trunk's embeddings to unit vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon.audio.features import EMBEDDING
from daemon.audio.words.cards import WordEncoderCard
from daemon.audio.words.likeness import Scale
from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ModelError
from daemon.inference import CPU, open_session
from daemon.people.normalisation import load_cohort

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]


class WordEncoder:
    """One ONNX graph, its card and its cohort."""

    def __init__(self, session: ort.InferenceSession, card: WordEncoderCard, cohort: Array) -> None:
        import onnxruntime as ort

        self.card = card
        self.cohort = cohort
        """(m, dimension) of length 1: other sounds."""
        self.window = np.zeros((1, card.window, EMBEDDING), np.float32)
        """What :meth:`run` looks at; filled by the caller, oldest step first."""
        self.vector = np.zeros((1, card.dimension), np.float32)
        """What it found, of length 1; overwritten by the next run."""
        self._session = session
        # Bound once: the windows of a stream are the hot path.
        self._binding = session.io_binding()
        value = ort.OrtValue.ortvalue_from_numpy
        self._values = value(self.window), value(self.vector)
        self._binding.bind_ortvalue_input("windows", self._values[0])
        self._binding.bind_ortvalue_output("vectors", self._values[1])

    def scale(self) -> Scale:
        """The scale of its likenesses."""
        return Scale(self.cohort, self.card.offset, self.card.slope)

    def run(self) -> Array:
        """The vector, (dimension,), of `window`."""
        self._session.run_with_iobinding(self._binding)
        vector: Array = self.vector[0]
        return vector

    def embed(self, windows: Array) -> Array:
        """Vectors (n, dimension) of windows (n, window, 96)."""
        if not len(windows):
            return np.zeros((0, self.card.dimension), np.float32)
        vectors: Array = self._session.run(
            ["vectors"], {"windows": np.ascontiguousarray(windows, np.float32)}
        )[0]
        return vectors


def open_word_encoder(model: str, threads: int = 1) -> WordEncoder:
    """Load the network by the name or path of its card, and check that it is what the card says.

    It runs on the processor: a window is too little work for anything else.

    Raises:
        ModelError: it is missing, damaged, or another kind of model.
    """
    card = read_card(find_card(model), WordEncoderCard)
    check_files(card)
    session = open_session(card.path, [CPU], threads)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    taken = {each.name: each.shape[1:] for each in session.get_inputs()}
    given = {each.name: each.shape[1:] for each in session.get_outputs()}
    wanted = {"windows": [card.window, EMBEDDING]}, {"vectors": [card.dimension]}
    if (taken, given) != wanted:
        raise ModelError(
            f"{card.path}: takes {taken} and gives {given}, but must take {wanted[0]} "
            f"and give {wanted[1]}"
        )
    cohort = load_cohort(card.beside(card.cohort.file))
    if cohort.shape[1] != card.dimension:
        raise ModelError(
            f"{card.beside(card.cohort.file)}: of dimension {cohort.shape[1]}, the model "
            f"{card.dimension}; copy the model's files again"
        )
    return WordEncoder(session, card, cohort)
