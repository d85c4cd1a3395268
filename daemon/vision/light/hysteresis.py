"""When it counts as day or night: never after one odd picture, and never back and forth."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.vision.light.prepare import Light


@dataclass(frozen=True, slots=True)
class Change:
    """It got day or night."""

    light: Light
    previous: Light | None
    """None: nothing was known before."""
    lasted: float | None
    """Seconds for which it was the previous light; None: nothing was known before."""


class Hysteresis:
    """A Schmitt trigger with a time to hold.

    Between two thresholds nothing changes. Beyond them it does once every probability for a whole
    time said so: a headlight, a face before the lens or a lamp that is tried changes nothing. The
    first clear picture of all counts at once, since before it nothing is known.
    """

    def __init__(self, day_below: float, night_above: float, hold_seconds: float) -> None:
        """Start knowing nothing.

        Args:
            day_below: probability of night up to which a picture says day.
            night_above: probability of night from which it says night.
            hold_seconds: how long all pictures must say so.
        """
        self._day_below = day_below
        self._night_above = night_above
        self._hold = hold_seconds
        self._since = 0.0
        self._turning: float | None = None
        self.light: Light | None = None
        """What it is; None: nothing clear was seen yet."""

    def update(self, probability: float, time: float) -> Change | None:
        """Take the probability of night at `time` (seconds, growing); the change, if it is one."""
        said = self._said(probability)
        if said is None or said == self.light:
            self._turning = None
            return None
        if self.light is not None:
            self._turning = time if self._turning is None else self._turning
            if time - self._turning < self._hold:
                return None
        lasted = None if self.light is None else time - self._since
        change = Change(said, self.light, lasted)
        self.light, self._since, self._turning = said, time, None
        return change

    def interrupt(self) -> None:
        """Nothing could be seen for a while: what was seen before it does not count on."""
        self._turning = None

    def take_over(self, other: Hysteresis) -> None:
        """Go on with what another one knows, under rules of one's own."""
        self.light, self._since, self._turning = other.light, other._since, None

    def _said(self, probability: float) -> Light | None:
        if probability >= self._night_above:
            return "night"
        return "day" if probability <= self._day_below else None
