"""From sound to detections: one model, the decision of each of its words, and the second look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.audio.decision import Decision, Firing, Rule
from daemon.audio.features import HOP, STEP_SECONDS
from daemon.audio.second_look import Recent, Verifier, open_verifier
from daemon.audio.wake import WakeModel, open_wake_model
from daemon.audio.words.enrolled import Enrolled, open_enrolled
from daemon.cards import ModelCard, WakeCard, WakeWord, effective_words, load_wake_card
from daemon.config import Config, WakeModelConfig
from daemon.inference import choose_providers

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detection:
    """A word was heard. Times are seconds from the start of the stream."""

    card: ModelCard
    word: WakeWord
    enrolled: bool
    """Whether the word was enrolled from recordings, not trained."""
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
    """Listens for the words of one model, and for enrolled words on the same trunk."""

    def __init__(
        self,
        card: WakeCard,
        words: list[WakeWord],
        model: WakeModel,
        verifiers: list[Verifier | None],
        enrolled: Enrolled | None = None,
    ) -> None:
        self.words = words + (enrolled.words if enrolled else [])
        """Those of the model, then the enrolled ones."""
        self.cards: list[ModelCard] = [card, *([enrolled.card] if enrolled else [])]
        self._model = model
        self._enrolled = enrolled
        self._recent = Recent() if any(verifiers) else None
        self._listeners = [_Listener(card, *each) for each in zip(words, verifiers)]
        if enrolled:
            self._listeners += [
                _Listener(enrolled.card, each, None, True) for each in enrolled.words
            ]
        self._tables: dict[int, Array] = {}
        self.probabilities: Array = np.zeros((0, len(self.words)), np.float32)
        """(steps, words) of the last block; overwritten by the next block."""

    @property
    def enrolled(self) -> int:
        """How many of the words are enrolled ones; they come last."""
        return len(self._enrolled.words) if self._enrolled else 0

    @property
    def provider(self) -> str:
        """Execution provider that runs the model."""
        return self._model.provider

    def hear(self, pcm: Array) -> list[Detection]:
        """Take new sound, (steps * 1280,) in [-1, 1] at 16 kHz, and say what was heard in it."""
        self.probabilities = self._judge(pcm)
        detections = []
        for index, row in enumerate(self.probabilities.tolist()):
            if self._recent is not None:
                self._recent.append(pcm[index * HOP : (index + 1) * HOP])
            for listener, probability in zip(self._listeners, row):
                firing = listener.decision.update(probability)
                if firing is not None and (found := self._confirm(listener, firing)):
                    detections.append(found)
        return detections

    def _judge(self, pcm: Array) -> Array:
        trained = self._model.process(pcm)
        if self._enrolled is None:
            return trained
        table = self._tables.get(len(trained))
        if table is None:
            table = self._tables[len(trained)] = np.zeros(
                (len(trained), len(self.words)), np.float32
            )
        count = trained.shape[1]
        table[:, :count] = trained
        self._enrolled.listener.hear(self._model.columns, table[:, count:])
        return table

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
        if self._enrolled is not None:
            self._enrolled.listener.reset()
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
            card=listener.card,
            word=word,
            enrolled=listener.enrolled,
            probability=firing.probability,
            threshold=listener.decision.rule.threshold,
            second_look=sure,
            onset=max(0.0, end - word.duration),
            end=max(0.0, end),
            decided=decided,
        )


class _Listener:
    """A word, its decision and, if there is one, its verifier."""

    __slots__ = ("card", "decision", "enrolled", "verifier", "word")

    def __init__(
        self, card: ModelCard, word: WakeWord, verifier: Verifier | None, enrolled: bool = False
    ) -> None:
        self.card = card
        self.word = word
        self.verifier = verifier
        self.enrolled = enrolled
        threshold = verifier.loose_threshold if verifier else word.threshold
        self.decision = Decision(Rule(threshold, word.smoothing, word.refractory))


def open_detectors(config: Config) -> list[Detector]:
    """Load every model of the configuration, and the enrolled words.

    Raises:
        ModelError: a model is missing, damaged or not what its card says, or enrolled words need
            another trunk than any model has.
        ConfigError: a word that no model has, or a provider that does not work here.
        WordError: an enrolled word is a trained one, too.
    """
    providers = choose_providers(config.inference.provider)
    cards = [load_wake_card(each.model) for each in config.wake.models]
    enrolled = open_enrolled(config.wake.enrolled, cards, providers, config.inference.threads)
    return [
        _open(config, each, card, providers, enrolled.on(card) if enrolled else None)
        for each, card in zip(config.wake.models, cards)
    ]


def _open(
    config: Config,
    wanted: WakeModelConfig,
    card: WakeCard,
    providers: list[str],
    enrolled: Enrolled | None,
) -> Detector:
    words = effective_words(card, wanted.words)
    threads = config.inference.threads
    verifiers = [
        open_verifier(card.beside(word.verifier.file), word.verifier, providers, threads)
        if word.verifier and config.wake.second_look
        else None
        for word in words
    ]
    model = open_wake_model(card, providers, threads)
    return Detector(card, words, model, verifiers, enrolled)
