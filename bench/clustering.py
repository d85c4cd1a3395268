"""How well faces of people who were never trained on are grouped by person.

    python -m bench.clustering
    python -m bench.clustering --choose

The people are those of CelebA that training kept apart for the test, 40, with at most 20 pictures
each, drawn anew for each try; of some there are fewer. Porter finds and embeds the faces itself, as
`porter cluster` does, and leaves out what is not good enough to be compared. --choose takes the
other people that training kept apart, whose pictures set the thresholds, and compares the settings
that were chosen on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.common import json_option, need, plain_errors, shared_option, show, table
from daemon.cli.elbow_plot import draw_elbow
from daemon.cli.figures import require_drawable
from daemon.config import load_config
from daemon.people.clustering.density import dense
from daemon.people.clustering.elbow import elbow as bend
from daemon.people.clustering.elbow import inertia, tried
from daemon.people.clustering.graph import LINK_FMR, link, whisper
from daemon.people.clustering.grouping import group
from daemon.people.clustering.kmeans import Labels, kmeans
from daemon.people.clustering.scores import Vectors
from daemon.people.clustering.xmeans import INDEPENDENT, components, xmeans
from daemon.vision.cards import EncoderCard
from daemon.vision.examination import open_examiner
from export.data.faces import Face, people, read_set, select

PIXELS = 32
"""Side of the aligned grey faces that k-means on pixels sees."""
RATES = (5e-4, 1e-3, LINK_FMR, 5e-3, 1e-2)
SHARES = (0.5, 0.6, INDEPENDENT, 0.7, 0.8, 1.0)


@dataclass(frozen=True)
class Pile:
    """Faces whose people are known."""

    card: EncoderCard
    vectors: Vectors
    """(n, d)."""
    pixels: npt.NDArray[np.float32]
    """(n, side²)."""
    persons: npt.NDArray[np.intp]
    """(n,)."""
    left_out: dict[str, int]
    """Pictures without a face that can be compared, by reason."""


@dataclass(frozen=True)
class Score:
    """What a grouping is worth."""

    rand: float
    """Adjusted Rand index (Hubert and Arabie, Journal of Classification 2, 1985): 1 is right, 0 is
    chance."""
    purity: float
    """Share of the faces that belong to whom most of their group belong to."""
    groups: int
    people: int


@click.command()
@click.option("--pictures", type=click.IntRange(2), default=20, show_default=True, help="Of each.")
@click.option("--draws", type=click.IntRange(1), default=5, show_default=True)
@click.option("--choose", is_flag=True, help="Compare settings, on other people.")
@click.option("--elbow", type=click.Path(path_type=Path), help="Draw the elbow of the first draw.")
@shared_option
@json_option
def main(
    pictures: int, draws: int, choose: bool, elbow: Path | None, shared: Path, as_json: bool
) -> None:
    """Adjusted Rand index, purity and number of groups of each method."""
    with plain_errors():
        if elbow is not None:
            require_drawable(elbow, "--elbow")
        folder = need(shared / "data/faces", "the shared pictures of faces")
        faces = select(read_set(folder, "celeba"), "calibration" if choose else "test")
        faces = [face for face in faces if face.identity is not None]
        pile = _look(faces)
    methods = _settings(pile.card) if choose else _methods(pile.card)
    tries: dict[str, list[Score]] = {name: [] for name in methods}
    for draw in range(draws):
        chosen = _draw(pile.persons, pictures, np.random.default_rng(draw))
        for name, method in methods.items():
            labels = method(pile, chosen)
            tries[name].append(score(pile.persons[chosen], labels))
    if elbow is not None:
        _draw_elbow(pile, _draw(pile.persons, pictures, np.random.default_rng(0)), elbow)
    means = {name: _mean(found) for name, found in tries.items()}
    facts = {
        "people": len(people(faces)),
        "pictures": len(faces),
        "left_out": pile.left_out,
        "at_most_of_each": pictures,
        "faces_of_a_draw": len(chosen),
        "draws": draws,
        "methods": means,
    }
    show(facts, _text(facts), as_json)


def score(persons: Labels, labels: Labels) -> Score:
    """Compare groups with people, (n,) each."""
    from sklearn.metrics import adjusted_rand_score

    most = sum(int(np.bincount(persons[labels == each]).max()) for each in np.unique(labels))
    return Score(
        rand=float(adjusted_rand_score(persons, labels)),
        purity=most / len(persons),
        groups=len(np.unique(labels)),
        people=len(np.unique(persons)),
    )


Grouper = Callable[[Pile, npt.NDArray[np.intp]], Labels]


def _methods(card: EncoderCard) -> Mapping[str, Grouper]:
    def count(pile: Pile, chosen: npt.NDArray[np.intp]) -> int:
        return len(np.unique(pile.persons[chosen]))

    return {
        "k-means on raw pixels, k given": lambda pile, chosen: (
            kmeans(pile.pixels[chosen], count(pile, chosen)).labels
        ),
        "k-means, k given": lambda pile, chosen: (
            group(pile.vectors[chosen], card, k=count(pile, chosen)).labels
        ),
        "k-means, k at the knee": lambda pile, chosen: (
            group(pile.vectors[chosen], card, "kmeans").labels
        ),
        "X-means": lambda pile, chosen: group(pile.vectors[chosen], card, "xmeans").labels,
        "HDBSCAN": lambda pile, chosen: dense(pile.vectors[chosen], card),
        "Chinese whispers (auto)": lambda pile, chosen: group(pile.vectors[chosen], card).labels,
    }


def _settings(card: EncoderCard) -> Mapping[str, Grouper]:
    def linked(rate: float) -> Grouper:
        return lambda pile, chosen: whisper(link(pile.vectors[chosen], card, rate))

    def cut(share: float) -> Grouper:
        return lambda pile, chosen: xmeans(components(pile.vectors[chosen]), independent=share)

    return {f"Chinese whispers, links at FMR {rate:g}": linked(rate) for rate in RATES} | {
        f"X-means, {share:g} of the coordinates independent": cut(share) for share in SHARES
    }


def _look(faces: list[Face]) -> Pile:
    examiner = open_examiner(load_config())
    vectors, pixels = [], []
    names: list[str] = []
    left_out: Counter[str] = Counter()
    for face in tqdm(faces, desc="looking", unit="picture"):
        image = face.read()
        found = examiner.examine(image)
        if not found:
            left_out["no face"] += 1
        elif (flaw := found[0].fault) is not None:
            left_out[flaw.reason] += 1
        else:
            crop = examiner.encoder.align(image, found[0].face.landmarks)
            grey = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), (PIXELS, PIXELS))
            vectors.append(found[0].vector)
            pixels.append(grey.ravel().astype(np.float32))
            names.append(str(face.identity))
    persons = np.unique(names, return_inverse=True)[1].astype(np.intp)
    card = examiner.encoder.card
    return Pile(card, np.stack(vectors), np.stack(pixels), persons, dict(left_out))


def _draw(
    persons: npt.NDArray[np.intp], pictures: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Places of at most so many faces of each person."""

    def some() -> Iterator[npt.NDArray[np.intp]]:
        for person in np.unique(persons):
            yield rng.permutation(np.flatnonzero(persons == person))[:pictures]

    return np.concatenate(list(some()))


