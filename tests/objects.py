"""A small detector that answers to colours, and pictures for it: red is a person, green a dog.

It follows the contract of a real one: files, card, metadata, input of any size in steps of 32.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml
from onnx import helper

from tests.models import build_model

Image = npt.NDArray[np.uint8]

CELL = 32
COLOURS = {"person": (0, 0, 255), "dog": (0, 255, 0)}
"""BGR."""
INPUT: dict[str, Any] = {
    "width": 320,
    "height": 320,
    "multiple": CELL,
    "channels": "bgr",
    "mean": [0.0, 0.0, 0.0],
    "scale": 1.0,
    "placement": "corner",
    "fill": 114,
}
OUTPUT: dict[str, Any] = {
    "boxes": "distances",
    "strides": [CELL],
    "objectness": False,
    "columns": False,
}


def street(*places: tuple[str, int, int], columns: int = 10, rows: int = 8) -> Image:
    """A grey picture with a coloured cell for each object: its class, column and row."""
    picture = np.full((rows * CELL, columns * CELL, 3), 90, np.uint8)
    for name, column, row in places:
        y, x = row * CELL, column * CELL
        picture[y : y + CELL, x : x + CELL] = COLOURS[name]
    return picture


def write_video(path: Path, pictures: list[Image], rate: float = 10.0) -> Path:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (width, height))
    assert writer.isOpened()
    for each in pictures:
        writer.write(each)
    writer.release()
    return path


def write_colour_detector(
    folder: Path, name: str = "objects", output: dict[str, Any] | None = None, **changes: Any
) -> Path:
    """Write NAME.onnx and its card, with `changes` in the card; returns the card.

    With `output`, both say that of the output, whether it is true or not.
    """
    # A cell's logit is how much of a colour it has beyond the others; the distances of its box
    # are sigmoid(0) = half a cell, so that the box is the cell.
    mean = 1 / CELL**2 / 20
    weights = np.zeros((4 + len(COLOURS), 3, CELL, CELL))
    for place, colour in enumerate(COLOURS.values()):
        for channel, value in enumerate(colour):
            weights[4 + place, channel] = mean if value else -mean
    bias = np.array([0.0] * 4 + [-4.0] * len(COLOURS))
    model = build_model(
        [
            ("Conv", ["image", "weights", "bias"], ["codes"], {"strides": [CELL, CELL]}),
            ("Sigmoid", ["codes"], ["scores"], {}),
            ("Reshape", ["scores", "flat"], ["columns"], {}),
            ("Transpose", ["columns"], ["objects"], {"perm": [0, 2, 1]}),
        ],
        {"weights": weights, "bias": bias},
        {"flat": [1, 4 + len(COLOURS), -1]},
        inputs={"image": [1, 3, "height", "width"]},
        outputs={"objects": [1, "cells", 4 + len(COLOURS)]},
    )
    described = {
        "kind": "object-detector",
        "name": name,
        "version": "1",
        "input": INPUT,
        "output": output or OUTPUT,
        "classes": list(COLOURS),
    }
    helper.set_model_props(model, {"porter": json.dumps(described)})
    raw = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(raw)
    card = described | {
        "file": f"{name}.onnx",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "licence": "MIT",
        "summary": "Answers to colours; for tests.",
        "threshold": 0.5,
        "overlap": 0.5,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(card | changes, sort_keys=False))
    return path
