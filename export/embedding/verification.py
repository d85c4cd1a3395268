"""Measures of verification: are two pictures of one person?

Distances are squared, of unit vectors; a pair is accepted if its distance is at most a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
FOLDS = 10


@dataclass(frozen=True)
class Verification:
    """What a set of pairs says about an encoder."""

    accuracy: float
    """Mean over ten folds; each is judged at the threshold that is best on the other nine."""
    tar_at_1e3: float
    """Genuine pairs accepted at the threshold that lets in one impostor pair of a thousand."""
    auc: float
    threshold: float
    """With the best accuracy over all pairs."""


def measure(distances: Scores, same: npt.NDArray[np.bool_]) -> Verification:
    """Measure labelled pairs, as the protocol of Labeled Faces in the Wild does.

    Args:
        distances: (n,) of each pair.
        same: (n,) whether it shows one person.
    """
    order = np.arange(len(same))
    # Each fold has as many genuine as impostor pairs, as in the published folds.
    fold = np.zeros(len(same), int)
    for kind in (True, False):
        places = order[same == kind]
        fold[places] = np.arange(len(places)) * FOLDS // max(1, len(places))
    hits = []
    for held in range(FOLDS):
        train, test = fold != held, fold == held
        threshold = best_threshold(distances[train], same[train])
        hits.append(np.mean((distances[test] <= threshold) == same[test]))
    genuine, impostor = distances[same], distances[~same]
    return Verification(
        accuracy=float(np.mean(hits)),
        tar_at_1e3=float(np.mean(genuine <= at_rate(impostor, 1e-3))),
        auc=area(genuine, impostor),
        threshold=best_threshold(distances, same),
    )


def best_threshold(distances: Scores, same: npt.NDArray[np.bool_]) -> float:
    """The threshold with the most right answers; between two distances, their mean."""
    order = np.argsort(distances, kind="stable")
    sorted_distances, genuine = distances[order], same[order]
    right = np.cumsum(genuine) + (~genuine).sum() - np.cumsum(~genuine)
    place = int(np.argmax(right))
    following = min(place + 1, len(order) - 1)
    return float((sorted_distances[place] + sorted_distances[following]) / 2)


def at_rate(impostor: Scores, rate: float) -> float:
    """The largest threshold that accepts at most a share `rate` of the impostor pairs.

    It lies just below the first impostor pair too many, so with fewer than 1 / rate pairs none is
    accepted.
    """
    allowed = int(np.floor(rate * len(impostor)))
    ordered = np.partition(np.asarray(impostor, np.float64), allowed)
    # In single precision, as the scores are: the next double below would be rounded back to it.
    return float(np.nextafter(np.float32(ordered[allowed]), np.float32(-np.inf)))


def area(genuine: Scores, impostor: Scores) -> float:
    """Chance that a genuine pair is nearer than an impostor pair (area under the ROC curve)."""
    ranks = np.argsort(np.argsort(np.concatenate([genuine, impostor]), kind="stable"))
    below = ranks[: len(genuine)].sum() - len(genuine) * (len(genuine) - 1) / 2
    return 1 - float(below / (len(genuine) * len(impostor)))
