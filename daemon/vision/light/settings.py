"""What a person can set about day and night, and what then holds instead of the usual rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, model_validator

from daemon.fields import CommandHook, ModelName
from daemon.validation import Settings, problem
from daemon.vision.light.prepare import Light
from daemon.vision.settings import FacesConfig, MotionConfig


class LightRules(Settings):
    """What holds in one light instead of what `faces` and `camera` say; None: the same."""

    fmr: float | None = Field(default=None, ge=1e-6, le=0.1)
    min_sharpness: float | None = Field(default=None, ge=0, le=1)
    min_brightness: float | None = Field(default=None, ge=0, le=1)
    max_brightness: float | None = Field(default=None, ge=0, le=1)
    motion_threshold: float | None = Field(default=None, gt=0, lt=1)
    run: CommandHook | None = None
    """Runs when it gets so: for the exposure of the camera, for instance."""


class LightConfig(Settings):
    """Telling day from night."""

    enabled: bool = False
    model: ModelName = "daynight"
    interval_seconds: float = Field(default=30.0, ge=0.1, le=3600)
    """From one look to the next; other pictures cost nothing."""
    night_above: float = Field(default=0.7, gt=0, lt=1)
    """Probability of night from which it can get night."""
    day_below: float = Field(default=0.3, gt=0, lt=1)
    """Probability of night up to which it can get day."""
    hold_seconds: float = Field(default=120.0, ge=0, le=3600)
    """How long all looks must say so before it does."""
    day: LightRules | None = None
    night: LightRules | None = None

    @model_validator(mode="after")
    def _band(self) -> LightConfig:
        if not self.day_below < self.night_above:
            raise problem(f"must be below night_above, which is {self.night_above:g}", "day_below")
        return self

    @property
    def hooks(self) -> list[CommandHook]:
        """The commands that run when the light changes."""
        return [each.run for each in (self.day, self.night) if each and each.run]

    def rules(self, light: Light | None) -> LightRules:
        """What holds in a light; nothing of its own while it is not known."""
        rules = {"day": self.day, "night": self.night, None: None}[light]
        return rules or LightRules()


@dataclass(frozen=True, slots=True)
class Conditions:
    """The rules in force."""

    faces: FacesConfig
    motion: MotionConfig


def conditions(faces: FacesConfig, motion: MotionConfig, rules: LightRules) -> Conditions:
    """The usual rules with those of a light over them."""
    quality = _given(rules, ("min_sharpness", "min_brightness", "max_brightness"))
    own = _given(rules, ("fmr",))
    return Conditions(
        faces.model_copy(update={**own, "quality": faces.quality.model_copy(update=quality)}),
        motion
        if rules.motion_threshold is None
        else motion.model_copy(update={"threshold": rules.motion_threshold}),
    )


def _given(rules: LightRules, names: tuple[str, ...]) -> Mapping[str, float]:
    return {name: value for name in names if (value := getattr(rules, name)) is not None}
