"""Cards of the networks that paint: what their graphs take and give."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from daemon.cards import ModelCard
from daemon.validation import Settings

CHANNELS = 3
TERMS = ("content", "style", "variation", "excess")
"""Terms of the loss, in the order in which the gradient graph takes weights and gives values."""


class PaintInput(Settings):
    """What a graph takes: RGB of 0 to 1 in float32, sides that are multiples of a number."""

    channels: Literal["rgb"]
    multiple: int = Field(ge=1, le=64)


class GradientCard(ModelCard):
    """The card of a feature network as a graph of the loss of style transfer and its gradient."""

    kind: Literal["style-gradient"]
    input: PaintInput
    style_widths: list[int] = Field(min_length=1)
    """Channels of the layers whose Gram matrices make the style, the shallowest first."""
    content_width: int = Field(ge=1)
    """Channels of the layer whose features make the content."""
    content_stride: int = Field(ge=1)
    """Pixels from one of its features to the next."""
    content_layer: list[int] = Field(min_length=2, max_length=2)
    """Its block and its place in it, both from 0."""

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {
            "input": self.input.model_dump(),
            "style_widths": self.style_widths,
            "content_width": self.content_width,
            "content_stride": self.content_stride,
            "content_layer": self.content_layer,
        }


class FastStyleCard(ModelCard):
    """The card of a feed-forward network for one style."""

    kind: Literal["style-fast"]
    input: PaintInput

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {"input": self.input.model_dump()}
