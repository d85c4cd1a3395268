"""Error analysis: the genuine pairs that look least alike and the strangers who look most alike."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.alignment import align
from export.data.faces import Face
from export.sortable import row, write_page

Scores = npt.NDArray[np.floating]
COLUMNS = ("kind", "score", "margin", "first", "second", "ages", "genders", "origins")


@dataclass(frozen=True)
class Case:
    """One line of the report."""

    kind: str
    """`miss` or `false match`, `near miss` or `near match` for those next to the threshold."""
    score: float
    margin: float
    """How far the score is on the wrong side of the threshold; negative on the right side."""
    first: Face
    second: Face


def worst(
    faces: Sequence[Face],
    first: npt.NDArray[np.intp],
    second: npt.NDArray[np.intp],
    scores: Scores,
    same: npt.NDArray[np.bool_],
    other: npt.NDArray[np.bool_],
    threshold: float,
    count: int,
) -> list[Case]:
    """The `count` worst genuine and the `count` worst impostor pairs, the worst first.

    Args:
        faces: (n).
        first: (pairs,) place of the first face.
        second: (pairs,) place of the second face.
        scores: (pairs,) lower is more alike.
        same: (pairs,) whether both are one person.
        other: (pairs,) whether they are two people.
        threshold: highest score that is a match.
        count: of each kind.
    """
    genuine, impostor = np.flatnonzero(same), np.flatnonzero(other)
    far = genuine[np.argsort(-scores[genuine])[:count]]
    near = impostor[np.argsort(scores[impostor])[:count]]
    cases = []
    for place in far:
        kind = "miss" if scores[place] > threshold else "near miss"
        cases.append(_case(kind, faces, first, second, place, scores, scores[place] - threshold))
    for place in near:
        kind = "false match" if scores[place] <= threshold else "near match"
        cases.append(_case(kind, faces, first, second, place, scores, threshold - scores[place]))
    return cases


def _case(
    kind: str,
    faces: Sequence[Face],
    first: npt.NDArray[np.intp],
    second: npt.NDArray[np.intp],
    place: np.intp,
    scores: Scores,
    margin: float,
) -> Case:
    pair = faces[first[place]], faces[second[place]]
    return Case(kind, float(scores[place]), float(margin), *pair)


def write_report(cases: Sequence[Case], threshold: float, folder: Path, title: str) -> Path:
    """Write `index.html`, `errors.csv` and a picture for each case into a folder.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with (folder / "errors.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number, case in enumerate(cases):
            stem = f"{number:03d}"
            sides = [align(face.read(), face.landmarks) for face in (case.first, case.second)]
            _, coded = cv2.imencode(".jpg", np.hstack(sides))
            (folder / f"{stem}.jpg").write_bytes(coded.tobytes())
            values = _values(case)
            table.writerow(values)
            rows.append(row(values, f'<img loading="lazy" src="{stem}.jpg" alt="the pair">'))
    page = folder / "index.html"
    note = f"Threshold {threshold:.4f}; a score at or below it is a match"
    write_page(page, title, note, (*COLUMNS, "pair"), rows)
    return page


def _values(case: Case) -> list[str]:
    both = (case.first, case.second)
    return [
        case.kind,
        f"{case.score:.4f}",
        f"{case.margin:+.4f}",
        *(face.name for face in both),
        " / ".join(str(face.age if face.age is not None else "?") for face in both),
        " / ".join(face.gender or "?" for face in both),
        " / ".join(face.ethnicity or "?" for face in both),
    ]
