"""An evaluation as plain facts (for JSON) and as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from export.wake.evaluate import Evaluation, Point, Rate, groups

KEYS = {
    "label": lambda clip: clip.label,
    "source": lambda clip: clip.source,
    "speaker": lambda clip: clip.speaker or "",
}
SHOWN_GROUPS = 12
"""Rows of a table of groups in the text; the JSON has all."""


def facts(evaluations: Mapping[str, Evaluation], allowed: int) -> dict[str, Any]:
    """Everything measured, as JSON-ready values.

    Args:
        evaluations: by a name for the model and the condition; all over the same clips.
        allowed: the highest number of false accepts among the operating points.
    """
    any_of_them = next(iter(evaluations.values()))
    return {
        "positive_clips": len(any_of_them.positives),
        "negative_clips": len(any_of_them.negatives),
        "negative_hours": any_of_them.negative_hours,
        "evaluations": {name: _facts(each, allowed) for name, each in evaluations.items()},
    }


def _facts(evaluation: Evaluation, allowed: int) -> dict[str, Any]:
    rule = evaluation.rule
    numbers = sorted({number for number in (0, 1, 3, 10, 30, 100) if number < allowed} | {allowed})
    return {
        "rule": asdict(rule),
        "at_threshold": _point(evaluation.at(rule.threshold)),
        "at_false_accepts": {str(n): _point(evaluation.allowing(n)) for n in numbers},
        "by": {
            name: [
                {
                    "name": group.name,
                    "misses": _rate(group.misses),
                    "false_accepts": _rate(group.false_accepts),
                }
                for group in groups(evaluation, rule.threshold, key)
            ]
            for name, key in KEYS.items()
        },
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "threshold": point.threshold,
        "misses": _rate(point.misses),
        "false_accepts": _rate(point.false_accepts),
    }


def _rate(rate: Rate) -> dict[str, float | None]:
    # JSON has no infinity: the bound of a rate over no time at all is unknown.
    return {name: value if isfinite(value) else None for name, value in asdict(rate).items()}


def text(measured: dict[str, Any]) -> str:
    """The facts for a person."""
    lines = [
        f"{measured['positive_clips']} clips of the word, {measured['negative_clips']} clips "
        f"without it ({measured['negative_hours']:.2f} h); 95 % confidence in brackets"
    ]
    for name, each in measured["evaluations"].items():
        rule = each["rule"]
        lines += [
            "",
            f"{name} (smoothing {rule['smoothing']}, refractory {rule['refractory']:g} s)",
            f"  {'':22} threshold  misses{'':28} false accepts an hour",
        ]
        lines.append(_line("at its own threshold", each["at_threshold"]))
        for allowed, point in each["at_false_accepts"].items():
            lines.append(_line(f"at most {allowed} false accepts", point))
        for key, found in each["by"].items():
            lines += _groups(key, found)
    return "\n".join(lines)


def _line(name: str, point: dict[str, Any]) -> str:
    return (
        f"  {name:23} {point['threshold']:8.4f}  {_misses(point['misses']):34} "
        f"{_accepts(point['false_accepts'])}"
    )


def _groups(key: str, found: list[dict[str, Any]]) -> list[str]:
    wrong = [
        group for group in found if group["misses"]["count"] or group["false_accepts"]["count"]
    ]
    if len(found) < 2 or not wrong:
        return []
    lines = [f"  by {key}, at its own threshold ({len(wrong)} of {len(found)} with errors):"]
    for group in wrong[:SHOWN_GROUPS]:
        lines.append(
            f"    {group['name']:30}  {_misses(group['misses']):34} "
            f"{_accepts(group['false_accepts'])}"
        )
    return lines


def _misses(rate: dict[str, Any]) -> str:
    if not rate["of"]:
        return "-"
    return (
        f"{rate['count']}/{rate['of']} = {100 * rate['value']:.1f} % "
        f"[{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"
    )


def _accepts(rate: dict[str, Any]) -> str:
    if not rate["of"]:
        return "-"
    return (
        f"{rate['count']} in {rate['of']:.2f} h = {rate['value']:.2f} "
        f"[{rate['low']:.2f}, {rate['high']:.2f}]"
    )
