"""How many pictures must agree before anything is said about a tracked face."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from daemon.vision.settings import ConsensusConfig

VerdictT = TypeVar("VerdictT")


@dataclass(frozen=True, slots=True)
class Agreement(Generic[VerdictT]):
    """What enough good pictures agree on."""

    verdict: VerdictT
    frames: int
    first: float
    """Time of the first picture that agreed, in seconds."""
    last: float
    """Time of the last, which is the present one."""


class Consensus(Generic[VerdictT]):
    """The verdicts of one tracked face, a good picture each.

    There is agreement when the last k verdicts are the same and lie within t seconds. One that
    differs begins the count anew: somebody who looks like two people is neither.
    """

    def __init__(self, settings: ConsensusConfig) -> None:
        self._settings = settings
        self._times: deque[float] = deque()
        self._verdict: VerdictT | None = None

    def add(self, verdict: VerdictT, time: float) -> Agreement[VerdictT] | None:
        """Take the verdict on the picture of `time` (seconds, not decreasing)."""
        if verdict != self._verdict:
            self._times.clear()
            self._verdict = verdict
        self._times.append(time)
        while time - self._times[0] > self._settings.seconds:
            self._times.popleft()
        if len(self._times) < self._settings.frames:
            return None
        return Agreement(verdict, len(self._times), self._times[0], time)
