"""The card of an object detector: how it wants a picture, and how its output codes objects.

Both are data, so that the slot takes detectors that others trained.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from daemon.cards import ModelCard
from daemon.validation import Settings, Text, problem


class ObjectInput(Settings):
    """What the network takes: the whole picture, as large as fits, on a grey ground."""

    width: int = Field(ge=32, le=4096)
    height: int = Field(ge=32, le=4096)
    multiple: int | None = Field(default=None, ge=1, le=256)
    """With it, the sides may be any multiples of it up to `width` and `height`, and are no longer
    than the picture needs."""
    channels: Literal["rgb", "bgr"]
    mean: list[float] = Field(min_length=3, max_length=3)
    """Subtracted from each channel, in the order of `channels`; pixels are 0 to 255."""
    scale: float = Field(gt=0)
    """Multiplied after the mean was subtracted."""
    placement: Literal["corner", "centre"] = "corner"
    """Where the picture lies: in the upper left corner or in the middle."""
    fill: int = Field(default=114, ge=0, le=255)
    """Grey level beside the picture."""


class ObjectOutput(Settings):
    """What the network gives: a row for each place where an object may be.

    A row holds four numbers of the box, then `objectness` if there is one, then a score for each
    class; scores are 0 to 1.
    """

    boxes: Literal["corners", "centre", "distances", "cells"]
    """corners: left, top, right, bottom in pixels of the input. centre: middle, width and height
    in pixels. distances: of left, top, right, bottom from the middle of a cell, in cells (FCOS,
    arXiv:1904.01355). cells: middle from the corner of a cell, and logarithms of width and height,
    in cells (YOLOX, arXiv:2107.08430)."""
    strides: list[int] = Field(default_factory=list)
    """Sides in pixels of the cells, in the order of their rows: for distances and cells."""
    objectness: bool = False
    """Whether the classes' scores count times the fifth number."""
    columns: bool = False
    """Whether rows and columns are exchanged: (columns, rows)."""

    @model_validator(mode="after")
    def _complete(self) -> ObjectOutput:
        if (self.boxes in ("distances", "cells")) != bool(self.strides):
            raise problem("needed with boxes: distances or cells, and only then", "strides")
        return self


class ObjectCard(ModelCard):
    """The card of an object detector."""

    kind: Literal["object-detector"]
    input: ObjectInput
    output: ObjectOutput
    classes: list[Text] = Field(min_length=1)
    """Names, in the order of the output's scores."""
    threshold: float = Field(gt=0, lt=1)
    """Score from which a find is an object."""
    overlap: float = Field(gt=0, lt=1)
    """Intersection over union above which two finds of one class are one object."""

    @model_validator(mode="after")
    def _fits(self) -> ObjectCard:
        for name in self.classes:
            if self.classes.count(name) > 1:
                raise problem(f"{name} is listed twice; keep one", "classes")
        multiple = self.input.multiple
        sides = [self.input.width, self.input.height, *([multiple] if multiple else [])]
        for divisor in [*self.output.strides, *([multiple] if multiple else [])]:
            if divisor < 1 or any(side % divisor for side in sides):
                raise problem(f"{divisor} does not divide the sides of the input", "input")
        return self

    @property
    def width_of_a_row(self) -> int:
        """Numbers in a row of the output."""
        return 4 + self.output.objectness + len(self.classes)

    def described(self) -> dict[str, Any]:
        """What the model file's own metadata must say."""
        return super().described() | {
            "input": self.input.model_dump(),
            "output": self.output.model_dump(),
            "classes": self.classes,
        }
