"""Error analysis: the worst misses and false accepts, to listen to, to look at, and to sort.

What is missing in the training data shows here: an accent, a kind of room, a rival word.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from tqdm import tqdm

from daemon.audio.features import SAMPLE_RATE, STEP_SECONDS, log_mel
from export.data.manifests import Audio
from export.sortable import row, write_page
from export.wake.conditions import QUIET_AFTER, QUIET_BEFORE, Condition
from export.wake.evaluate import Evaluation, Heard
from export.wake.scoring import Series

COLUMNS = ("kind", "peak", "margin", "at_seconds", "label", "source", "speaker", "split", "path")
SHOWN_SECONDS = 12.0
"""A longer recording is cut to this much around its peak."""


@dataclass(frozen=True)
class Case:
    """One line of the report."""

    kind: str
    """`miss`, `false accept`, or `near miss` and `near accept` for those next to the threshold."""
    heard: Heard
    at: float
    """Second of the recording at which the peak lies."""
    margin: float
    """How far the peak is on the wrong side of the threshold; negative on the right side."""


def worst(evaluation: Evaluation, threshold: float, count: int) -> list[Case]:
    """The `count` worst positives and the `count` worst negatives, wrong ones first."""
    said = sorted(evaluation.positives, key=lambda heard: heard.peak)[:count]
    unsaid = sorted(evaluation.negatives, key=lambda heard: -heard.peak)[:count]
    return [
        _case(heard, heard.peak < threshold, ("near miss", "miss"), threshold - heard.peak)
        for heard in said
    ] + [
        _case(
            heard, heard.peak >= threshold, ("near accept", "false accept"), heard.peak - threshold
        )
        for heard in unsaid
    ]


def _case(heard: Heard, wrong: bool, kinds: tuple[str, str], margin: float) -> Case:
    at = (int(heard.scores.argmax()) + 1) * STEP_SECONDS - QUIET_BEFORE
    return Case(kinds[wrong], heard, at, margin)


def write_report(
    cases: Sequence[Case], condition: Condition, threshold: float, folder: Path, title: str
) -> Path:
    """Write `index.html`, `errors.csv`, and a FLAC and a PNG for each case into a folder.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with (folder / "errors.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number, case in enumerate(tqdm(cases, unit="clip", desc="error report", leave=False)):
            clip, stem = case.heard.clip, f"{number:03d}"
            heard = condition.surround(clip.read(), clip.name)
            sound, scores, start = _excerpt(heard, case.heard.scores)
            sf.write(folder / f"{stem}.flac", sound, SAMPLE_RATE)
            _draw(sound, scores, start, threshold, folder / f"{stem}.png")
            values = [
                case.kind,
                f"{case.heard.peak:.4f}",
                f"{case.margin:+.4f}",
                f"{case.at:.2f}",
                clip.label,
                clip.source,
                clip.speaker or "",
                clip.split,
                clip.name,
            ]
            table.writerow(values)
            picture = f'<img loading="lazy" src="{stem}.png" alt="spectrogram and probability">'
            rows.append(
                row(
                    values,
                    f'<audio controls preload="none" src="{stem}.flac"></audio>',
                    f'<a href="{stem}.png">{picture}</a>',
                )
            )
    page = folder / "index.html"
    explained = (
        f"{condition}; threshold {threshold:.4f} on the smoothed probability; "
        f"{QUIET_BEFORE:g} s of quiet before each clip and {QUIET_AFTER:g} s after"
    )
    write_page(page, title, explained, (*COLUMNS, "sound", "picture"), rows)
    return page


def _excerpt(heard: Audio, scores: Series) -> tuple[Audio, Audio, float]:
    """The part to show: its samples, its scores, and the second at which it starts."""
    steps, peak = round(SHOWN_SECONDS / STEP_SECONDS), int(np.argmax(scores))
    first = int(np.clip(peak - steps * 2 // 3, 0, max(0, len(scores) - steps)))
    hop = round(STEP_SECONDS * SAMPLE_RATE)
    return (
        heard[first * hop : (first + steps) * hop],
        np.asarray(scores[first : first + steps], np.float32),
        first * STEP_SECONDS - QUIET_BEFORE,
    )


def _draw(sound: Audio, scores: Audio, start: float, threshold: float, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[2, 1])
    end = start + len(sound) / SAMPLE_RATE
    levels = log_mel(sound)
    upper.imshow(levels.T, origin="lower", aspect="auto", extent=(start, end, 0, 32), cmap="magma")
    upper.set_ylabel("mel band")
    # A score stands at the end of the step that it was computed from.
    lower.step(start + (np.arange(len(scores)) + 1) * STEP_SECONDS, scores, where="post")
    lower.axhline(threshold, color="tab:red", linewidth=0.8, linestyle="--")
    lower.set(ylim=(0, 1.02), xlim=(start, end), ylabel="probability", xlabel="seconds of the clip")
    figure.savefig(path, dpi=100)
