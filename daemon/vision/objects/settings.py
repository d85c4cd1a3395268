"""What a person can set about objects."""

from __future__ import annotations

from pydantic import Field

from daemon.fields import ModelName
from daemon.validation import Settings, Text


class ObjectsConfig(Settings):
    """Saying which objects come into view. The door never hears of them."""

    enabled: bool = False
    model: ModelName = "objects"
    """Also what `porter detect` takes."""
    classes: list[Text] = Field(
        default_factory=lambda: ["person", "dog", "backpack", "handbag", "suitcase"], min_length=1
    )
    """What is worth an event."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """Score from which something counts; None: as the detector's card says."""
    every_seconds: float = Field(default=0.5, ge=0.5, le=60)
    """Least time between two looks, so that faces do not wait."""
    hold_seconds: float = Field(default=10.0, ge=1, le=3600)
    """What is out of view for less than this long is not announced again."""
