"""What listening costs: processor, memory, start, size; beside openWakeWord over the same sound.

    python -m bench.wake_cost --seconds 60

Everything is timed twice. Paced: the daemon, a process of its own, reads sound from a pipe in real
time, as from `arecord`, and openWakeWord gets a chunk every 80 ms; between two wake-ups the caches
go cold, which costs more than the work itself. Flat out: the daemon reads a long file as fast as it
can, and openWakeWord gets its chunks one after the other, as benchmarks usually do. Loading is told
apart.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import click
import numpy as np
import soundfile as sf

from bench.common import (
    json_option,
    machine,
    plain_errors,
    porter,
    process_kib,
    shared_option,
    show,
    table,
)
from bench.peers import package_model
from daemon.audio.features import HOP, SAMPLE_RATE, STEP_SECONDS
from daemon.audio.wake import open_wake_model
from daemon.cards import load_wake_card
from daemon.config import load_config
from daemon.errors import PorterError, SourceError
from daemon.inference import CPU
from export.data.manifests import Audio

CHUNK = SAMPLE_RATE // 10
"""Samples that are written to the daemon's pipe at a time (100 ms)."""


@dataclass(frozen=True)
class Daemon:
    """What a run of the whole daemon took."""

    startup_seconds: float
    """From the start of the process to its `porter.started`, as its parent sees it."""
    core_percent: float
    """Processor seconds per second of sound while listening, in per cent of a core."""
    loading_seconds: float
    """Processor seconds before it listened."""
    peak_memory_mb: float
    """VmHWM, in megabytes of 1,000,000 bytes."""
    audio_seconds: float


LONG_SECONDS = 600.0
"""Sound of the longer of two runs flat out, whose difference is free of start and end."""


@click.command()
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=Path("activate"),
    show_default=True,
    help="The model whose graph is timed alone.",
)
@click.option("--config", type=click.Path(path_type=Path), help="The daemon's configuration.")
@click.option(
    "--seconds", type=click.FloatRange(10), default=60.0, show_default=True, help="Sound to play."
)
@click.option("--peer/--no-peer", default=True, help="Measure openWakeWord as well.")
@shared_option
@json_option
def main(
    model: Path, config: Path | None, seconds: float, peer: bool, shared: Path, as_json: bool
) -> None:
    """Processor time, memory, start-up time and sizes."""
    with plain_errors():
        card = load_wake_card(model)
        sound = _sound(seconds)
        steps = load_config(config).audio.steps_per_wakeup
        process = open_wake_model(card, [CPU]).process
        facts: dict[str, Any] = {
            "machine": machine(),
            "daemon": asdict(_run_daemon(sound, config)),
            "daemon_flat_out_core_percent": _flat_out(sound, config),
            "graph": _graph(process, sound, steps),
            "model_bytes": {name: card.beside(name).stat().st_size for name in card.files()},
        }
        if peer:
            facts |= _peer(shared, sound)
    show(facts, _text(facts), as_json)


def _graph(process: Callable[[Audio], Any], sound: Audio, steps: int) -> dict[str, float]:
    """The graph alone, in blocks of as many steps as the daemon takes at a time."""
    flat_out = _milliseconds(process, sound, steps)
    paced = _milliseconds(process, sound[: 20 * SAMPLE_RATE], steps, paced=True)
    return {
        "steps_at_a_time": steps,
        "flat_out_us_per_step": 1000 * flat_out,
        "flat_out_core_percent": _percent(flat_out),
        "paced_core_percent": _percent(paced),
    }


def _flat_out(sound: Audio, config: Path | None) -> float:
    """Per cent of a core that the daemon takes for a file, as fast as it can."""
    with TemporaryDirectory() as folder:
        short, long = sound[: 60 * SAMPLE_RATE], np.resize(sound, int(LONG_SECONDS * SAMPLE_RATE))
        used = [_file_seconds(Path(folder) / "sound.wav", each, config) for each in (short, long)]
    return 100 * (used[1] - used[0]) * SAMPLE_RATE / (len(long) - len(short))


def _file_seconds(path: Path, sound: Audio, config: Path | None) -> float:
    """Processor seconds that the daemon says it took for all of a recording."""
    sf.write(path, sound, SAMPLE_RATE)
    process = porter("--file", path, "--fast", config=config)
    events = [json.loads(line) for line in process.communicate()[0].splitlines()]
    (used,) = [e["data"]["cpu_seconds"] for e in events if e["type"] == "porter.stopped"]
    return float(used)


def _sound(seconds: float) -> Audio:
    """Speech-like noise: bursts at the rate of syllables; cost does not depend on what is said."""
    rng = np.random.default_rng(0)
    time_ = np.arange(int(seconds / STEP_SECONDS) * HOP) / SAMPLE_RATE
    loudness = 0.05 * np.maximum(0, np.sin(2 * np.pi * 4 * time_)) + 0.001
    return (loudness * rng.standard_normal(len(time_))).astype(np.float32)