def _draw_elbow(pile: Pile, chosen: npt.NDArray[np.intp], path: Path) -> None:
    people = len(np.unique(pile.persons[chosen]))
    vectors = pile.vectors[chosen]
    ks = tried(2 * people)
    curve = bend(ks, [inertia(vectors, k) for k in ks])
    with plain_errors():
        draw_elbow(curve, people, path, "--elbow", "people that there are")


def _mean(found: list[Score]) -> dict[str, float]:
    means = {
        each.name: round(float(np.mean([getattr(one, each.name) for one in found])), 3)
        for each in fields(Score)
    }
    off = [abs(one.groups - one.people) / one.people for one in found]
    return means | {"groups_off": round(max(off), 3)}


def _text(facts: dict[str, Any]) -> str:
    rows = [
        [name, *(f"{each[key]:.3f}" for key in ("rand", "purity")), f"{each['groups']:.1f}",
         f"{each['groups_off']:.0%}"]
        for name, each in facts["methods"].items()
    ]  # fmt: skip
    left = ", ".join(f"{count} {reason}" for reason, count in facts["left_out"].items())
    head = (
        f"{facts['people']} people, {facts['pictures']} pictures ({left or 'none'} left out); "
        f"at most {facts['at_most_of_each']} of each: {facts['faces_of_a_draw']} faces; "
        f"means of {facts['draws']} draws"
    )
    columns = ["method", "adjusted Rand", "purity", "groups", "most groups off"]
    return f"{head}\n{table(columns, rows)}"


if __name__ == "__main__":
    main()
