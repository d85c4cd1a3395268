"""An evaluation of face encoders as plain facts (for JSON) and as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from daemon.vision.cards import OperatingPoint
from export.embedding.calibrate import bounds
from export.embedding.comparisons import Comparisons
from export.embedding.evaluate import HeldOut
from export.embedding.measuring import Measured


def facts(measured: Sequence[Measured]) -> dict[str, Any]:
    """Everything measured, by the name of the system."""
    systems: dict[str, Any] = {}
    for each in measured:
        entry = systems.setdefault(each.system.name, {})
        if each.verification is not None:
            entry["pairs"] = asdict(each.verification)
        if each.held_out is not None:
            entry["held_out"] = _of_held_out(each.held_out, each.points)
    return {"systems": systems}


def _of_held_out(result: HeldOut, points: Sequence[OperatingPoint]) -> dict[str, Any]:
    """Facts of all pairs of held-out faces.

    Args:
        result: the comparisons.
        points: thresholds of the system's card, if it is one that has any.
    """
    comparisons = result.comparisons
    return {
        "faces": len(comparisons.person),
        "genuine_pairs": int(comparisons.same.sum()),
        "impostor_pairs": int(comparisons.strangers.sum()),
        "fnmr_at_fmr": {f"{rate:g}": missed for rate, missed in result.fnmr.items()},
        "groups": [asdict(group) | {"fmr": group.fmr} for group in result.groups],
        "at_card": [_at(comparisons, point) for point in points if point.threshold is not None],
    }


def _at(comparisons: Comparisons, point: OperatingPoint) -> dict[str, Any]:
    threshold = float(point.threshold or 0)
    fmr_bounds, fnmr_bounds = bounds(comparisons, threshold)
    return {
        "fmr_aimed_at": point.fmr,
        "threshold": threshold,
        "fmr": float(np.mean(comparisons.impostor <= threshold)),
        "fmr_bounds": fmr_bounds,
        "fnmr": float(np.mean(comparisons.genuine > threshold)),
        "fnmr_bounds": fnmr_bounds,
    }


def text(facts: Mapping[str, Any]) -> str:
    """The facts for a person."""
    lines: list[str] = []
    width = max(map(len, facts["systems"]), default=0)
    for name, system in facts["systems"].items():
        line = f"{name:{width}}"
        if "pairs" in system:
            pairs = system["pairs"]
            line += (
                f"  pairs: accuracy {pairs['accuracy']:.2%}, TAR at FAR 1e-3 "
                f"{pairs['tar_at_1e3']:.2%}, AUC {pairs['auc']:.5f}"
            )
        if "held_out" in system:
            rates = system["held_out"]["fnmr_at_fmr"].items()
            line += "  held out: " + ", ".join(f"FNMR {v:.2%} at FMR {k}" for k, v in rates)
        lines.append(line)
    for name, system in facts["systems"].items():
        held = system.get("held_out")
        if not held:
            continue
        lines += ["", f"{name}: {held['faces']} faces, {held['genuine_pairs']} genuine pairs, "]
        lines[-1] += f"{held['impostor_pairs']} pairs of strangers"
        for point in held["at_card"]:
            lines.append(
                f"  card's threshold {point['threshold']:.4f} for FMR {point['fmr_aimed_at']:g}: "
                f"FMR {point['fmr']:.2g} {point['fmr_bounds']}, "
                f"FNMR {point['fnmr']:.2%} {point['fnmr_bounds']}"
            )
        if held["groups"]:
            lowest = min(map(float, held["fnmr_at_fmr"]), default=0)
            lines.append(f"  strangers of one group, at overall FMR {lowest:g}:")
        for group in held["groups"]:
            lines.append(
                f"    {group['kind']:9} {group['name']:7} {group['faces']:5} faces "
                f"{group['pairs']:8} pairs  FMR {group['fmr']:.2g}"
            )
    return "\n".join(lines)
