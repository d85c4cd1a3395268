"""The elbow picture of `porter cluster`."""

from __future__ import annotations

from pathlib import Path

from daemon.cli.figures import save
from daemon.people.clustering.elbow import Elbow


def draw_elbow(
    elbow: Elbow, count: int, path: Path, option: str, counted: str = "people that were found"
) -> None:
    """Draw how the inertia of k-means falls with k, where it bends, and another number beside it.

    Args:
        elbow: the curve.
        count: of people.
        path: of the picture.
        option: that says where.
        counted: what `count` is.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot(elbow.ks, elbow.inertias, marker="o", markersize=3, color="tab:blue")
    axis.axvline(
        elbow.knee, color="tab:orange", linestyle="--", label=f"knee of the curve: {elbow.knee}"
    )
    axis.axvline(count, color="tab:green", linestyle=":", label=f"{counted}: {count}")
    axis.set(xlabel="k, groups", ylabel="inertia (sum of squared distances)")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8)
    save(figure, path, option, dpi=110)
