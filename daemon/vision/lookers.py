"""Several that look at the same pictures."""

from __future__ import annotations

from daemon.vision.frames import Frame
from daemon.vision.pipeline import Looker


class InTurn:
    """Lookers that see each picture one after the other; the first is the most urgent."""

    def __init__(self, *lookers: Looker) -> None:
        self._lookers = lookers

    @property
    def attentive(self) -> bool:
        """Whether one of them wants every picture."""
        return any(each.attentive for each in self._lookers)

    def look(self, frame: Frame) -> None:
        """Look at a picture."""
        for each in self._lookers:
            each.look(frame)

    def pause(self, time: float) -> None:
        """Nothing is to be seen at `time`."""
        for each in self._lookers:
            each.pause(time)

    def reset(self) -> None:
        """Forget whom they follow."""
        for each in self._lookers:
            each.reset()
