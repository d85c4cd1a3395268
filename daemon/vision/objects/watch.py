"""Says what comes into view: once for as long as it stays, however often it is looked at.

Objects of a class are counted, not told apart: two looks a second are too few to follow somebody
who walks. An event is due when more of them are in view than was said, in two looks that follow
each other, since one can be a mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.events import Data, rfc3339
from daemon.vision.events import ObjectSeen
from daemon.vision.frames import Frame
from daemon.vision.objects.detector import (
    Detection,
    ObjectDetector,
    check_names,
    open_object_detector,
)
from daemon.vision.objects.settings import ObjectsConfig


@dataclass(slots=True)
class Presence:
    """How many objects of a class are there."""

    seen: list[float] = field(default_factory=list)
    """When at least one, two, ... of those that were announced were last in view."""
    before: int = 0
    """How many the look before found."""

    def update(self, count: int, time: float, hold: float) -> int | None:
        """Take a look into account.

        Args:
            count: how many were found.
            time: of the look, in seconds.
            hold: seconds after which one that is out of view counts as gone.

        Returns:
            How many there are, if that is to be said.
        """
        while self.seen and time - self.seen[-1] > hold:
            self.seen.pop()
        certain = min(count, self.before)
        more = certain > len(self.seen)
        self.before = count
        for place in range(min(count, len(self.seen))):
            self.seen[place] = time
        if not more:
            return None
        self.seen += [time] * (certain - len(self.seen))
        return certain

    def stay(self, time: float) -> None:
        """Nothing moved until `time`: what the last look found is there; the rest is going."""
        for place in range(min(self.before, len(self.seen))):
            self.seen[place] = time


class ObjectWatch:
    """Looks for objects in a camera's pictures, now and then."""

    def __init__(
        self, detector: ObjectDetector, settings: ObjectsConfig, publish: Callable[[Data], None]
    ) -> None:
        self._detector = detector
        self._settings = settings
        self._publish = publish
        self.card = detector.card
        self._model = f"{detector.card.name} {detector.card.version}"
        self._presences = {name: Presence() for name in detector.classes}
        self._looked: float | None = None
        # Gone is what a look did not find, not what nobody looked for.
        self._hold = max(settings.hold_seconds, 2 * settings.every_seconds)

    @property
    def attentive(self) -> bool:
        """Where nothing moves nothing comes into view."""
        return False

    def look(self, frame: Frame) -> None:
        """Look at a picture, unless the last look was just now."""
        if self._looked is not None and (
            0 <= frame.time - self._looked < self._settings.every_seconds
        ):
            return
        self._looked = frame.time
        found = self._detector.detect(frame.image)
        for name, presence in self._presences.items():
            own = [each for each in found if each.name == name]
            count = presence.update(len(own), frame.time, self._hold)
            if count is not None:
                self._say(own[0], count, frame)

    def pause(self, time: float) -> None:
        """Nothing moves: what the last look found stays."""
        for presence in self._presences.values():
            presence.stay(time)

    def reset(self) -> None:
        """Forget what is there, as after a gap."""
        self._presences = {name: Presence() for name in self._presences}
        self._looked = None

    def _say(self, surest: Detection, count: int, frame: Frame) -> None:
        self._publish(
            ObjectSeen(
                object=surest.name,
                count=count,
                box=[round(value, 1) for value in surest.box],
                score=round(surest.score, 4),
                model=self._model,
                captured=rfc3339(frame.taken),
            )
        )


def open_watch(
    settings: ObjectsConfig,
    providers: list[str],
    threads: int,
    publish: Callable[[Data], None],
) -> ObjectWatch:
    """Load the detector, and watch with it.

    Raises:
        ModelError: it is missing, damaged or not what its card says.
        ConfigError: it does not know a class that is asked for.
    """
    detector = open_object_detector(settings.model, providers, threads, settings.classes)
    check_names(settings.classes, detector.card, "objects.classes")
    if settings.threshold is not None:
        detector.threshold = settings.threshold
    return ObjectWatch(detector, settings, publish)
