"""What a person can set about the door."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from daemon.fields import FilePath
from daemon.validation import Settings, Text, problem


class LockoutConfig(Settings):
    """After too many failures the door ignores everything but a manual order for a while."""

    failures: int = Field(default=5, ge=1, le=100)
    window_seconds: float = Field(default=60.0, ge=1, le=3600)
    seconds: float = Field(default=120.0, ge=1, le=86_400)


LONGEST_ORDER = 7.0
"""Seconds. `porter unlock` waits 10 s for an answer, and systemd as long for the last lock."""


class CommandActuator(Settings):
    """Programs that work the lock: argument lists, no shell."""

    unlock: list[Text] = Field(min_length=1)
    """Gets the seconds of the pulse in PORTER_SECONDS and must lock by itself after them."""
    lock: list[Text] = Field(min_length=1)
    timeout: float = Field(default=3.0, ge=0.1, le=LONGEST_ORDER)


class GpioActuator(Settings):
    """A relay on a GPIO line (extra `gpio`)."""

    chip: FilePath
    line: int = Field(ge=0, le=1023)
    active: Literal["high", "low"] = "high"
    """Level of the line that unlocks."""


class BadgeConfig(Settings):
    """A badge reader that types like a keyboard (extra `badge`)."""

    device: FilePath
    """Such as /dev/input/by-id/usb-...-event-kbd."""


class DoorConfig(Settings):
    """When the door opens, for how long, and by what."""

    mode: Literal["wake", "face", "wake+face", "id+face"] = "wake"
    """wake: events only; face: a match opens; wake+face: the wake word arms, then a match opens;
    id+face: a claimed identity, then a match with just that person."""
    unlock_seconds: float = Field(default=5.0, ge=0.5, le=60)
    """Length of a pulse."""
    max_unlock_seconds: float = Field(default=300.0, ge=0.5, le=3600)
    """Longest manual unlock; nothing and nobody can keep the door open for longer."""
    arm_seconds: float = Field(default=10.0, ge=1, le=120)
    """How long a wake word or a claim waits for a face."""
    cooldown_seconds: float = Field(default=10.0, ge=0, le=3600)
    """After opening for a person, before it opens for the same person again."""
    lockout: LockoutConfig = LockoutConfig()
    actuator: Literal["dry-run", "command", "gpio"] = "dry-run"
    command: CommandActuator | None = None
    gpio: GpioActuator | None = None
    badge: BadgeConfig | None = None

    @model_validator(mode="after")
    def _fits_actuator(self) -> DoorConfig:
        for name in ("command", "gpio"):
            if self.actuator == name and getattr(self, name) is None:
                raise problem(f"actuator is {name}, so its settings are needed: add {name}", name)
        if self.unlock_seconds > self.max_unlock_seconds:
            raise problem(
                f"must not be above max_unlock_seconds, which is {self.max_unlock_seconds:g}",
                "unlock_seconds",
            )
        return self


class ControlConfig(Settings):
    """The local socket through which `porter claim`, `unlock` and `lock` reach the daemon."""

    path: FilePath | None = None
    """None: porter.sock in the runtime directory."""
