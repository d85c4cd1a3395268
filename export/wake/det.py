"""DET curves: misses against false accepts an hour, as a picture and as a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]
"""Rows of threshold, false accepts an hour, miss rate; thresholds rise."""


def write_csv(curves: Mapping[str, Curve], path: Path) -> None:
    """One row for each corner of each curve."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["curve", "threshold", "false_accepts_per_hour", "miss_rate"])
        for name, curve in curves.items():
            rows.writerows([name, f"{t:.6f}", f"{fa:.4f}", f"{fr:.6f}"] for t, fa, fr in curve)


def draw(curves: Mapping[str, Curve], hours: float, path: Path, title: str) -> None:
    """Draw curves into a PNG.

    Args:
        curves: by name, as :meth:`export.wake.evaluate.Evaluation.det` gives them.
        hours: length of the negatives, named under the axis: one event more or less moves a curve
            by one over this.
        path: the picture.
        title: its title.
    """
    from matplotlib.figure import Figure  # half a second that the text report need not wait for

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    # A logarithmic axis has no zero: "none at all" is drawn at half an event in all the hours.
    none = 0.5 / max(hours, 1e-3)
    for name, curve in curves.items():
        axes.step(np.maximum(curve[:, 1], none), 100 * curve[:, 2], where="post", label=name)
    axes.set_xscale("log")
    axes.axvline(none, color="grey", linewidth=0.8, linestyle=":")
    axes.text(
        none,
        0.98,
        " no false accept",
        transform=axes.get_xaxis_transform(),
        va="top",
        fontsize=8,
        color="grey",
    )
    highest = max(map(_highest_of_use, curves.values()), default=0.0)
    axes.set_ylim(0, max(2.0, min(100.0, 200 * highest)))
    axes.set_xlabel(f"false accepts an hour (over {hours:.1f} h)")
    axes.set_ylabel("misses, %")
    axes.set_title(title)
    axes.grid(which="both", linewidth=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


def _highest_of_use(curve: Curve) -> float:
    """The most misses that buy something: without any false accept, a lower threshold is better."""
    free = curve[:, 1] == 0
    kept = [*curve[~free, 2], *([curve[free, 2].min()] if free.any() else [])]
    return float(max(kept, default=0.0))
