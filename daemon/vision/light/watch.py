"""Looks at the light every now and then, and says when it has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from daemon.events import Data
from daemon.vision.events import LightChanged
from daemon.vision.frames import Frame
from daemon.vision.light.classifier import LightClassifier
from daemon.vision.light.hysteresis import Hysteresis
from daemon.vision.light.prepare import Light
from daemon.vision.light.settings import LightConfig

log = logging.getLogger(__name__)


class LightWatch:
    """Takes every picture of the camera and looks at one now and then. Belongs to its thread.

    `changed` is called before the change is published: what is said holds already.
    """

    def __init__(
        self,
        classifier: LightClassifier,
        settings: LightConfig,
        publish: Callable[[Data], None],
        changed: Callable[[Light], None],
    ) -> None:
        self._classifier = classifier
        self._interval = settings.interval_seconds
        self._publish = publish
        self._changed = changed
        self._next = float("-inf")
        self._hysteresis = Hysteresis(
            settings.day_below, settings.night_above, settings.hold_seconds
        )

    @property
    def light(self) -> Light | None:
        """What it is; None: nothing clear was seen yet."""
        return self._hysteresis.light

    def see(self, frame: Frame) -> None:
        """Take a picture in which something can be seen."""
        if frame.time < self._next:
            return
        self._next = frame.time + self._interval
        probability = self._classifier.probability(frame.image)
        log.debug("light: probability of night %.3f", probability)
        change = self._hysteresis.update(probability, frame.time)
        if change is None:
            return
        self._changed(change.light)
        self._publish(
            LightChanged(
                light=change.light,
                probability=round(probability, 4),
                previous=change.previous,
                lasted=None if change.lasted is None else round(change.lasted, 1),
            )
        )

    def interrupt(self) -> None:
        """Nothing can be seen: the camera is covered, or lost."""
        self._hysteresis.interrupt()

    def take_over(self, other: LightWatch) -> None:
        """Go on from what another one knows."""
        self._hysteresis.take_over(other._hysteresis)
        if self.light is not None:
            self._changed(self.light)
