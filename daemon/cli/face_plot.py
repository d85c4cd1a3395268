"""The picture of `porter verify --plot` and `porter identify --plot`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daemon.errors import OutputError
from daemon.people.comparison import Compared
from daemon.people.enrolment import from_portrait
from daemon.people.matching import Array, Neighbour
from daemon.people.records import Template

MOST_ROWS = 12
"""Faces that a picture shows; of more, the first."""
COLOURS = {"match": "tab:green", "unknown": "tab:red", "unsure": "tab:orange", "rejected": "0.5"}


def draw(compared: Sequence[Compared], known: Sequence[Template], path: Path) -> None:
    """Draw a row for each face: where it is, the scores of the nearest templates, and their places.

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
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        path.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"--plot: {path}: cannot be written: {reason}") from None


def flat_map(vectors: Array) -> Array:
    """Places in the plane whose distances are as near to those of the vectors as can be.

    Principal coordinates (Gower 1966), which for Euclidean distances are principal components.

    Args:
        vectors: (n, d).

    Returns:
        (n, 2).
    """
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(vectors), 2), np.float32)
    count = min(2, len(sizes))
    places[:, :count] = left[:, :count] * sizes[:count]
    return places


def _face(axis: Any, each: Compared) -> None:
    from matplotlib.patches import Rectangle

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

    nearest = each.match.nearest
    vectors = [each.examined.vector, *(known[one.id].vector for one in nearest)]
    (here, *others) = flat_map(np.stack(vectors))
    for one, (x, y) in zip(nearest, others):
        axis.scatter(x, y, s=30, color=_colour(one, nearest))
        axis.annotate(one.person, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
        if picture := known[one.id].picture:
            image = from_portrait(picture)[..., ::-1]
            box = OffsetImage(image, zoom=40 / max(image.shape[:2]))
            axis.add_artist(AnnotationBbox(box, (x, y), frameon=False))
    axis.scatter(*here, s=90, marker="*", color="black", label="this face", zorder=3)
    axis.set_aspect("equal", adjustable="datalim")
    axis.margins(0.25)
    axis.set_title("distances, in a plane", fontsize=8)
    axis.tick_params(labelsize=6)
    axis.legend(fontsize=7)


def _colour(one: Neighbour, nearest: Sequence[Neighbour]) -> str:
    people = list(dict.fromkeys(each.person for each in nearest))
    return f"C{people.index(one.person) % 10}"
