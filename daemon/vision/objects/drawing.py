"""Objects drawn into a picture."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Iterable

import cv2
import numpy as np

from daemon.vision.frames import Image
from daemon.vision.objects.detector import Detection
from daemon.vision.objects.names import CLASSES


def draw(image: Image, found: Iterable[Detection]) -> Image:
    """A copy of a picture with a box, a name and a score for each object, the surest on top."""
    drawn = image.copy()
    unit = max(image.shape[:2]) / 640
    thick = max(1, round(2 * unit))
    size = max(0.4, 0.5 * unit)
    for each in sorted(found, key=lambda one: one.score):
        colour = colour_of(each.name)
        x, y, width, height = each.box
        left, top = round(x), round(y)
        right, bottom = round(x + width), round(y + height)
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, thick)
        text = f"{each.name} {each.score:.2f}"
        (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        line = max(high + below, top)
        left = max(0, min(left, image.shape[1] - wide))
        cv2.rectangle(drawn, (left, line - high - below), (left + wide, line), colour, -1)
        cv2.putText(
            drawn, text, (left, line - below), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1,
            cv2.LINE_AA,
        )  # fmt: skip
    return np.asarray(drawn, np.uint8)


def colour_of(name: str) -> tuple[int, int, int]:
    """Blue, green, red of a class: always the same, far apart for the twelve, never dark."""
    if name in CLASSES:
        hue = CLASSES.index(name) * 5 % 12 / 12
    else:
        hue = zlib.crc32(name.encode()) % 360 / 360
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.65, 1.0))
    return blue, green, red
