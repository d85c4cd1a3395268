"""False accepts over many hours of mixed speech, words, music and noise.

    python -m bench.mixed_stream --hours 10

The hours are made on the fly (see :mod:`bench.stream`), so nothing is stored and any seed gives new
ones. What fires can be written out with --errors, to listen to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile as sf

from bench import stream
from bench.common import json_option, machine, plain_errors, shared_option, show, table
from daemon.audio.features import SAMPLE_RATE, STEP_SECONDS
from export.data.mixing import CLIP_STEPS, Databases, mix
from export.wake.evaluate import per_hour
from export.wake.scoring import firings, open_scorer, smooth, threshold_for

ALLOWED = (0, 1, 3, 10)
"""Numbers of false accepts whose thresholds are shown beside the card's."""


@click.command()
@click.option(
    "--model", type=click.Path(path_type=Path), default=Path("activate"), show_default=True
)
@click.option("--word", help="Which word of the model; needed if it knows several.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True)
@click.option(
    "--utterances",
    type=click.IntRange(0),
    default=1500,
    show_default=True,
    help="Fresh sentences and words by the quick speech engines.",
)
@click.option(
    "--seed",
    type=click.IntRange(stream.SEED),
    default=stream.SEED,
    show_default=True,
    help="Lower ones are those of recipes.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    help="Processes that mix. [default: one a core]",
)
@click.option(
    "--errors",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the sound of each false accept.",
)
@shared_option
@json_option
def main(
    model: Path,
    word: str | None,
    hours: float,
    utterances: int,
    seed: int,
    processes: int,
    errors: Path | None,
    shared: Path,
    as_json: bool,
) -> None:
    """False accepts an hour over mixed sound without the word."""
    with plain_errors():
        scorer, rule, word = open_scorer(model, word)
        data = stream.held_out_sound(word, shared, utterances, seed)
        mixed = stream.clips(data, hours, seed, processes)
        scores = [scorer.process(clip) for clip in mixed]
        series = smooth(np.concatenate(scores), rule.smoothing)
        span = len(series) * STEP_SECONDS / 3600
        fired = firings(series, rule.threshold, rule.refractory)
        if errors is not None:
            _write(fired, data, seed, errors)
    thresholds = {"the card's": rule.threshold} | {
        f"for at most {allowed}": threshold_for(series, rule.refractory, allowed)
        for allowed in ALLOWED
    }
    points = [
        _point(name, threshold, len(firings(series, threshold, rule.refractory)), span)
        for name, threshold in thresholds.items()
    ]
    facts = {
        "machine": machine(),
        "word": word,
        "hours": span,
        "contents": stream.contents(data),
        "seed": seed,
        "points": points,
    }
    rows = [
        [
            p["name"],
            f"{p['threshold']:.4f}",
            p["count"],
            f"{p['per_hour']:.2f}",
            f"{p['low']:.2f}-{p['high']:.2f}",
        ]
        for p in points
    ]
    header = ["threshold", "value", "false accepts", "an hour", "95 %"]
    title = f"{word}: {span:.2f} h {facts['contents']}, seed {seed}"
    show(facts, f"{title}\n{table(header, rows)}", as_json)


def _point(name: str, threshold: float, count: int, span: float) -> dict[str, Any]:
    rate = per_hour(count, span)
    return {
        "name": name,
        "threshold": threshold,
        "count": count,
        "per_hour": rate.value,
        "low": rate.low,
        "high": rate.high,
    }


def _write(fired: list[int], data: Databases, seed: int, folder: Path) -> None:
    """The ten seconds in which each false accept lies, made again from their seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for step in fired:
        number, at = divmod(step, CLIP_STEPS)
        clip = mix(data, np.random.default_rng([seed, number])).samples
        name = f"clip{number:05d}-at-{(at + 1) * STEP_SECONDS:.1f}s.flac"
        sf.write(folder / name, clip, SAMPLE_RATE)


if __name__ == "__main__":
    main()
