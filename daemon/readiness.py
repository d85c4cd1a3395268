"""What would keep the daemon from starting: models and settings that do not fit each other.

The parts that are switched on are looked at, by cards and checksums: no network is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from daemon.audio.words.cards import WordEncoderCard
from daemon.audio.words.enrolled import check_names as check_words
from daemon.audio.words.enrolled import find_host, is_needed
from daemon.audio.words.store import open_store
from daemon.cards import ModelCard, WakeCard, load_card
from daemon.config import Config
from daemon.documents import Location
from daemon.errors import PorterError
from daemon.inference import choose_providers
from daemon.people.clustering.scores import score_at
from daemon.people.visitor_keeper import DOUBTFUL_FMR
from daemon.vision.cards import DetectorCard, EncoderCard
from daemon.vision.light.card import LightCard
from daemon.vision.light.prepare import LABELS
from daemon.vision.objects.card import ObjectCard
from daemon.vision.objects.detector import check_names as check_classes

CardT = TypeVar("CardT", bound=ModelCard)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What `porter run` would end with."""

    setting: Location
    """The setting at fault."""
    error: PorterError


def find_obstacles(config: Config) -> list[Obstacle]:
    """Everything at once that `porter run` would refuse at its start, one after the other."""
    return _Inspection(config).obstacles


class _Inspection:
    def __init__(self, config: Config) -> None:
        self.obstacles: list[Obstacle] = []
        self._config = config
        provider = config.inference.provider
        self._try(("inference", "provider"), lambda: choose_providers(provider))
        if config.audio.enabled:
            self._listening()
        if config.camera.enabled:
            self._looking()

    def _try(self, setting: Location, action: Callable[[], ValueT]) -> ValueT | None:
        try:
            return action()
        except PorterError as error:
            self.obstacles.append(Obstacle(setting, error))
            return None

    def _card(self, setting: Location, model: str, kind: type[CardT]) -> CardT | None:
        return self._try(setting, lambda: load_card(model, kind))

    def _listening(self) -> None:
        wake = self._config.wake
        cards = [
            self._card(("wake", "models", index, "model"), each.model, WakeCard)
            for index, each in enumerate(wake.models)
        ]
        hosts = [each for each in cards if each is not None]
        words, _ = open_store().read()
        if not is_needed(wake.enrolled, words):
            return
        encoder = self._card(
            ("wake", "enrolled", "encoder"), wake.enrolled.encoder, WordEncoderCard
        )
        if encoder is not None and len(hosts) == len(cards):
            self._try(("wake", "enrolled", "encoder"), lambda: find_host(encoder, hosts))
        self._try(("wake", "models"), lambda: check_words(words, hosts))

    def _looking(self) -> None:
        config = self._config
        self._card(("faces", "detector"), config.faces.detector, DetectorCard)
        encoder = self._card(("faces", "encoder"), config.faces.encoder, EncoderCard)
        if encoder is not None:
            self._thresholds(encoder)
        if config.light.enabled:
            self._card(("light", "model"), config.light.model, LightCard)
        if config.objects.enabled:
            objects = self._card(("objects", "model"), config.objects.model, ObjectCard)
            if objects is not None:
                names = config.objects.classes
                self._try(
                    ("objects", "classes"), lambda: check_classes(names, objects, "objects.classes")
                )

    def _thresholds(self, encoder: EncoderCard) -> None:
        config = self._config
        self._try(("faces", "fmr"), lambda: encoder.threshold(config.faces.fmr))
        if config.visitors.enabled:
            self._try(("faces", "encoder"), lambda: score_at(encoder, DOUBTFUL_FMR))
        if not config.light.enabled:
            return
        for light in LABELS:
            rate = config.light.rules(light).fmr
            if rate is not None:
                self._rate(encoder, rate, light)

    def _rate(self, encoder: EncoderCard, rate: float, light: str) -> None:
        self._try(("light", light, "fmr"), lambda: encoder.threshold(rate, f"light.{light}.fmr"))
