"""Results of detectors as facts, as a table, and as curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.objects.evaluate import RECALLS, SHOWN, Marked, Result


def facts(result: Result, marked: Marked) -> dict[str, Any]:
    """What a report or a card says of a detector."""
    return {
        "pictures": len(marked.images),
        "boxes": len(marked.truth["annotations"]),
        "map50": round(result.map50, 3),
        "map50_95": round(result.map, 3),
        "ap50": {name: round(result.ap50[name], 3) for name in SHOWN if name in result.ap50},
        "boxes_of": {name: marked.boxes(name) for name in SHOWN if name in result.ap50},
        "milliseconds": round(result.median_milliseconds, 2),
    }


def text(results: Sequence[Result], marked: Marked) -> str:
    """A table with a row for each detector."""
    shown = [name for name in SHOWN if any(name in each.ap50 for each in results)]
    header = ["detector", "mAP@0.5", "0.5:0.95", *(f"{n} ({marked.boxes(n)})" for n in shown), "ms"]
    rows = [
        [
            each.name,
            f"{each.map50:.3f}",
            f"{each.map:.3f}",
            *(f"{each.ap50.get(name, float('nan')):.3f}" for name in shown),
            f"{each.median_milliseconds:.2f}",
        ]
        for each in results
    ]
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells]
    boxes = len(marked.truth["annotations"])
    return "\n".join([f"{len(marked.images)} pictures, {boxes} boxes", *lines])


def draw(results: Sequence[Result], marked: Marked, path: Path) -> None:
    """Precision over recall at an overlap of a half: of all classes, and of some alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(results), 4.4), layout="constrained")
    recall = np.linspace(0, 1, RECALLS)
    for axis, result in zip(figure.subplots(1, len(results), squeeze=False)[0], results):
        mean = np.mean(list(result.curves.values()), 0)
        axis.plot(recall, mean, "k", linewidth=2, label=f"all classes: {result.map50:.3f}")
        for name in SHOWN:
            if name in result.curves:
                label = f"{name} ({marked.boxes(name)} boxes): {result.ap50[name]:.3f}"
                axis.plot(recall, result.curves[name], linewidth=1, label=label)
        axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axis.set_title(result.name)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, title="average precision at IoU 0.5", title_fontsize=8)
    figure.savefig(path, dpi=110)
