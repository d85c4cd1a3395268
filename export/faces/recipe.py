"""The whole way to a face detector: gather, learn, mine, learn again, calibrate, export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import yaml

from daemon.inference import CPU
from daemon.vision.detector import open_detector
from daemon.vision.face import LANDMARKS
from daemon.vision.priors import STRIDES
from export.convert import OWN_TERMS, plain, publishing, save_card, sha256
from export.faces import sketches
from export.faces.calibrate import calibrate, finder_of
from export.faces.graph import DetectorGraph, check_parity, export
from export.faces.loss import Weights
from export.faces.material import Gathered, Sources, gather, told_of
from export.faces.mining import mine
from export.faces.model import Detector
from export.faces.restore import Start, restore
from export.faces.train import Compositions, FaceDetectRecipe, collate, train
from export.keys import key

NAME, VERSION = "facedetect", "1"
LONGEST_SIDE = 640
"""Pixels to which the daemon reduces larger pictures; the smallest faces that count are then 20."""
OVERLAP = 0.4
"""Above which the daemon takes two finds for one face."""
RESTORED = 64
"""Composed pictures over which the norms of a detector are measured that is gone on from."""
RESEARCH = (
    "research and evaluation: CelebA and UTKFace, among what it was trained on, allow no more; for "
    "production train on pictures you have rights to (porter-export facedetect)"
)


@dataclass(frozen=True)
class Plan:
    """Everything that shapes a run."""

    learning: FaceDetectRecipe = field(
        default_factory=lambda: FaceDetectRecipe(large_every=0, weights=Weights(landmarks=4.0))
    )
    correcting: tuple[FaceDetectRecipe, ...] = (
        FaceDetectRecipe(steps=2_400, rate=2.5e-3, seed=1),
        FaceDetectRecipe(steps=2_600, rate=2.0e-3, tiled=0.35, freeze_stem=True, seed=2),
        FaceDetectRecipe(
            steps=3_600,
            fresh=8,
            rate=2.0e-3,
            tiled=0.25,
            freeze_stem=True,
            weights=Weights(nothing=1.5, landmarks=20.0),
            seed=3,
        ),
        FaceDetectRecipe(
            steps=5_000,
            fresh=10,
            rate=2.5e-3,
            tiled=0.3,
            freeze_stem=True,
            weights=Weights(nothing=1.5, landmarks=20.0),
            seed=4,
        ),
    )
    """Each after mining with the network so far, and from there on; seeds are added to that of
    learning."""
    mined: int = 4_000
    """Pictures without faces that are searched for false ones."""
    false_per_hundred: float = 0.5
    """False faces in a hundred pictures at the threshold; half of what is allowed, as the pictures
    that it is chosen on are few."""
    checked: int = 300
    """Composed pictures on which the card's recall is measured."""


def scaled(plan: Plan, factor: float, seed: int) -> Plan:
    """A plan with more or fewer steps, and with another seed."""

    def change(recipe: FaceDetectRecipe) -> FaceDetectRecipe:
        return replace(recipe, steps=max(10, round(factor * recipe.steps)))

    return replace(
        plan,
        learning=replace(change(plan.learning), seed=seed),
        correcting=tuple(map(change, plan.correcting)),
    )


def going_on() -> Plan:
    """The plan that goes on from a detector that ships, with all of its layers."""
    stage = FaceDetectRecipe(
        steps=18_000,
        fresh=10,
        rate=2.5e-3,
        tiled=0.2,
        whole=0.4,
        weights=Weights(nothing=1.5, landmarks=10.0),
        seed=5,
    )
    return Plan(correcting=(stage,), mined=20_000)


