"""What the vote over a person's templates is worth: false matches and non-matches per person.

    python -m bench.gallery_vote

People of the test part of a set, whom no model was trained on, are enrolled with a few pictures
each, and all other pictures are compared with them: by the score of :mod:`daemon.people.matching`
(the mean of the two nearest templates), by the nearest alone, and by the mean of all. The threshold
has the wanted false match rate for single comparisons of these very pictures, so that the table
shows what a rule makes of that rate; it is nothing to choose a threshold by.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bench.common import json_option, machine, need, plain_errors, shared_option, show, table
from daemon.inference import CPU
from daemon.people.matching import SECOND_FMR
from daemon.vision.encoder import Encoder, open_encoder
from export.data.faces import Face, read_set, select

Array = npt.NDArray[np.floating]
RATES = (1e-2, 1e-3, 1e-4)
ENROLLED = (1, 3, 5)
DRAWS = 4
"""Times that templates are drawn anew."""
LEAST_PICTURES = 10
"""Of a person; who has fewer is left out."""


def _two_nearest(nearest: Array, lead: float) -> Array:
    """The daemon's rule (:func:`daemon.people.matching.vote`)."""
    scores: Array = np.maximum(nearest[:, :2].mean(1), nearest[:, :2][:, -1] - lead)
    return scores


RULES: dict[str, Callable[[Array, float], Array]] = {
    "two nearest": _two_nearest,
    "two nearest, the second of any distance": lambda nearest, _: nearest[:, :2].mean(1),
    "nearest": lambda nearest, _: nearest[:, 0],
    "all": lambda nearest, _: nearest.mean(1),
}
"""Score of a person from the distances of their templates, (n, templates), nearest first, and how
far it may be below the second of them."""


@click.command()
@shared_option
@click.option("--set", "name", default="celeba", show_default=True, help="Set with identities.")
@click.option("--model", default="face", show_default=True, help="Encoder: name or card.")
@json_option
def main(shared: Path, name: str, model: str, as_json: bool) -> None:
    """Compare rules for the score of a person with several templates."""
    with plain_errors():
        folder = need(shared / "data/faces", "sets of faces")
        faces = select(read_set(folder, name), "test")
        encoder = open_encoder(model, [CPU])
        vectors, people = _embed(encoder, faces)
    distances = 2 - 2 * vectors @ vectors.T
    same = people[:, None] == people
    thresholds = {rate: float(np.quantile(distances[~same], rate)) for rate in RATES}
    found: list[dict[str, Any]] = [
        {"templates": count, "rule": rule, "rate": rate, **measured}
        for count in ENROLLED
        for rule in RULES
        if count > 1 or rule == "nearest"
        for rate, measured in _measure(
            distances, people, count, RULES[rule], thresholds, thresholds[SECOND_FMR]
        ).items()
    ]
    facts: dict[str, Any] = {
        "machine": machine(),
        "model": f"{encoder.card.name} {encoder.card.version}",
        "people": len(set(people.tolist())),
        "pictures": len(people),
        "results": found,
    }
    rows = [
        [
            each["templates"],
            each["rule"],
            f"{each['rate']:g}",
            f"{each['fmr']:.2e}",
            f"{each['fmr'] / each['rate']:.2f}",
            f"{each['fnmr']:.3f}",
        ]
        for each in found
    ]
    header = ["templates", "rule", "rate aimed at", "FMR a person", "times", "FNMR"]
    about = f"{facts['model']}: {facts['people']} people, {facts['pictures']} pictures of {name}"
    show(facts, f"{about}\n{table(header, rows)}", as_json)


def _embed(encoder: Encoder, faces: list[Face]) -> tuple[Array, npt.NDArray[np.intp]]:
    """Vectors of the pictures of people with enough of them, and whose each is."""
    by_person: dict[str, list[Face]] = {}
    for face in faces:
        if face.identity is not None:
            by_person.setdefault(face.identity, []).append(face)
    vectors, people = [], []
    for number, pictures in enumerate(by_person.values()):
        if len(pictures) >= LEAST_PICTURES:
            vectors += [encoder.embed(face.read(), face.landmarks) for face in pictures]
            people += [number] * len(pictures)
    return np.array(vectors), np.array(people)


def _measure(
    distances: Array,
    people: npt.NDArray[np.intp],
    count: int,
    rule: Callable[[Array, float], Array],
    thresholds: dict[float, float],
    second: float,
) -> dict[float, dict[str, float]]:
    """False match and non-match rates of comparisons of pictures with people, by aimed rate."""
    rng = np.random.default_rng(3)
    leads = {rate: second - threshold for rate, threshold in thresholds.items()}
    strangers: dict[float, list[Array]] = {rate: [] for rate in thresholds}
    genuine: dict[float, list[Array]] = {rate: [] for rate in thresholds}
    for _ in range(DRAWS):
        for person in np.unique(people):
            own = np.flatnonzero(people == person)
            enrolled = rng.permutation(own)[:count]
            nearest = np.sort(distances[:, enrolled], axis=1)
            for rate, lead in leads.items():
                scores = rule(nearest, lead)
                strangers[rate].append(scores[people != person])
                genuine[rate].append(scores[np.setdiff1d(own, enrolled)])
    return {
        rate: {
            "fmr": float(np.mean(np.concatenate(strangers[rate]) < threshold)),
            "fnmr": float(np.mean(np.concatenate(genuine[rate]) >= threshold)),
        }
        for rate, threshold in thresholds.items()
    }


if __name__ == "__main__":
    main()
