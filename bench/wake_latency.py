"""From the end of a word to the event: the real daemon over a recording in real time.

    python -m bench.wake_latency

The labels are a CSV with columns onset, end, word, voice, in seconds of the recording.
"""

from __future__ import annotations

import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click

from bench.common import ROOT, json_option, machine, plain_errors, porter, show, table
from daemon.errors import SourceError

MATCH_SECONDS = 1.5
"""An event from a word's onset until this long after its end is that word's."""


@dataclass(frozen=True)
class Arrival:
    """An event, and when its line was read."""

    word: str
    stream_end: float
    """The daemon's own estimate of the word's end, in seconds of the stream."""
    stream_now: float
    """Seconds of the stream that had been played when the line was read."""


@click.command()
@click.option(
    "--recording",
    type=click.Path(path_type=Path),
    default=ROOT / "assets/demo/activate.flac",
    help="Sound file. [default: the demo's]",
)
@click.option("--labels", type=click.Path(path_type=Path), help="CSV; by default beside the sound.")
@click.option("--word", default="activate", show_default=True, help="The word in the labels.")
@click.option("--config", type=click.Path(path_type=Path), help="The daemon's configuration.")
@click.option("--repeat", type=click.IntRange(1), default=2, show_default=True, help="Runs.")
@json_option
def main(
    recording: Path,
    labels: Path | None,
    word: str,
    config: Path | None,
    repeat: int,
    as_json: bool,
) -> None:
    """Time from the end of each word to its event."""
    with plain_errors():
        spoken = _spoken(labels or recording.with_suffix(".csv"), word)
        delays, missed = [], 0
        for _ in range(repeat):
            arrivals = listen(recording, config)
            for onset, end in spoken:
                after = [
                    each.stream_now - end
                    for each in arrivals
                    if each.word == word and onset <= each.stream_now <= end + MATCH_SECONDS
                ]
                delays += after[:1]
                missed += not after
    facts: dict[str, Any] = {
        "machine": machine(),
        "words": len(spoken) * repeat,
        "missed": missed,
        "milliseconds": sorted(round(1000 * delay) for delay in delays),
    }
    if len(delays) > 1:
        facts |= {
            "median_ms": round(1000 * median(delays)),
            "p95_ms": round(1000 * quantiles(delays, n=20, method="inclusive")[-1]),
        }
    rows = [
        [
            facts["words"],
            missed,
            facts.get("median_ms", "-"),
            facts.get("p95_ms", "-"),
            " ".join(map(str, facts["milliseconds"])),
        ]
    ]
    header = ["words", "missed", "median, ms", "95 % within, ms", "each, ms"]
    show(facts, f"{facts['machine']}\n{table(header, rows)}", as_json)


def listen(recording: Path, config: Path | None) -> list[Arrival]:
    """Play a recording to the daemon in real time and note when each event comes.

    The stream's start is taken from the first event of a run: it carries a stream time and the wall
    time that belongs to it.
    """
    process = porter("--file", recording, config=config)
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        now = time.time()
        event = json.loads(line)
        if event["type"] == "porter.wake.detected":
            data = event["data"]
            begun = _wall(data["end_time"]) - data["end"]
            found.append(Arrival(data["word"], data["end"], now - begun))
    if process.wait():
        raise SourceError(f"porter run ended with exit code {process.returncode}; see its message")
    return found


def _wall(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _spoken(labels: Path, word: str) -> list[tuple[float, float]]:
    """Onset and end of each time that the word is said, in seconds."""
    try:
        with labels.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["word"] == word]
            spoken = [(float(row["onset"]), float(row["end"])) for row in rows]
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(f"{labels}: {error!r}; it needs columns onset, end and word") from error
    if not spoken:
        raise SourceError(f"{labels}: no row says {word!r}")
    return spoken


if __name__ == "__main__":
    main()
