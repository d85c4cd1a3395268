"""DET curves of face encoders: misses against false matches, as a picture and as a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.embedding.comparisons import Comparisons
from export.embedding.verification import at_rate

Curve = npt.NDArray[np.float64]
"""Rows of threshold, false match rate, false non-match rate; false match rates rise."""
POINTS = 200


def curve(comparisons: Comparisons) -> Curve:
    """The curve at false match rates from ten false matches up, evenly on a logarithmic axis."""
    impostor, genuine = np.sort(comparisons.impostor), np.sort(comparisons.genuine)
    lowest = min(0.1, 10 / max(1, len(impostor)))
    rows = []
    for rate in np.geomspace(lowest, 0.5, POINTS):
        threshold = at_rate(impostor, rate)
        false = np.searchsorted(impostor, threshold, "right") / max(1, len(impostor))
        missed = 1 - np.searchsorted(genuine, threshold, "right") / max(1, len(genuine))
        rows.append((threshold, false, missed))
    return np.array(rows)


def write_csv(curves: Mapping[str, Curve], path: Path) -> None:
    """One row for each point of each curve."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["curve", "threshold", "false_match_rate", "false_non_match_rate"])
        for name, points in curves.items():
            rows.writerows([name, f"{t:.6f}", f"{fm:.3e}", f"{fn:.5f}"] for t, fm, fn in points)


def draw(curves: Mapping[str, Curve], path: Path, title: str) -> None:
    """Draw curves into a PNG, both axes logarithmic."""
    from matplotlib.figure import Figure  # half a second that the text report need not wait for

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        axes.plot(points[:, 1], 100 * np.maximum(points[:, 2], 1e-4), label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("false match rate")
    axes.set_ylabel("false non-match rate, %")
    axes.set_title(title)
    axes.grid(which="both", linewidth=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)
