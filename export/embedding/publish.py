"""From a trained network to the files that ship: graph, cohort, thresholds, card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from daemon.cards import read_card
from daemon.inference import CPU
from daemon.people.normalisation import CohortNorm
from daemon.vision.cards import EncoderCard
from daemon.vision.encoder import Encoder, open_encoder
from export.convert import OWN_TERMS, plain, publishing, save_card, sha256
from export.data.faces import Face, people, select
from export.data.lfw import Pair
from export.embedding.calibrate import operating_points
from export.embedding.comparisons import CHILD, Comparisons, compare
from export.embedding.compressed import prepared
from export.embedding.evaluate import (
    HeldOut,
    System,
    held_out,
    pair_scores,
    verify,
    without_copies,
)
from export.embedding.groups import worst
from export.embedding.material import Material
from export.embedding.model import deployed
from export.embedding.package import (
    Identity,
    check_parity,
    export_encoder,
    write_card,
)
from export.embedding.recipe import Variant
from export.embedding.teachers import Teacher, VectorStore, together

Vectors = npt.NDArray[np.float32]

RESEARCH = "research and evaluation; for production train on pictures you have rights to"
SUMMARY = "Face encoder, 128-D unit vectors of faces aligned to 112x112"
VERSION = "1"
COHORT = 1000
NEAREST = 200
"""Strangers of the cohort, and how many of them a score is normalised by."""
CHECKED = 16
"""Faces on which the file is compared with the network."""


@dataclass(frozen=True)
class Held:
    """Pictures that no variant learnt from."""

    calibration: list[Face]
    test: list[Face]
    left_out: int
    """Second pictures of unnamed people, which would count as false matches."""
    pairs: tuple[list[Face], list[Pair]] | None
    """Labelled pairs to choose a variant by."""


def keep_apart(
    material: Material,
    teachers: Sequence[Teacher],
    store: VectorStore,
    pairs: tuple[list[Face], list[Pair]] | None,
) -> Held:
    """Take second pictures of unnamed people out of calibration and test; teachers find them."""
    if not teachers:
        return Held(material.calibration, material.test, 0, pairs)
    both = material.calibration + material.test
    kept = [both[place] for place in without_copies(both, together(teachers, store, both))]
    return Held(
        [face for face in kept if face.part == "calibration"],
        [face for face in kept if face.part == "test"],
        len(both) - len(kept),
        pairs,
    )


@dataclass(frozen=True)
class Candidate:
    """A trained variant as it would ship, with what was measured of it."""

    name: str
    variant: Variant
    encoder: Encoder
    parity: float
    figures: dict[str, Any]

    @property
    def merit(self) -> float:
        """What the best variant has most of: genuine pairs accepted, where strangers are not."""
        if "view1_tar_at_far_1e-3" in self.figures:
            return float(self.figures["view1_tar_at_far_1e-3"])
        # Of few pairs the stricter rate cannot be told.
        return -float(self.figures.get("fnmr_at_1e-3", self.figures.get("fnmr_at_1e-2", 1.0)))


def candidate(
    name: str, variant: Variant, net: nn.Module, folder: Path, held: Held, store: VectorStore
) -> Candidate:
    """Write a variant's files into a folder and measure it on the calibration part."""
    shipped = deployed(net)
    path = folder / "face.onnx"
    identity = Identity("face", VERSION, variant.input)
    export_encoder(shipped, path, identity, small=True)
    write_card(path, identity, SUMMARY, OWN_TERMS, {})
    encoder = open_encoder(path, [CPU])
    crops = [encoder.align(face.read(), face.landmarks) for face in held.calibration[:CHECKED]]
    parity = check_parity(shipped, path, prepared(np.stack(crops)).numpy())
    figures: dict[str, Any] = {"steps": variant.recipe.steps}
    figures |= measure(System(name, (Teacher(encoder),)), held, store)
    return Candidate(name, variant, encoder, parity, figures)


def measure(system: System, held: Held, store: VectorStore) -> dict[str, Any]:
    """Figures by which variants and teachers are compared: calibration part, and labelled pairs."""
    figures: dict[str, Any] = {}
    if held.pairs is not None:
        faces, pairs = held.pairs
        result = verify(pair_scores(system.vectors(store, faces), pairs, system.norm), pairs)
        figures["view1_accuracy"] = round(result.accuracy, 4)
        figures["view1_tar_at_far_1e-3"] = round(result.tar_at_1e3, 4)
        figures["view1_auc"] = round(result.auc, 5)
    seen = held_out(held.calibration, system.vectors(store, held.calibration), system.norm)
    for rate, missed in seen.fnmr.items():
        figures[f"fnmr_at_{rate:.0e}".replace("e-0", "e-")] = round(missed, 4)
    return figures