def quick(seed: int, goes_on: bool = False) -> Plan:
    """The plan of a smoke test on drawn faces: under two minutes on two cores."""
    learning = FaceDetectRecipe(
        steps=300,
        batch=16,
        fresh=8,
        side=128,
        large_every=0,
        rate=5e-3,
        precision="float32",
        seed=seed,
    )
    correcting = (replace(learning, steps=60, rate=1e-3, seed=5),) if goes_on else ()
    # With so little learnt, a strict limit would leave a threshold that few faces reach.
    return Plan(learning, correcting, mined=0, false_per_hundred=30.0, checked=40)


def run(
    plan: Plan,
    sources: Sources | None,
    out: Path,
    work: Path,
    workers: int,
    start: Start | None = None,
    terms: Sequence[str] = (),
) -> Path:
    """Train and ship; returns the card.

    Args:
        plan: how.
        sources: where pictures come from; None: drawn ones.
        out: folder of the model.
        work: folder of labels, checkpoints and logs.
        workers: processes that compose pictures.
        start: a detector to go on from, instead of learning from nothing.
        terms: lines for the card: sources of pictures and their terms.
    """
    seed = plan.learning.seed
    if sources is None:
        gathered = Gathered(sketches.material(seed), sketches.material(seed + 1, 100, 60))
    else:
        gathered = gather(sources, work)
    learning = gathered.learning
    run_so_far = key(sources, plan.learning if start is None else start.name)
    if start is None:
        detector = train(plan.learning, learning, work / f"learning-{run_so_far}", workers)
    else:
        shown = Compositions(learning, plan.learning, 0, RESTORED)
        images, _ = collate([shown[number] for number in range(RESTORED)])
        detector = restore(start.network, plan.learning.widths, images.float() / 255)
    out.mkdir(parents=True, exist_ok=True)
    for number, recipe in enumerate(plan.correcting, 1):
        recipe = replace(recipe, seed=seed + recipe.seed)
        run_so_far = key(run_so_far, recipe, plan.mined, seed)
        stage = work / f"correcting-{number}-{run_so_far}"
        with publishing(stage) as draft:
            _ship(detector, draft)
        finder = finder_of(open_detector(stage / f"{NAME}.yaml", [CPU]))
        hard = mine(
            finder, learning.backgrounds, plan.mined, seed + number - 1, stage / "hard.json"
        )
        detector = train(recipe, replace(learning, hard=hard), stage, workers, detector)
    with publishing(out) as made:
        card = _ship(detector, made)
        figures = calibrate(
            gathered.checking,
            open_detector(card, [CPU]),
            plan.false_per_hundred,
            plan.checked,
            seed,
        )
        told = yaml.safe_load(card.read_text(encoding="utf-8"))
        told |= {
            "threshold": figures["threshold"],
            "licence": _licence(sources, start),
            "data": [*told_of(sources, learning), *terms],
            "recipe": plain(asdict(plan)),
            "seed": seed,
            "figures": told["figures"] | {"calibration": figures},
        }
        if start is not None:
            start.hand_down(told, made)
        return out / save_card(made / f"{NAME}.onnx", told).name


def _ship(detector: Detector, out: Path) -> Path:
    """Export a network, compare the file with it, and write a card that still knows little."""
    graph = DetectorGraph(detector)
    path = out / f"{NAME}.onnx"
    export(graph, path, NAME, VERSION, LONGEST_SIDE)
    parity = check_parity(graph, path)
    return save_card(
        path,
        {
            "kind": "face-detector",
            "name": NAME,
            "version": VERSION,
            "file": path.name,
            "sha256": sha256(path),
            "licence": OWN_TERMS,
            "summary": "Faces in a picture: box, five landmarks, score; anchor-free, one stage",
            "input": {"channels": "bgr", "longest_side": LONGEST_SIDE},
            "strides": list(STRIDES),
            "landmarks": list(LANDMARKS),
            "threshold": 0.5,
            "overlap": OVERLAP,
            "figures": {"parity": float(f"{parity:.2g}")},
        },
    )


def _licence(sources: Sources | None, start: Start | None) -> str:
    if sources is not None and sources.faces is not None:
        return RESEARCH
    return OWN_TERMS if start is None else start.licence
