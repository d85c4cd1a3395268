"""The streaming wake-word network: sound in, one probability a word and step out.

Everything that a run touches is bound once. The state of one run is the input of the next, so two
bindings take turns: one reads state A and writes state B, the other reads B and writes A.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daemon.audio.features import HOP
from daemon.cards import WakeCard, check_metadata
from daemon.errors import ModelError
from daemon.inference import CUDA, open_session

if TYPE_CHECKING:
    import onnxruntime as ort

Array = npt.NDArray[np.float32]


class WakeModel:
    """One ONNX graph with its state."""

    def __init__(self, session: ort.InferenceSession) -> None:
        """Take a session of a graph that :func:`open_wake_model` has checked."""
        import onnxruntime as ort

        self._session = session
        sizes = {each.name: each.shape[-1] for each in session.get_outputs()}
        self._words: int = sizes["probability"]
        self._width: int = sizes["columns"]
        self.provider: str = session.get_providers()[0]
        """Execution provider that runs the graph."""
        self._device = "cuda" if self.provider == CUDA else "cpu"
        self._value = ort.OrtValue.ortvalue_from_numpy
        states = [each for each in session.get_inputs() if each.name.startswith("state_")]
        self._names = [each.name for each in states]
        self._zeros = [np.zeros(each.shape, np.float32) for each in states]
        # On the CPU an OrtValue is a view of its array: keep the arrays with them.
        self._buffers = [[zeros.copy() for zeros in self._zeros] for _ in range(2)]
        self._states = [[self._value(b, self._device) for b in side] for side in self._buffers]
        self._turns: dict[int, tuple[_Turn, _Turn]] = {}
        self._side = 0
        self.columns: Array = np.zeros((0, self._width), np.float32)
        """(steps, width) hypercolumns of the trunk for the last block, by which words from a few
        recordings are compared; overwritten as the probabilities are."""

    def process(self, pcm: Array) -> Array:
        """Probabilities for new sound.

        Args:
            pcm: (steps * 1280,) at 16 kHz in [-1, 1]; any whole number of hops.

        Returns:
            (steps, words) in [0, 1]; overwritten by the next call but one with as many steps.
        """
        steps = len(pcm) // HOP
        turns = self._turns.get(steps)
        if turns is None:
            turns = self._turns[steps] = (self._bind(steps, 0), self._bind(steps, 1))
        turn = turns[self._side]
        self._side ^= 1
        turn.pcm[0] = pcm
        if self._device != "cpu":
            turn.pcm_value.update_inplace(turn.pcm)
        self._session.run_with_iobinding(turn.binding)
        self.columns = turn.columns[0]
        probability: Array = turn.probability[0]
        return probability

    def reset(self) -> None:
        """Start anew, as if nothing had been heard."""
        for buffers, values in zip(self._buffers, self._states):
            for zeros, buffer, value in zip(self._zeros, buffers, values):
                if self._device == "cpu":
                    buffer[...] = zeros
                else:
                    value.update_inplace(zeros)

    def _bind(self, steps: int, side: int) -> _Turn:
        binding = self._session.io_binding()
        pcm = np.zeros((1, steps * HOP), np.float32)
        probability = np.zeros((1, steps, self._words), np.float32)
        columns = np.zeros((1, steps, self._width), np.float32)
        pcm_value = self._value(pcm, self._device)
        binding.bind_ortvalue_input("pcm", pcm_value)
        binding.bind_ortvalue_output("probability", self._value(probability, "cpu"))
        binding.bind_ortvalue_output("columns", self._value(columns, "cpu"))
        for name, old, new in zip(self._names, self._states[side], self._states[1 - side]):
            binding.bind_ortvalue_input(name, old)
            binding.bind_ortvalue_output(f"next_{name}", new)
        return _Turn(binding, pcm, pcm_value, probability, columns)


class _Turn:
    """A binding and the arrays that it reads and writes."""

    __slots__ = ("binding", "columns", "pcm", "pcm_value", "probability")

    def __init__(
        self, binding: Any, pcm: Array, pcm_value: Any, probability: Array, columns: Array
    ) -> None:
        self.binding = binding
        self.pcm = pcm
        self.pcm_value = pcm_value
        self.probability = probability
        self.columns = columns


def open_wake_model(card: WakeCard, providers: list[str], threads: int = 1) -> WakeModel:
    """Load the graph of a card and check that it is the one that the card describes.

    Raises:
        ModelError: it cannot be loaded, belongs to another card, or is no streaming wake model.
    """
    session = open_session(card.path, providers, threads)
    check_metadata(card, session.get_modelmeta().custom_metadata_map)
    _check_graph(card.path, session, len(card.words))
    model = WakeModel(session)
    model.process(np.zeros(HOP, np.float32))  # the first run allocates; let it be over
    model.reset()
    return model


def _check_graph(path: Path, session: ort.InferenceSession, words: int) -> None:
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    states = {name: shape for name, shape in inputs.items() if name.startswith("state_")}
    for name, shape in states.items():
        if not all(isinstance(size, int) for size in shape):
            raise ModelError(f"{path}: input {name}: its shape {shape} is not fixed")
    if set(inputs) != {"pcm", *states}:
        raise ModelError(f"{path}: inputs are {sorted(inputs)}, but must be pcm and state_*")
    needed = {"probability", "columns", *(f"next_{name}" for name in states)}
    if missing := needed - set(outputs):
        raise ModelError(f"{path}: output {sorted(missing)[0]} is missing")
    if outputs["probability"][-1] != words:
        raise ModelError(
            f"{path}: output probability has {outputs['probability'][-1]} words, its card {words}"
        )
