"""The picture of `porter verify --plot` and `porter identify --plot`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daemon.cli.figures import save
from daemon.people.comparison import Compared
from daemon.people.enrolment import from_portrait
from daemon.people.matching import Array, Neighbour
from daemon.people.records import Template

MOST_ROWS = 12
"""Faces that a picture shows; of more, the first."""
COLOURS = {"match": "tab:green", "unknown": "tab:red", "unsure": "tab:orange", "rejected": "0.5"}


def draw(compared: Sequence[Compared], known: Sequence[Template], path: Path) -> None:
    """Draw a row for each face: where it is, and how near the nearest templates are.

    Args:
        compared: what was compared.
        known: the templates; pictures that were kept are shown.
        path: of the picture to write.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    shown = compared[:MOST_ROWS]
    by_id = {each.id: each for each in known}
    figure = Figure(figsize=(13, 3.8 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 3, squeeze=False, width_ratios=[1.2, 1.2, 1])
    for (face, bars, places), each in zip(axes, shown):
        _face(face, each)
        _bars(bars, each, by_id)
        _places(places, each, by_id)
    save(figure, path, "--plot", dpi=110)


def around(probe: Array, vectors: Array) -> Array:
    """Places in the plane around a probe, each as far from it as it is in truth.

    Only the directions are flattened, onto the two principal axes of all of them.

    Args:
        probe: (d,), which is at 0, 0.
        vectors: (n, d).

    Returns:
        (n, 2); their squared distances from the probe are the lengths.
    """
    directions = vectors - probe
    axes = np.linalg.svd(directions, full_matrices=False)[2][:2]
    angles = np.arctan2(*(directions @ np.pad(axes, ((0, 2 - len(axes)), (0, 0))).T).T)
    distances = np.sum(directions**2, 1)
    return np.asarray(distances * (np.sin(angles), np.cos(angles)), np.float32).T


def _face(axis: Any, each: Compared) -> None:
    from matplotlib.patches import Rectangle

    assert each.image is not None, "kept for this"
    axis.imshow(each.image[..., ::-1])
    x, y, width, height = (float(value) for value in each.examined.face.box)
    colour = COLOURS[each.decision]
    axis.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=2))
    axis.scatter(*each.examined.face.landmarks.T, s=9, color="cyan", edgecolor="black", zorder=3)
    axis.set_title(f"{each.photo.name}\n{each.decision}", color=colour, fontsize=9)
    axis.axis("off")


def _bars(axis: Any, each: Compared, known: dict[str, Template]) -> None:
    nearest = each.match.nearest
    names = [f"{one.person}: {known[one.id].source}"[:40] for one in nearest]
    rows = range(len(nearest))
    axis.barh(
        rows, [one.score for one in nearest], color=[_colour(one, nearest) for one in nearest]
    )
    axis.axvline(each.match.threshold, color="black", linestyle=":", label="threshold")
    axis.set_yticks(rows, names, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("score (lower is nearer)", fontsize=8)
    axis.legend(fontsize=7)


def _places(axis: Any, each: Compared, known: dict[str, Template]) -> None:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage
    from matplotlib.patches import Circle

    nearest = each.match.nearest
    axis.scatter(0, 0, s=90, marker="*", color="black", label="this face", zorder=3)
    axis.set_title("squared distances from this face", fontsize=8)
    axis.set_aspect("equal", adjustable="datalim")
    axis.margins(0.25)
    axis.tick_params(labelsize=6)
    # The threshold is one of distance only where scores are distances.
    if all(one.score == one.distance for one in nearest):
        ring = Circle((0, 0), each.match.threshold, fill=False, linestyle=":", label="threshold")
        axis.add_patch(ring)
    axis.legend(fontsize=7)
    if not nearest:
        return
    places = around(each.examined.vector, np.stack([known[one.id].vector for one in nearest]))
    for one, (x, y) in zip(nearest, places):
        axis.scatter(x, y, s=30, color=_colour(one, nearest))
        axis.annotate(one.person, (x, y), xytext=(0, -26), textcoords="offset points", fontsize=7)
        if picture := known[one.id].picture:
            image = from_portrait(picture)[..., ::-1]
            box = OffsetImage(image, zoom=32 / max(image.shape[:2]))
            axis.add_artist(AnnotationBbox(box, (x, y), frameon=False))


def _colour(one: Neighbour, nearest: Sequence[Neighbour]) -> str:
    people = list(dict.fromkeys(each.person for each in nearest))
    return f"C{people.index(one.person) % 10}"
