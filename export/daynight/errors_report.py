"""Error analysis: the pictures that are most surely taken for the wrong light, to look at and sort.

What is missing in the training data shows here, and so do labels that are wrong.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.frames import Image
from daemon.vision.light.prepare import LABELS, shrink
from export.daynight.evaluate import brightness
from export.daynight.material import Pictures
from export.sortable import row, write_page

SHOWN = 200
"""Pixels of the longest side of a picture on the page."""
CELL, CAPTION = 160, 18
"""Pixels of a picture on the sheet, and of the line above it."""
SHEET_ROWS, SHEET_COLUMNS = 2, 6
COLUMNS = ("kind", "night", "margin", "label", "brightness", "path")

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """One line of the report."""

    kind: str
    """`error`, or `near error` for those that are right, but barely."""
    path: Path
    image: Image
    label: str
    night: float
    """Probability that was given."""
    margin: float
    """How far it is on the wrong side of the threshold; negative on the right side."""


def worst(pictures: Pictures, night: Values, threshold: float, count: int) -> list[Case]:
    """The `count` worst pictures of each class, the worst first."""
    margins = np.where(pictures.labels == 1, threshold - night, night - threshold)
    cases = []
    for number, name in enumerate(LABELS):
        own = np.flatnonzero(pictures.labels == number)
        for place in own[np.argsort(-margins[own], kind="stable")[:count]]:
            wrong = (night[place] >= threshold) != (number == 1)
            cases.append(
                Case(
                    "error" if wrong else "near error",
                    pictures.paths[place],
                    pictures.images[place],
                    name,
                    float(night[place]),
                    float(margins[place]),
                )
            )
    return sorted(cases, key=lambda case: -case.margin)


def write_report(
    cases: Sequence[Case], threshold: float, side: int, folder: Path, title: str
) -> Path:
    """Write `index.html`, `errors.csv`, a picture for each case and a sheet of the worst.

    Args:
        cases: what to show.
        threshold: probability of night from which a picture is called night.
        side: pixels to which the network shrinks a picture; it is shown so, too.
        folder: is made if it is not there.
        title: of the page.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with (folder / "errors.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number, case in enumerate(cases):
            name = f"{number:03d}.jpg"
            cv2.imwrite(str(folder / name), _beside(case.image, side))
            values = [
                case.kind,
                f"{case.night:.4f}",
                f"{case.margin:+.4f}",
                case.label,
                f"{float(brightness([case.image])[0]):.3f}",
                str(case.path),
            ]
            table.writerow(values)
            rows.append(row(values, f'<img loading="lazy" src="{name}" alt="the picture">'))
    if cases:
        cv2.imwrite(str(folder / "worst.jpg"), _sheet(cases))
    page = folder / "index.html"
    wrong = sum(case.kind == "error" for case in cases)
    note = (
        f"{wrong} of these {len(cases)} are wrong at threshold {threshold:.2f}; right beside each "
        f"picture is what the network sees of it, {side} x {side} pixels"
    )
    write_page(page, title, note, (*COLUMNS, "picture"), rows)
    return page


def draw(pictures: Pictures, night: Values, threshold: float, path: Path) -> None:
    """Every picture as a point, its mean brightness against the probability of night, as a PNG."""
    from matplotlib.figure import Figure  # half a second that a run without it need not wait for

    levels = brightness(pictures.images)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, mark) in enumerate(zip(LABELS, "o^")):
        own = pictures.labels == number
        wrong = int(((night[own] >= threshold) != (number == 1)).sum())
        label = f"labelled {name}: {wrong} of {int(own.sum())} wrong"
        axes.plot(levels[own], night[own], f"C{1 - number}{mark}", ms=4, label=label, alpha=0.7)
    axes.axhline(threshold, color="grey", linewidth=0.8, linestyle="--")
    axes.set(ylim=(-0.03, 1.03), xlim=(0, None))
    axes.set(xlabel="mean brightness of the picture", ylabel="probability of night")
    axes.legend(loc="upper right")
    figure.savefig(path, dpi=110)


def _sheet(cases: Sequence[Case]) -> Image:
    """The worst cases in a grid, each with its label and the probability of night."""
    cells = np.full((SHEET_ROWS * SHEET_COLUMNS, CELL + CAPTION, CELL, 3), 255, np.uint8)
    for cell, case in zip(cells, cases):
        height, width = case.image.shape[:2]
        scale = (CELL - 4) / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(case.image, size, interpolation=cv2.INTER_AREA)
        cell[CAPTION : CAPTION + size[1], : size[0]] = small
        text = f"{case.label}, night {case.night:.2f}"
        cv2.putText(cell, text, (1, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    grid = cells.reshape(SHEET_ROWS, SHEET_COLUMNS, CELL + CAPTION, CELL, 3)
    return np.concatenate([np.concatenate(list(row), 1) for row in grid])


def _beside(image: Image, side: int) -> Image:
    """The picture and, as high, what the network sees of it."""
    scale = SHOWN / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    large = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(shrink(image, side), (size[1],) * 2, interpolation=cv2.INTER_NEAREST)
    return np.hstack([large, seen]).astype(np.uint8)