def _run_daemon(sound: Audio, config: Path | None) -> Daemon:
    reading, writing = os.pipe()
    begun = time.monotonic()
    process = porter("--pipe", config=config, stdin=reading)
    os.close(reading)
    assert process.stdout is not None
    feeder = threading.Thread(target=_feed, args=(writing, sound), daemon=True)
    try:
        # A source without sound is not listened to: sound flows from the first moment on.
        feeder.start()
        _until(process.stdout, "porter.started")
        startup, before = time.monotonic() - begun, _processor(process.pid)
        started = time.monotonic()
        # Read just before the sound ends, while the process is still there to be asked.
        time.sleep(max(1.0, len(sound) / SAMPLE_RATE - (started - begun) - 1.0))
        heard, used = time.monotonic() - started, _processor(process.pid) - before
        memory = process_kib(process.pid, "VmHWM")
    finally:
        process.terminate()
        process.wait()
    return Daemon(startup, 100 * used / heard, before, memory * 1024 / 1e6, heard)


def _feed(pipe: int, sound: Audio) -> None:
    samples = (sound * 32_767).astype("<i2")
    begun = time.monotonic()
    with os.fdopen(pipe, "wb", buffering=0) as out:
        for at in range(0, len(samples), CHUNK):
            time.sleep(max(0.0, begun + at / SAMPLE_RATE - time.monotonic()))
            try:
                out.write(samples[at : at + CHUNK].tobytes())
            except BrokenPipeError:
                return


def _until(lines: IO[str], kind: str) -> None:
    for line in lines:
        if json.loads(line)["type"] == kind:
            return
    raise SourceError(f"porter run ended before {kind}; see its message")


def _processor(pid: int) -> float:
    """Processor seconds of a process, all threads (/proc would give ticks of 10 ms)."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python lacks


def _milliseconds(
    process: Callable[[Audio], Any], sound: Audio, steps: int = 1, paced: bool = False
) -> float:
    """Processor time of this process for a step of 80 ms, in milliseconds, after a warm-up.

    Args:
        process: takes `steps` steps of sound at a time.
        sound: (n,).
        steps: how many.
        paced: in real time, as from a microphone, instead of one after the other.
    """
    blocks = sound[: len(sound) // (steps * HOP) * steps * HOP].reshape(-1, steps * HOP)
    for block in blocks[:20]:
        process(block)
    used, begun = 0.0, time.monotonic()
    for number, block in enumerate(blocks, 1):
        if paced:
            time.sleep(max(0.0, begun + number * steps * STEP_SECONDS - time.monotonic()))
        before = time.process_time()
        process(block)
        used += time.process_time() - before
    return 1000 * used / len(blocks) / steps


def _percent(milliseconds: float) -> float:
    return milliseconds / STEP_SECONDS / 10


def _peer(shared: Path, sound: Audio) -> dict[str, Any]:
    try:
        model = package_model(shared)
    except PorterError as error:
        return {"openwakeword_absent": str(error)}
    part = sound[: 20 * SAMPLE_RATE]

    def predict(hop: Audio) -> None:
        model.predict((hop * 32_767).astype(np.int16))

    return {
        "openwakeword_flat_out_core_percent": _percent(_milliseconds(predict, part)),
        "openwakeword_paced_core_percent": _percent(_milliseconds(predict, part, paced=True)),
    }


def _text(facts: dict[str, Any]) -> str:
    daemon, graph = facts["daemon"], facts["graph"]
    steps = graph["steps_at_a_time"]
    times = [
        ["whole daemon", daemon["core_percent"], facts["daemon_flat_out_core_percent"]],
        [
            f"  of it the graph, {steps} steps at a time",
            graph["paced_core_percent"],
            graph["flat_out_core_percent"],
        ],
    ]
    if (paced := facts.get("openwakeword_paced_core_percent")) is not None:
        flat_out = facts["openwakeword_flat_out_core_percent"]
        times += [
            ["openWakeWord, its predict() alone", paced, flat_out],
            [
                "ratio to Porter's whole daemon",
                paced / daemon["core_percent"],
                flat_out / facts["daemon_flat_out_core_percent"],
            ],
        ]
    rows: list[list[Any]] = [
        ["peak memory", f"{daemon['peak_memory_mb']:.1f} MB"],
        [
            "start to listening",
            f"{daemon['startup_seconds']:.2f} s "
            f"({daemon['loading_seconds']:.2f} s of processor time)",
        ],
        *([f"model {name}", f"{size / 1e6:.2f} MB"] for name, size in facts["model_bytes"].items()),
    ]
    if "openwakeword_absent" in facts:
        rows.append(["openWakeWord", facts["openwakeword_absent"]])
    shown = [[name, f"{paced:.3f}", f"{flat:.3f}"] for name, paced, flat in times]
    return (
        f"{facts['machine']}; {daemon['audio_seconds']:.0f} s of sound\n"
        + table(["per cent of a core", "paced", "flat out"], shown)
        + "\n\n"
        + table(["what", "measured"], rows)
    )


if __name__ == "__main__":
    main()