def publish(
    best: Candidate,
    rivals: Mapping[str, dict[str, Any]],
    material: Material,
    held: Held,
    store: VectorStore,
    out: Path,
    terms: Sequence[str],
    teachers: Sequence[Teacher],
) -> Path:
    """Write the shipped files of the best variant into a folder.

    Args:
        best: the variant.
        rivals: figures of all variants and of the teachers, by name.
        material: what was learnt from.
        held: what was kept apart.
        store: keeps vectors.
        out: folder for `face.onnx`, `face.cohort.npy` and `face.yaml`.
        terms: a line for each source of pictures and its terms.
        teachers: who taught it.

    Returns:
        The card.
    """
    strangers = cohort(material.train, best.variant.recipe.seed)
    vectors = store.vectors(best.encoder, strangers).astype(np.float16)
    norm = CohortNorm(vectors.astype(np.float32), NEAREST)
    system = System("face", (Teacher(best.encoder),))
    calibration = system.vectors(store, held.calibration)
    test = system.vectors(store, held.test)
    raw, normalised = (held_out(held.calibration, calibration, each) for each in (None, norm))
    keep = _is_better(normalised, raw)
    comparisons = (normalised if keep else raw).comparisons
    points = operating_points(comparisons, seed=best.variant.recipe.seed)
    on_test = compare(held.test, test, norm if keep else None)
    effect = {
        part: {
            "without": _spread(held_out(faces, seen)),
            "with": _spread(held_out(faces, seen, norm)),
        }
        for part, faces, seen in (
            ("calibration", held.calibration, calibration),
            ("test", held.test, test),
        )
    }
    with publishing(out) as made:
        path, cohort_path = made / "face.onnx", made / "face.cohort.npy"
        path.write_bytes(best.encoder.card.path.read_bytes())
        np.save(cohort_path, vectors)
        write_card(
            path,
            Identity("face", VERSION, best.variant.input),
            SUMMARY,
            RESEARCH if material.prepared else OWN_TERMS,
            {
                "normalise": keep,
                "cohort": {
                    "file": cohort_path.name,
                    "sha256": sha256(cohort_path),
                    "nearest": NEAREST,
                },
                "operating_points": points,
                "seed": best.variant.recipe.seed,
                "data": {
                    "terms": list(terms),
                    "taught_by": {teacher.name: teacher.weight for teacher in teachers},
                    **material.notes,
                    "second_pictures_left_out_of_held_out": held.left_out,
                    "rates_are_of": "grown people: pairs with a child up to "
                    f"{CHILD} do not count, nor pairs of two unnamed faces, who may be one person",
                },
                "recipe": {"variant": best.name, **plain(asdict(best.variant.recipe))},
                "figures": {
                    "parity": {"onnx_to_torch": float(f"{best.parity:.2g}")},
                    "variants_and_teachers": dict(rivals),
                    "test_part": _at_points(on_test, points),
                    "normalisation": effect,
                },
            },
        )
    return out / "face.yaml"


def calibrate_converted(
    card: EncoderCard, faces: Sequence[Face], store: VectorStore
) -> EncoderCard:
    """Give an encoder that was brought into our form thresholds, measured on people kept apart.

    Args:
        card: of the encoder.
        faces: pictures of all parts, of which the training part does not count.
        store: keeps vectors.
    """
    encoder = Teacher(open_encoder(card.path, [CPU]))
    calibration, test = select(faces, "calibration"), select(faces, "test")
    held = keep_apart(Material([], calibration, test, None, {}, False), [encoder], store, None)
    system = System(card.name, (encoder,))
    points = operating_points(compare(held.calibration, system.vectors(store, held.calibration)))
    on_test = compare(held.test, system.vectors(store, held.test))
    told = card.model_dump(exclude_unset=True)
    figures = dict(told["figures"]) | {"test_part": _at_points(on_test, points)}
    fields = told | {"operating_points": points, "figures": figures}
    return read_card(save_card(card.path, fields), EncoderCard)


def cohort(train: Sequence[Face], seed: int) -> list[Face]:
    """Strangers of the training part: one picture of each named person, the rest unnamed."""
    rng = np.random.default_rng([seed, 7])
    named = [train[int(rng.choice(places))] for places in people(train).values()]
    unnamed = [face for face in train if face.identity is None]
    rest = min(max(0, COHORT - len(named)), len(unnamed))
    others = rng.permutation(len(unnamed))[:rest]
    return (named + [unnamed[int(place)] for place in others])[:COHORT]


def _is_better(normalised: HeldOut, plain: HeldOut) -> bool:
    """Whether normalising lowers the worst group's false matches without more misses."""
    strictest = min(plain.fnmr, default=None)
    before, after = worst(plain.groups), worst(normalised.groups)
    if strictest is None or before is None or after is None:
        return False
    return normalised.fnmr[strictest] <= plain.fnmr[strictest] and after.fmr < before.fmr


def _spread(result: HeldOut) -> dict[str, Any]:
    return {
        "fnmr": {f"{rate:g}": round(missed, 4) for rate, missed in result.fnmr.items()},
        "fmr_by_group_at_lowest": {
            f"{group.kind} {group.name}": float(f"{group.fmr:.2g}") for group in result.groups
        },
    }


def _at_points(
    comparisons: Comparisons, points: Sequence[Mapping[str, Any]]
) -> list[dict[str, float]]:
    """Rates on the test part at the thresholds that the calibration part gave."""
    impostor, genuine = comparisons.impostor, comparisons.genuine
    return [
        {
            "fmr_aimed_at": point["fmr"],
            "fmr": float(f"{np.mean(impostor <= point['threshold']):.2g}"),
            "fnmr": float(f"{np.mean(genuine > point['threshold']):.3g}"),
        }
        for point in points
        if point["threshold"] is not None
    ]
