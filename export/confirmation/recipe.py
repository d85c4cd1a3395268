"""The whole way to a second opinion: gather finds, learn, weigh, export, add to a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from sklearn.linear_model import LogisticRegression

from daemon.cards import check_files, find_card, read_card
from daemon.errors import SourceError
from daemon.inference import CPU, open_session
from daemon.vision.cards import Confirmer as ConfirmerEntry
from daemon.vision.cards import DetectorCard
from daemon.vision.confirmation import SIDE, FaceConfirmer
from daemon.vision.detector import FaceDetector
from export.confirmation.candidates import MARGIN, Candidates, gather
from export.confirmation.model import Confirmer, ConfirmerGraph
from export.confirmation.train import ConfirmerRecipe, train
from export.convert import export_look, plain, publishing, save_card, sha256
from export.faces.calibrate import calibrate
from export.faces.composition import Material
from export.faces.material import Gathered
from export.keys import key

BATCH = 512
"""Finds that are judged at once when both opinions are weighed."""
REGULAR = 1e3
"""How loose the weighing is held (inverse of the penalty): there are three numbers to find."""


@dataclass(frozen=True)
class Plan:
    """Everything that shapes a run."""

    learning: ConfirmerRecipe = field(default_factory=ConfirmerRecipe)
    learnt_from: float = 0.12
    """Score of the detector from which its finds are learnt from: it is surer of what it has not
    seen than of what it learnt itself."""
    candidates: float = 0.3
    """Score from which they are looked at when the detector runs."""
    composed: int = 12_000
    """Composed pictures to learn from, and a tenth of them to weigh with."""
    false_per_hundred: float = 0.5
    """False faces in a hundred pictures at the threshold."""
    checked: int = 300
    """Composed pictures on which the card's recall is measured."""


def scaled(plan: Plan, factor: float, seed: int) -> Plan:
    """A plan with more or fewer steps, and with another seed."""
    steps = max(10, round(factor * plan.learning.steps))
    return replace(plan, learning=replace(plan.learning, steps=steps, seed=seed))


def quick(seed: int) -> Plan:
    """The plan of a smoke test: under a minute."""
    learning = ConfirmerRecipe(steps=120, batch=32, seed=seed)
    return Plan(
        learning, learnt_from=0.05, candidates=0.1, composed=200, false_per_hundred=30.0, checked=40
    )


def run(
    plan: Plan, gathered: Gathered, detector: Path, work: Path, workers: int, data: Sequence[str]
) -> Path:
    """Train, and add the network to the card of a detector, with a new threshold; returns the card.

    Args:
        plan: how.
        gathered: pictures to learn from, and others to weigh and to choose the threshold on.
        detector: the detector's card.
        work: folder of finds, checkpoints and logs, for this material alone.
        workers: processes that look for finds.
        data: lines for the card: what is learnt from, and on which terms.

    Raises:
        ModelError: the detector cannot be read.
        SourceError: it takes nothing, or everything, for a face.
    """
    card = read_card(find_card(detector), DetectorCard)
    check_files(card)
    seed = plan.learning.seed
    finds = _Finds(card, seed, work / key(card.sha256, plan.learnt_from, seed), workers)
    learning = finds.of(gathered.learning, "learning", plan.learnt_from, plan.composed)
    checking = finds.of(gathered.checking, "checking", plan.candidates, plan.composed // 10)
    network = train(plan.learning, learning, finds.work / key(plan.learning, plan.composed))
    first, second, bias = weigh(network, checking)
    with publishing(card.path.parent) as made:
        path = (made / card.path.name).with_suffix(".confirm.onnx")
        graph = ConfirmerGraph(network.fuse(), second, bias).eval()
        described = {"kind": "face-confirmer", "name": card.name, "version": card.version}
        parity = export_look(graph, SIDE, path, "evidence", described)
        entry = ConfirmerEntry(
            file=path.name,
            sha256=sha256(path),
            candidates=plan.candidates,
            weight=round(first, 4),
        )
        confirmed = FaceDetector(
            open_session(card.path, [CPU]),
            card.model_copy(update={"confirmer": entry}),
            confirmer=FaceConfirmer(open_session(path, [CPU])),
        )
        figures = calibrate(
            gathered.checking, confirmed, plan.false_per_hundred, plan.checked, seed
        )
        told: dict[str, Any] = yaml.safe_load(card.path.with_suffix(".yaml").read_text("utf-8"))
        learnt = {
            "faces": int(learning.is_face.sum()),
            "others": int((~learning.is_face).sum()),
            "data": list(data),
            "recipe": plain(asdict(plan)),
            "weights": [round(first, 4), round(second, 4)],
            "bias": round(bias, 4),
            "parity": float(f"{parity:.2g}"),
        }
        measured = (told.get("figures") or {}) | {"calibration": figures, "confirmation": learnt}
        changed = {
            "threshold": figures["threshold"],
            "confirmer": entry.model_dump(mode="json"),
            "figures": measured,
        }
        return card.beside(save_card(made / card.path.name, told | changed).name)


def weigh(network: Confirmer, checking: Candidates) -> tuple[float, float, float]:
    """What the network's log-odds count beside the detector's own, by logistic regression.

    Args:
        network: the second opinion.
        checking: finds that neither of both learnt from.

    Returns:
        Of the log-odds of the detector and of the network the weights, and the bias: their sum are
        the log-odds of both.

    Raises:
        SourceError: among the finds are no faces, or nothing else.
    """
    if checking.is_face.all() or not checking.is_face.any():
        raise SourceError(
            "the calibration part gives no false finds, or no faces, to weigh opinions on; give "
            "more"
        )
    both = np.stack([checking.odds, log_odds(network, checking)], 1)
    fitted = LogisticRegression(C=REGULAR).fit(both, checking.is_face)
    first, second = map(float, fitted.coef_[0])
    return first, second, float(fitted.intercept_[0])


def log_odds(network: Confirmer, finds: Candidates) -> npt.NDArray[np.float32]:
    """(n,) what the network says of finds, as the daemon would cut them out."""
    said = []
    inner = slice(MARGIN, MARGIN + SIDE)
    with torch.inference_mode():
        for first in range(0, len(finds.cuts), BATCH):
            cuts = torch.from_numpy(finds.cuts[first : first + BATCH, inner, inner])
            said.append(network(cuts.permute(0, 3, 1, 2).float() / 255)[:, 0].numpy())
    return np.concatenate(said)


@dataclass(frozen=True)
class _Finds:
    """Finds of one detector, gathered once: they are kept in a folder."""

    card: DetectorCard
    seed: int
    work: Path
    workers: int

    def of(self, material: Material, name: str, least: float, composed: int) -> Candidates:
        kept = self.work / f"{name}-{key(least, composed)}.npz"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            found = gather(material, self.card, least, composed, self.seed, self.workers)
            partial = kept.with_suffix(".tmp.npz")
            np.savez(partial, cuts=found.cuts, is_face=found.is_face, odds=found.odds)
            partial.replace(kept)
        with np.load(kept) as saved:
            return Candidates(saved["cuts"], saved["is_face"], saved["odds"])
