"""An hour through the daemon as fast as it can: memory stays flat, scores do not drift.

    python -m bench.long_run

The real daemon reads the hour from a file while its memory is watched. The same sound then goes
through the network hop by hop and in large blocks: the scores must agree, and the events must be
those that the decision rule gives on them.
"""

from __future__ import annotations

import json
import threading
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import soundfile as sf
from tqdm import tqdm

from bench import stream
from bench.common import (
    ROOT,
    json_option,
    machine,
    plain_errors,
    porter,
    shared_option,
    show,
    table,
)
from daemon.audio.decision import Rule, decide
from daemon.audio.features import HOP, SAMPLE_RATE, STEP_SECONDS
from daemon.audio.wake import Array, open_wake_model
from daemon.cards import load_wake_card
from daemon.errors import SourceError
from daemon.inference import CPU

BLOCK_STEPS = 1_000
WORD_EVERY = 12
"""Mixed clips of 10 s between two times that the demo recording, which has the word, is played."""


@click.command()
@click.option("--hours", type=click.FloatRange(0.05), default=1.0, show_default=True)
@click.option(
    "--utterances",
    type=click.IntRange(0),
    default=300,
    show_default=True,
    help="Fresh sentences and words by the quick speech engines.",
)
@shared_option
@json_option
def main(hours: float, utterances: int, shared: Path, as_json: bool) -> None:
    """Memory and drift over an hour, with the model "activate"."""
    with plain_errors(), TemporaryDirectory(prefix="porter-long-run-") as folder:
        sound = Path(folder) / "long.flac"
        seconds = _record(sound, hours, shared, utterances)
        memory, events, wall = watch(sound)
        drift, expected = compare(sound)
    settled = memory[len(memory) // 5 :]
    facts: dict[str, Any] = {
        "machine": machine(),
        "audio_hours": seconds / 3600,
        "times_real_time": seconds / wall,
        "memory_mb": {
            "after_a_fifth": settled[0],
            "end": settled[-1],
            "peak": max(memory),
            "growth": settled[-1] - settled[0],
        },
        "max_score_difference": drift,
        "events": len(events),
        "events_equal_offline": events == expected,
    }
    rows = [
        ["sound", f"{facts['audio_hours']:.2f} h, {facts['times_real_time']:.0f} times real time"],
        [
            "resident memory",
            f"{settled[0]:.1f} MB after a fifth, {settled[-1]:.1f} MB at the end, "
            f"peak {max(memory):.1f} MB",
        ],
        ["largest difference, hop by hop against blocks", f"{drift:.2e}"],
        [
            "events",
            f"{len(events)}, "
            f"{'as' if events == expected else 'NOT as'} the rule gives on offline scores",
        ],
    ]
    show(facts, f"{facts['machine']}\n{table(['what', 'measured'], rows)}", as_json)


def _record(path: Path, hours: float, shared: Path, utterances: int) -> float:
    """Write mixed sound with the demo recording in between; seconds written."""
    data = stream.held_out_sound("activate", shared, utterances)
    demo, rate = sf.read(ROOT / "assets/demo/activate.flac", dtype="float32")
    if rate != SAMPLE_RATE:
        raise SourceError(f"the demo recording has {rate} Hz, not {SAMPLE_RATE}; make it again")
    demo = np.concatenate([demo, np.zeros(-len(demo) % HOP, np.float32)])
    wanted, written = round(hours * 3600 * SAMPLE_RATE), 0
    with sf.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        mixed = stream.clips(data, hours)
        while written < wanted and (part := [demo, *islice(mixed, WORD_EVERY)]):
            for clip in part:
                file.write(clip)
                written += len(clip)
    return written / SAMPLE_RATE


def watch(sound: Path) -> tuple[list[float], list[float], float]:
    """Run the daemon over a file; resident memory over time in MB, steps of events, seconds."""
    begun = time.monotonic()
    process = porter("--file", sound, "--fast")
    assert process.stdout is not None
    memory: list[float] = []
    watcher = threading.Thread(target=_sample, args=(process.pid, memory))
    watcher.start()
    steps: list[float] = []
    for line in process.stdout:
        event = json.loads(line)
        if event["type"] == "porter.started":
            memory.clear()  # what loading takes on the way is not what listening takes
        if event["type"] == "porter.wake.detected":
            steps.append(round(event["data"]["end"] / STEP_SECONDS, 3))
    if process.wait():
        raise SourceError(f"porter run ended with exit code {process.returncode}; see its message")
    watcher.join()
    if len(memory) < 5:
        raise SourceError("too short to watch memory; ask for more --hours")
    return memory, steps, time.monotonic() - begun


def _sample(pid: int, memory: list[float]) -> None:
    status = Path(f"/proc/{pid}/statm")
    page = 4096 / 1e6
    while True:
        try:
            resident = int(status.read_text().split()[1])
        except (OSError, IndexError):
            return
        if not resident:
            return  # the process has ended and waits to be asked for its exit code
        memory.append(resident * page)
        time.sleep(0.05)


def compare(sound: Path) -> tuple[float, list[float]]:
    """Largest difference between scores hop by hop and in blocks, and the ends of the events."""
    card = load_wake_card("activate")
    streamed, offline = open_wake_model(card, [CPU]), open_wake_model(card, [CPU])
    difference, scores = 0.0, []
    with sf.SoundFile(sound) as file:
        blocks = file.blocks(BLOCK_STEPS * HOP, dtype="float32")
        for block in tqdm(blocks, total=-(-file.frames // (BLOCK_STEPS * HOP)), desc="compare"):
            pcm: Array = block[: len(block) // HOP * HOP]
            if not len(pcm):
                break
            whole = offline.process(pcm).copy()
            hops = np.concatenate([streamed.process(hop).copy() for hop in pcm.reshape(-1, HOP)])
            difference = max(difference, float(np.abs(whole - hops).max()))
            scores.append(whole[:, 0])
    word = card.words[0]
    rule = Rule(word.threshold, word.smoothing, word.refractory)
    found = decide(np.concatenate(scores), rule)
    ends = [round((firing.step + 1) - word.delay / STEP_SECONDS, 3) for firing in found]
    return difference, ends


if __name__ == "__main__":
    main()
