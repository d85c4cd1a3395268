"""The network that compares words: steps of a trunk to features, a window of them to a vector.

A word is its sounds in their order: the vector of a window is the features of its steps, one after
the other, brought to length 1. So a stream computes the features of each step once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from daemon.audio.words.cards import WordEncoderCard
from daemon.audio.words.likeness import Scale
from daemon.cards import check_files, check_metadata, find_card, read_card
from daemon.errors import ModelError
from daemon.inference import Bound, open_session
from daemon.people.normalisation import load_cohort

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]


class WordEncoder:
    """One ONNX graph, its card and its cohort."""

    def __init__(
        self,
        session: ort.InferenceSession,
        card: WordEncoderCard,
        cohort: Array,
        neighbours: Array,
    ) -> None:
        self.card = card
        self.cohort = cohort
        """(m, dimension) of length 1: other sounds."""
        self.neighbours = neighbours
        """(n, dimension) of length 1: common words, named by the card."""
        self.column = np.zeros((1, session.get_inputs()[0].shape[1]), np.float32)
        """What :meth:`run` looks at, (1, width); filled by the caller."""
        self.provider: str = session.get_providers()[0]
        """Execution provider that runs the graph."""
        self._session = session
        features = np.zeros((1, card.dimension // card.window), np.float32)
        self._bound = Bound(session, ("columns", self.column), ("features", features))

    def scale(self) -> Scale:
        """The scale of its likenesses."""
        return Scale(self.cohort, self.card.offset, self.card.slope)

    def run(self) -> Array:
        """The features, (dimension / window,), of `column`; overwritten by the next run."""
        features: Array = self._bound.run()[0]
        return features

    def embed(self, columns: Array) -> Array:
        """Vectors of all windows of a stream, in order.

        Args:
            columns: (steps, width), at least as many as a window has.

        Returns:
            (steps - window + 1, dimension), each of length 1.
        """
        features = self._session.run(
            ["features"], {"columns": np.ascontiguousarray(columns, np.float32)}
        )[0]
        views = np.lib.stride_tricks.sliding_window_view(features, self.card.window, axis=0)
        vectors = views.transpose(0, 2, 1).reshape(len(views), -1)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def open_word_encoder(model: str, providers: list[str], threads: int = 1) -> WordEncoder:
    """Load the network by the name or path of its card, and check that it is what the card says.

    Args:
        model: name or path.
        providers: execution providers in the order of preference.
        threads: of the processor, for one run.

    Raises:
        ModelError: it is missing, damaged, or another kind of model.
    """
    card = read_card(find_card(model), WordEncoderCard)
    check_files(card)
    session = open_session(card.path, providers, threads)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    taken = {each.name: len(each.shape) for each in session.get_inputs()}
    given = {each.name: each.shape[1:] for each in session.get_outputs()}
    wanted = {"columns": 2}, {"features": [card.dimension // card.window]}
    if (taken, given) != wanted:
        raise ModelError(
            f"{card.path}: takes {sorted(taken)} and gives {given}, but must take columns and give "
            f"{wanted[1]}: train it again (porter-export wordembed)"
        )
    cohort = _vectors(card, card.cohort.file)
    neighbours = _vectors(card, card.neighbours.file)
    if len(neighbours) != len(card.neighbours.words):
        raise ModelError(
            f"{card.beside(card.neighbours.file)}: holds {len(neighbours)} words, its card names "
            f"{len(card.neighbours.words)}; copy the model's files again"
        )
    return WordEncoder(session, card, cohort, neighbours)


def _vectors(card: WordEncoderCard, file: str) -> Array:
    path = card.beside(file)
    vectors = load_cohort(path)
    if vectors.shape[1] != card.dimension:
        raise ModelError(
            f"{path}: of dimension {vectors.shape[1]}, the model {card.dimension}; copy the "
            "model's files again"
        )
    return vectors
