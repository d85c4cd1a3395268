"""One run over several encoders: opens them, reads the faces, measures, writes the files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.inference import CPU
from daemon.vision.cards import OperatingPoint
from daemon.vision.encoder import open_encoder
from export.data.cache import cache_folder
from export.data.faces import Face
from export.data.lfw import Pair, read_pairs
from export.embedding import det, errors_report
from export.embedding.evaluate import (
    HeldOut,
    System,
    as_shipped,
    held_out,
    pair_scores,
    peers,
    verify,
    without_copies,
)
from export.embedding.material import Sources, finder_of, read
from export.embedding.teachers import VectorStore, open_teachers, together
from export.embedding.verification import Verification, at_rate

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """One system and what was measured of it."""

    system: System
    points: Sequence[OperatingPoint]
    """Of its card; empty for a peer."""
    verification: Verification | None
    labelled: tuple[list[Face], list[Pair], Scores] | None
    """Faces, pairs and their scores."""
    faces: list[Face]
    held_out: HeldOut | None


def measure_all(
    models: Sequence[Path | str],
    teachers: Sequence[str],
    pairs: tuple[Path, Path] | None,
    sources: Sources,
) -> list[Measured]:
    """Measure encoders and their peers on the same faces.

    Args:
        models: encoders, measured as the daemon uses them.
        teachers: peers, as `MODEL[:WEIGHT]`.
        pairs: archive and list of labelled pairs, or None.
        sources: faces of which all pairs are compared; may be empty.

    Raises:
        PorterError: a model or a picture cannot be read, or an option is missing.
    """
    cache = cache_folder() / "faces"
    store = VectorStore(cache / "vectors")
    opened = open_teachers(teachers, cache / "teachers")
    systems = [as_shipped(open_encoder(model, [CPU])) for model in models]
    if len({system.name for system in systems}) < len(systems):
        # Two versions of one model: tell them apart by where they lie.
        systems = [replace(each, name=str(path)) for each, path in zip(systems, models)]
    labelled = read_pairs(*pairs, finder_of(sources.finder)) if pairs is not None else None
    faces, _ = read(sources, cache)
    if opened and faces:
        kept = without_copies(faces, together(opened, store, faces))
        faces = [faces[place] for place in kept]
    plain = [
        replace(each, name=f"{each.name}, not normalised", norm=None, shipped=False)
        for each in systems
        if each.norm is not None
    ]
    everything = [*systems, *plain, *peers(opened)]
    return [_measure(system, store, labelled, faces) for system in everything]


def _measure(
    system: System,
    store: VectorStore,
    labelled: tuple[list[Face], list[Pair]] | None,
    faces: list[Face],
) -> Measured:
    verification = scored = None
    if labelled is not None:
        scores = pair_scores(system.vectors(store, labelled[0]), labelled[1], system.norm)
        verification = verify(scores, labelled[1])
        scored = (*labelled, scores)
    held = held_out(faces, system.vectors(store, faces), system.norm) if faces else None
    points = system.encoders[0].encoder.card.operating_points if system.shipped else ()
    return Measured(system, points, verification, scored, faces, held)


def write_files(
    measured: Sequence[Measured],
    facts: Mapping[str, Any],
    out: Path | None,
    errors: Path | None,
    worst: int,
) -> None:
    """Write the DET curves and the facts into `out`, and pages of the worst pairs into `errors`."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(facts, indent=2) + "\n")
        curves = {
            each.system.name: det.curve(each.held_out.comparisons)
            for each in measured
            if each.held_out is not None
        }
        if curves:
            det.write_csv(curves, out / "det.csv")
            det.draw(curves, out / "det.png", "Face encoders: DET")
    if errors is not None:
        for each in measured:
            _write_errors(each, errors / each.system.name.replace(" ", "-"), worst)


def _write_errors(each: Measured, folder: Path, count: int) -> None:
    if each.labelled is not None and each.verification is not None:
        faces, pairs, scores = each.labelled
        first = np.array([pair.first for pair in pairs])
        second = np.array([pair.second for pair in pairs])
        same = np.array([pair.same for pair in pairs])
        threshold = each.verification.threshold
        cases = errors_report.worst(faces, first, second, scores, same, ~same, threshold, count)
        title = f"{each.system.name}: labelled pairs"
        errors_report.write_report(cases, threshold, folder / "pairs", title)
    if each.held_out is not None:
        pairs_of = each.held_out.comparisons
        threshold = at_rate(pairs_of.impostor, min(each.held_out.fnmr))
        cases = errors_report.worst(
            each.faces,
            pairs_of.first,
            pairs_of.second,
            pairs_of.scores,
            pairs_of.same,
            pairs_of.strangers,
            threshold,
            count,
        )
        title = f"{each.system.name}: held-out faces"
        errors_report.write_report(cases, threshold, folder / "held-out", title)
