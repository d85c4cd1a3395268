"""Boxes that people drew, from the text files that lie beside many public sets of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.errors import SourceError
from daemon.vision.frames import Image

Array = npt.NDArray[np.float32]


def boxes_by_people(path: Path, image: Image, numbers: Mapping[int, int]) -> Array:
    """Boxes that people drew, in YOLO's layout: `images/DAY/X.jpg` has `labels/DAY/X.txt`.

    A line has a number of a class, and x and y of the middle, width and height as shares of the
    picture. Outlines of more points are left out.

    Args:
        path: of the picture.
        image: the picture.
        numbers: classes by their numbers in the file; others are left out.

    Returns:
        (n, 6): left, top, width, height, a score of 1, and the class; none without such a file, and
        none without numbers.

    Raises:
        SourceError: the file is damaged.
    """
    parts = list(path.parts)
    if not numbers or "images" not in parts:
        return np.zeros((0, 6), np.float32)
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    file = Path(*parts).with_suffix(".txt")
    height, width = image.shape[:2]
    rows = []
    try:
        lines = file.read_text().splitlines() if file.exists() else []
        for number, *values in (line.split() for line in lines if line.strip()):
            if int(number) not in numbers or len(values) != 4:
                continue
            x, y, w, h = (float(each) for each in values)
            box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
            rows.append([*box, 1.0, numbers[int(number)]])
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: no boxes in YOLO's layout: {error}") from None
    return np.asarray(rows, np.float32).reshape(-1, 6)
