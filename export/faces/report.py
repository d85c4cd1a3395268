"""An evaluation of face detectors as plain facts, as text, as a curve and as a page of errors."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from export.faces import heldout
from export.faces.evaluate import Judged, Measured, Rate, System, judge, threshold_for
from export.faces.teacher import Teacher
from export.sortable import row, write_page

SETS = {
    "composed": "held-out persons in held-out backgrounds, 640 x 480",
    "worn": "the same, darkened, blurred, noisy and compressed",
    "portraits": "LFW view 1 development test, whole pictures",
    "streets": "held-out streets and rooms with people; YuNet is the reference",
    "empty": "held-out pictures without faces",
}
TOGETHER = "together"
"""Name of all sets that show faces, as one."""
ALLOWED = 1.0
"""False faces in a hundred pictures without faces."""
WIDTHS = (20, 40, 80, 160, math.inf)
"""Edges of the groups of faces by width in pixels."""

Results = Mapping[str, Measured]
"""Of one detector, by the names of `SETS`."""


def measure(
    systems: Sequence[System], data: Path, teacher: Teacher, count: int, seed: int
) -> list[Results]:
    """Show every held-out picture to every detector.

    Args:
        systems: the detectors.
        data: folder of data, see :mod:`export.faces.heldout`.
        teacher: the reference where nobody has marked faces.
        count: pictures to compose, for each of the two sets of them.
        seed: decides what is composed.
    """
    bare = heldout.backgrounds(data, teacher)
    shots = {
        "composed": heldout.composed(data, bare, teacher, count, False, seed),
        "worn": heldout.composed(data, bare, teacher, count, True, seed),
        "portraits": heldout.portraits(data, teacher),
        "streets": heldout.streets(data, teacher),
        "empty": heldout.empty(bare),
    }
    judged = {name: judge(systems, each) for name, each in shots.items()}
    return [{name: each[place] for name, each in judged.items()} for place in range(len(systems))]


def facts(system: System, results: Results) -> dict[str, Any]:
    """What was measured of one detector, JSON-ready."""
    limit = threshold_for(results["empty"], ALLOWED)
    return {
        "threshold": system.threshold,
        "at_threshold": _at(results, system.threshold),
        "threshold_at_allowed": limit,
        "at_allowed": _at(results, limit),
    }


def _at(results: Results, threshold: float) -> dict[str, Any]:
    shown = {name: each for name, each in results.items() if name != "empty"}
    together = Measured([picture for each in shown.values() for picture in each.pictures])
    sets = {}
    for name, each in (*shown.items(), (TOGETHER, together)):
        sets[name] = {
            **_found(each, threshold),
            "compared": _found(each.compared, threshold),
            "by_width": {
                f"{low:g}-{high:g}": _rate(each.recall(threshold, low, high))
                for low, high in pairwise(WIDTHS)
            },
            "false_per_hundred": each.false_per_hundred(threshold),
        }
    empty = results["empty"]
    return {
        "sets": sets,
        "false_per_hundred_empty": empty.false_per_hundred(threshold),
        "empty_pictures": len(empty.pictures),
    }


def _found(measured: Measured, threshold: float) -> dict[str, Any]:
    error = measured.landmark_error(threshold)
    return {
        "recall": _rate(measured.recall(threshold)),
        "landmark_error": None if math.isnan(error) else error,
    }


def _rate(rate: Rate) -> dict[str, float]:
    return {
        "value": rate.value,
        "count": rate.count,
        "of": rate.of,
        "low": rate.low,
        "high": rate.high,
    }


def text(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """The facts of detectors, by name, for a person."""
    lines = []
    for name, each in measured.items():
        for title, key, threshold in (
            ("its own threshold", "at_threshold", each["threshold"]),
            (f"{ALLOWED:g} false in 100", "at_allowed", each["threshold_at_allowed"]),
        ):
            at = each[key]
            lines += [
                f"{name}, {title} ({threshold:.3f}): {at['false_per_hundred_empty']:.2f} false "
                f"faces in 100 of {at['empty_pictures']} pictures without faces",
                f"  {'':10} {'found':>35}  {'landmarks':>9}  "
                f"{'compared':>35}  {'landmarks':>9}  by width in pixels",
            ]
            lines += [_line(kind, found) for kind, found in at["sets"].items()]
            lines.append("")
    lines += [f"{name}: {what}" for name, what in SETS.items()]
    lines.append(f"{TOGETHER}: the faces of all sets")
    lines.append(
        "compared: those alone that are large, near enough to the front, bright and sharp enough "
        "for the door to compare them"
    )
    lines.append("landmarks: mean error in eye distances of faces that are not in profile")
    return "\n".join(lines)


def _line(name: str, found: Mapping[str, Any]) -> str:
    groups = ", ".join(
        f"{width}: {100 * each['value']:.1f} %"
        for width, each in found["by_width"].items()
        if each["of"]
    )
    return f"  {name:10} {_share(found)}  {_share(found['compared'])}  {groups}"


def _share(found: Mapping[str, Any]) -> str:
    recall, error = found["recall"], found["landmark_error"]
    share = f"{recall['count']}/{recall['of']} = {100 * recall['value']:.1f} %"
    bounds = f"[{100 * recall['low']:.1f}, {100 * recall['high']:.1f}]"
    shown = "-" if error is None else f"{100 * error:.1f} %"
    return f"{share:>21} {bounds:>13}  {shown:>9}"


def write_curves(results: Mapping[str, Results], folder: Path) -> None:
    """Recall of every set against false faces, into `curve.csv` and `curve.png`."""
    from matplotlib.figure import Figure  # half a second that the text need not wait for

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    none = 50 / max(len(next(iter(results.values()))["empty"].pictures), 1)
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["detector", "set", "threshold", "false_per_hundred_empty", "recall"])
        for (name, each), style in zip(results.items(), ("-", "--", ":", "-.")):
            for place, kind in enumerate(kind for kind in SETS if kind != "empty"):
                points = []
                for threshold in np.arange(0.05, 1.0, 0.01):
                    false = each["empty"].false_per_hundred(float(threshold))
                    recall = each[kind].recall(float(threshold)).value
                    rows.writerow([name, kind, f"{threshold:.2f}", f"{false:.3f}", f"{recall:.5f}"])
                    points.append((max(false, none), 100 * recall))
                axes.plot(*zip(*points), style, color=f"C{place}", label=f"{name}, {kind}")
    axes.set_xscale("log")
    axes.axvline(ALLOWED, color="grey", linewidth=0.8, linestyle=":")
    axes.set(ylim=(80, 100.3), ylabel="faces found, %")
    axes.set_xlabel("false faces in a hundred pictures without faces (left edge: none)")
    axes.grid(which="both", linewidth=0.3)
    axes.legend(fontsize=7)
    figure.savefig(folder / "curve.png", dpi=130)


def write_errors(results: Results, threshold: float, folder: Path, title: str) -> Path:
    """Every picture with a missed or a false face, drawn, and a page of them; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind, measured in results.items():
        wrong = [each for each in measured.pictures if each.image is not None]
        for number, each in enumerate(wrong):
            stem = f"{kind}-{number:03d}.jpg"
            missed, false = _draw(each, threshold, folder / stem)
            picture = f'<img loading="lazy" src="{stem}" alt="drawn faces">'
            values = [kind, each.name, str(missed), str(false)]
            rows.append(row(values, f'<a href="{stem}">{picture}</a>'))
    page = folder / "index.html"
    note = f"threshold {threshold:.2f}; red: missed, yellow: false, green: found; grey: not counted"
    write_page(page, title, note, ("set", "picture", "missed", "false", "drawn"), rows)
    return page


def _draw(judged: Judged, threshold: float, path: Path) -> tuple[int, int]:
    """Draw a picture; returns how many faces are missed and how many finds false."""
    assert judged.image is not None
    image = judged.image.copy()
    missed = judged.scores < threshold
    false = judged.false & (judged.found[:, 14] >= threshold)
    for face, gone in zip(judged.faces, missed):
        _box(image, face[:4], (0, 0, 255) if gone else (0, 200, 0), "")
    for find, wrong in zip(judged.found, false):
        if wrong:
            _box(image, find[:4], (0, 230, 255), f"{find[14]:.2f}")
        elif find[14] >= threshold:
            for x, y in find[4:14].reshape(5, 2):
                cv2.circle(image, (round(float(x)), round(float(y))), 1, (255, 120, 0), -1)
    cv2.imwrite(str(path), image)
    return int(missed.sum()), int(false.sum())


def _box(image: heldout.Image, box: heldout.Array, colour: tuple[int, ...], text: str) -> None:
    x, y, w, h = (round(float(value)) for value in box)
    cv2.rectangle(image, (x, y), (x + w, y + h), colour, 2)
    if text:
        cv2.putText(image, text, (x, max(12, y - 4)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
