"""From sound to detections: one model, the decision of each of its words, and the second look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.audio.decision import Decision, Firing, Rule
from daemon.audio.features import HOP, STEP_SECONDS
from daemon.audio.second_look import Recent, Verifier, open_verifier
from daemon.audio.wake import WakeModel, open_wake_model
from daemon.cards import WakeCard, WakeWord, effective_words, load_wake_card
from daemon.config import Config, WakeModelConfig
from daemon.inference import choose_providers

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detection:
    """A word was heard. Times are seconds from the start of the stream."""

    card: WakeCard
    word: WakeWord
    probability: float
    """Highest probability of the steps that decided."""
    threshold: float
    """What the smoothed probability had to reach."""
    second_look: float | None
    """Probability of the verifier, if there is one."""
    onset: float
    """Estimated start of the word."""
    end: float
    """Estimated end of the word."""
    decided: float
    """End of the step in which the smoothed probability reached the threshold."""


class Detector:
    """Listens for the words of one model."""

    def __init__(
        self,
        card: WakeCard,
        words: list[WakeWord],
        model: WakeModel,
        verifiers: list[Verifier | None],
    ) -> None:
        self.words = words
        self.card = card
        self._model = model
        self._recent = Recent() if any(verifiers) else None
        self._listeners = [_Listener(*each) for each in zip(words, verifiers)]
        self.probabilities: Array = np.zeros((0, len(words)), np.float32)
        """(steps, words) of the last block; overwritten by the next block but one."""

    @property
    def provider(self) -> str:
        """Execution provider that runs the model."""
        return self._model.provider

    def hear(self, pcm: Array) -> list[Detection]:
        """Take new sound, (steps * 1280,) in [-1, 1] at 16 kHz, and say what was heard in it."""
        self.probabilities = self._model.process(pcm)
        detections = []
        for index, row in enumerate(self.probabilities.tolist()):
            if self._recent is not None:
                self._recent.append(pcm[index * HOP : (index + 1) * HOP])
            for listener, probability in zip(self._listeners, row):
                firing = listener.decision.update(probability)
                if firing is not None and (found := self._confirm(listener, firing)):
                    detections.append(found)
        return detections

    def smoothed(self) -> list[float]:
        """The smoothed probability of each word after the last step."""
        return [each.decision.smoothed for each in self._listeners]

    def seek(self, step: int) -> None:
        """Count steps from `step` on: this detector takes over a running stream."""
        for each in self._listeners:
            each.decision.step = step

    def reset(self) -> None:
        """Forget what was heard, as after a gap in the sound; time goes on."""
        self._model.reset()
        for each in self._listeners:
            each.decision.reset()
        if self._recent is not None:
            self._recent.clear()

    def _confirm(self, listener: _Listener, firing: Firing) -> Detection | None:
        word, sure = listener.word, None
        if listener.verifier is not None and self._recent is not None:
            sure = listener.verifier.probability(self._recent.view())
            if sure < listener.verifier.threshold:
                listener.decision.retract()
                return None
        decided = (firing.step + 1) * STEP_SECONDS
        end = decided - word.delay
        return Detection(
            card=self.card,
            word=word,
            probability=firing.probability,
            threshold=listener.decision.rule.threshold,
            second_look=sure,
            onset=max(0.0, end - word.duration),
            end=max(0.0, end),
            decided=decided,
        )


class _Listener:
    """A word, its decision and, if there is one, its verifier."""

    __slots__ = ("decision", "verifier", "word")

    def __init__(self, word: WakeWord, verifier: Verifier | None) -> None:
        self.word = word
        self.verifier = verifier
        threshold = verifier.loose_threshold if verifier else word.threshold
        self.decision = Decision(Rule(threshold, word.smoothing, word.refractory))


def open_detectors(config: Config) -> list[Detector]:
    """Load every model of the configuration.

    Raises:
        ModelError: a model is missing, damaged or not what its card says.
        ConfigError: a word that no model has, or a provider that does not work here.
    """
    providers = choose_providers(config.inference.provider)
    return [_open(config, each, providers) for each in config.wake.models]


def _open(config: Config, wanted: WakeModelConfig, providers: list[str]) -> Detector:
    card = load_wake_card(wanted.model)
    words = effective_words(card, wanted.words)
    threads = config.inference.threads
    verifiers = [
        open_verifier(card.beside(word.verifier.file), word.verifier, providers, threads)
        if word.verifier and config.wake.second_look
        else None
        for word in words
    ]
    return Detector(card, words, open_wake_model(card, providers, threads), verifiers)
