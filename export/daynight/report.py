"""What was measured, as text for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.daynight.evaluate import Share

COLUMNS = ("", "cross-validated", "test", "loss")


def text(facts: Mapping[str, Any]) -> str:
    """The report of a run (:func:`export.daynight.recipe.run`)."""
    rows = [("brightness", facts["brightness"])]
    if "teacher" in facts:
        rows.append(("teacher", facts["teacher"]))
    rows += list(facts["variants"].items())
    rows += [(f"{side} x {side}", each) for side, each in facts["resolutions"].items()]
    lines = [_line(*COLUMNS), *(_line(name, *_cells(each)) for name, each in rows)]
    return "\n".join([*lines, f"ships: {facts['chosen']}, {facts['card']}"])


def _cells(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    known, test = facts["cross_validated"], facts.get("test")
    loss = f"{known['loss']:.3f}" if "loss" in known else "-"
    return _share(known), "-" if test is None else _share(test), loss


def _share(facts: Mapping[str, Any]) -> str:
    return str(Share(facts["right"], facts["of"]))


def _line(name: str, known: str, test: str, loss: str) -> str:
    return f"{name:<12} {known:<36} {test:<36} {loss}".rstrip()
