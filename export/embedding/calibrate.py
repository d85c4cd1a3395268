"""Thresholds of a face encoder, and what they cost, on people that it never saw.

Impostor pairs are all pairs of two grown people of whom at least one has a name. They share faces
and are far from independent, so bounds come from drawing people, not pairs, with replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from export.embedding.comparisons import Comparisons
from export.embedding.verification import at_rate

TARGETS = (1e-2, 1e-3, 1e-4, 1e-5)
LEAST_FALSE_MATCHES = 10
"""A threshold that rests on fewer false matches than this is a guess."""
DRAWS = 200
BOUNDS = (2.5, 97.5)


def operating_points(
    comparisons: Comparisons, targets: Sequence[float] = TARGETS, seed: int = 0
) -> list[dict[str, Any]]:
    """The card's table: for each false match rate a threshold, the miss rate at it, and bounds.

    A rate that would rest on fewer than ten false matches has a reason in place of a threshold.
    """
    impostor, genuine = comparisons.impostor, comparisons.genuine
    points: list[dict[str, Any]] = []
    for target in targets:
        expected = int(target * len(impostor))
        if expected < LEAST_FALSE_MATCHES:
            reason = (
                f"{len(impostor)} pairs of strangers leave {expected} false matches at this rate; "
                f"a threshold needs at least {LEAST_FALSE_MATCHES}"
            )
            points.append({"fmr": target, "threshold": None, "reason": reason})
            continue
        threshold = at_rate(impostor, target)
        point: dict[str, Any] = {"fmr": target, "threshold": float(f"{threshold:.6g}")}
        fmr_bounds, fnmr_bounds = bounds(comparisons, threshold, seed)
        point["fmr_bounds"] = fmr_bounds
        if len(genuine):
            point["fnmr"] = float(f"{np.mean(genuine > threshold):.3g}")
            point["fnmr_bounds"] = fnmr_bounds
        points.append(point)
    return points


def bounds(
    comparisons: Comparisons, threshold: float, seed: int = 0
) -> tuple[list[float], list[float]]:
    """95 % bounds of FMR and FNMR at a threshold, by a bootstrap over people.

    A pair counts as often as both its people are drawn, together (Bolle, Ratha and Pankanti, "Error
    analysis of pattern recognition systems: the subsets bootstrap", CVIU 93, 2004).
    """
    rng = np.random.default_rng(seed)
    person = comparisons.person
    count = int(person.max()) + 1
    grown, unnamed = comparisons.grown, comparisons.grown & ~comparisons.named
    faces = np.bincount(person[grown], minlength=count)
    nameless = np.bincount(person[unnamed], minlength=count)
    accepted = comparisons.scores <= threshold
    wrong = np.flatnonzero(accepted & comparisons.strangers)
    genuine = np.flatnonzero(comparisons.same)
    missed = ~accepted[genuine]
    ends = person[comparisons.first[wrong]], person[comparisons.second[wrong]]
    owner = person[comparisons.first[genuine]]
    rates = np.zeros((DRAWS, 2))
    for rate in rates:
        drawn = rng.multinomial(count, np.full(count, 1 / count))
        pairs = _pairs(drawn * faces) - _pairs(drawn * nameless)
        own = drawn[owner]
        rate[0] = (drawn[ends[0]] * drawn[ends[1]]).sum() / max(1, pairs)
        rate[1] = (own * missed).sum() / max(1, own.sum())
    low, high = np.percentile(rates, BOUNDS, axis=0)
    return (
        [float(f"{low[0]:.2g}"), float(f"{high[0]:.2g}")],
        [float(f"{low[1]:.3g}"), float(f"{high[1]:.3g}")],
    )


def _pairs(faces: npt.NDArray[np.intp]) -> float:
    """Pairs of faces of two people, of (people,) faces: half the square of the sum, less those
    inside a person."""
    return float((faces.sum() ** 2 - (faces**2).sum()) / 2)
