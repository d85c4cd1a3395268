"""The card of a network that tells day from night."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from daemon.cards import ModelCard
from daemon.validation import Settings, Text, problem
from daemon.vision.light.prepare import LABELS


class LightInput(Settings):
    """What the network takes: the whole picture, see :mod:`daemon.vision.light.prepare`."""

    channels: Literal["rgb"]
    side: int = Field(ge=8, le=512)
    """Pixels to which the picture is shrunk, whatever its proportions."""


class LightCard(ModelCard):
    """The card of a day-or-night network."""

    kind: Literal["daynight"]
    input: LightInput
    labels: list[Text]
    """Names of the classes; the output is the probability of the second."""
    threshold: float = Field(gt=0, lt=1)
    """Probability of night from which a single picture is called night."""

    @model_validator(mode="after")
    def _named_alike(self) -> LightCard:
        if self.labels != list(LABELS):
            raise problem(f"must be {', '.join(LABELS)}, in this order", "labels")
        return self

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {"input": self.input.model_dump(), "labels": self.labels}
