"""The elbow picture of `porter cluster`."""

from __future__ import annotations

from pathlib import Path

from daemon.errors import OutputError
from daemon.people.clustering.elbow import Elbow


def draw_elbow(elbow: Elbow, found: int, path: Path) -> None:
    """Draw how the inertia of k-means falls with k, where it bends, and how many were found.

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
    axis.axvline(found, color="tab:green", linestyle=":", label=f"people that were found: {found}")
    axis.set(xlabel="k, groups", ylabel="inertia (sum of squared distances)")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8)
    try:
        path.unlink(missing_ok=True)
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from None
