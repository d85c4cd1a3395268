"""Misses and false accepts on real recordings of words that training heard from synthesis only.

    python -m bench.wake_accuracy --models models/bench

Positives are the real recordings of "computer" and "alexa" in the shared data, negatives everything
else there: the other word, other wake words and single words, speech, noise. openWakeWord's "alexa"
goes over the same sounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from bench.common import json_option, need, plain_errors, shared_option, show, table
from bench.peers import OpenWakeWord
from daemon.audio.decision import Rule
from export.data.manifests import Clip, select
from export.wake.conditions import Condition
from export.wake.evaluate import Evaluation, Point, measure
from export.wake.scoring import Scorer, open_scorer

WORDS = {"computer": "alexa", "alexa": "computer"}
"""Each tested word and the other one, which is a negative for it."""
CONTAINING = {"computer": ("hey_computer",), "alexa": ()}
"""Labels of recordings in which the word is said inside something longer."""
OWN_SPLITS = {"words/alexa", "words/computer"}
"""Recordings that are in no split because nobody trains on them; they count as test."""


@dataclass(frozen=True)
class Row:
    """One line of the result."""

    word: str
    system: str
    condition: str
    negatives: str
    """`all`, or `test`: those that the recipe does not train on."""
    hours: float
    best: Point
    """At the lowest threshold that gives at most one false accept over these negatives."""
    own: Point
    """At the threshold that the model comes with."""


@click.command()
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=Path("models/bench"),
    show_default=True,
    help="Folder with computer.onnx and alexa.onnx and their cards.",
)
@click.option(
    "--word", "words", multiple=True, type=click.Choice(list(WORDS)), help="Only this word."
)
@click.option(
    "--snr", type=float, default=10.0, show_default=True, help="Of the noisy rows, in dB."
)
@click.option(
    "--allowed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="False accepts at the threshold that is looked for.",
)
@click.option("--peer/--no-peer", default=True, help="Measure openWakeWord as well.")
@shared_option
@json_option
def main(
    models: Path,
    words: tuple[str, ...],
    snr: float,
    allowed: int,
    peer: bool,
    shared: Path,
    as_json: bool,
) -> None:
    """Misses of "computer" and "alexa" on real recordings, beside openWakeWord."""
    with plain_errors():
        audio = need(shared / "data/audio", "the shared recordings")
        rows = [
            row
            for word in words or WORDS
            for name, scorer, rule in _systems(word, models, shared, peer)
            for row in _measure(word, name, scorer, rule, audio, snr, allowed)
        ]
    show({"rows": [asdict(row) for row in rows]}, _text(rows, allowed), as_json)


def _systems(
    word: str, models: Path, shared: Path, peer: bool
) -> Iterator[tuple[str, Scorer, Rule]]:
    scorer, rule, _ = open_scorer(models / f"{word}.onnx", word)
    yield "Porter", scorer, rule
    if peer and word == "alexa":
        yield "openWakeWord", OpenWakeWord(shared), Rule(0.5, 1, 1.0)


def _measure(
    word: str, system: str, scorer: Scorer, rule: Rule, audio: Path, snr: float, allowed: int
) -> Iterator[Row]:
    positives, negatives = recordings(word, audio)
    noises = [clip.read() for clip in select([f"{audio}/noise/manifest.csv::test"])]
    conditions = [
        Condition(),
        Condition(snr, noise_name="pink noise"),
        Condition(snr, noises, "recorded noise"),
    ]
    for condition in conditions:
        whole = measure(scorer, rule, positives, negatives, condition)
        for name, part in {"all": whole, "test": _held_out(whole)}.items():
            yield Row(
                word,
                system,
                str(condition),
                name,
                part.negative_hours,
                part.allowing(allowed),
                part.at(rule.threshold),
            )


def recordings(word: str, audio: Path) -> tuple[list[Clip], list[Clip]]:
    """Real recordings of a word, and all in which nobody says it."""
    others = [f"{audio}/{name}/manifest.csv" for name in ("negative_words", "speech", "noise")]
    return (
        select([f"{audio}/words/manifest.csv:{word}"]),
        select([f"{audio}/words/manifest.csv:{WORDS[word]}", *others], CONTAINING[word]),
    )


def _held_out(evaluation: Evaluation) -> Evaluation:
    kept = [heard for heard in evaluation.negatives if _untrained(heard.clip)]
    return replace(evaluation, negatives=kept)


def _untrained(clip: Clip) -> bool:
    return clip.split == "test" or str(Path(clip.name).parent) in OWN_SPLITS


def _text(rows: Sequence[Row], allowed: int) -> str:
    header = [
        "word",
        "system",
        "condition",
        "negatives",
        "hours",
        f"misses at <= {allowed} FA",
        "95 %",
        "threshold",
        "misses, own threshold",
        "FA",
    ]
    cells: list[list[Any]] = []
    for row in rows:
        best, own = row.best.misses, row.own.misses
        cells.append(
            [
                row.word,
                row.system,
                row.condition,
                row.negatives,
                f"{row.hours:.2f}",
                f"{best.count}/{best.of:.0f} = {100 * best.value:.1f} %",
                f"{100 * best.low:.1f}-{100 * best.high:.1f}",
                f"{row.best.threshold:.3f}",
                f"{100 * own.value:.1f} % at {row.own.threshold:.3f}",
                row.own.false_accepts.count,
            ]
        )
    return table(header, cells)


if __name__ == "__main__":
    main()
