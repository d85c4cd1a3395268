"""What listening costs: processor, memory, start, size; beside openWakeWord over the same sound.

    python -m bench.wake_cost --seconds 60

The daemon is a process of its own that reads sound from a pipe in real time, as from `arecord`.
Processor time is counted from its first event ("listening") on; loading is told apart.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import click
import numpy as np

from bench.common import (
    json_option,
    machine,
    plain_errors,
    porter,
    shared_option,
    show,
    table,
)
from bench.peers import package_model
from daemon.audio.features import HOP, SAMPLE_RATE, STEP_SECONDS
from daemon.audio.wake import open_wake_model
from daemon.cards import load_wake_card
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
        wake = open_wake_model(card, [CPU])
        graph = _milliseconds(wake.process, sound)
        facts: dict[str, Any] = {
            "machine": machine(),
            "daemon": asdict(_run_daemon(sound, config)),
            "graph_ms_per_hop": graph,
            "graph_core_percent": _percent(graph),
            "model_bytes": {name: card.beside(name).stat().st_size for name in card.files()},
        }
        if peer:
            facts |= _peer(shared, sound)
    show(facts, _text(facts), as_json)


def _sound(seconds: float) -> Audio:
    """Speech-like noise: bursts at the rate of syllables; cost does not depend on what is said."""
    rng = np.random.default_rng(0)
    time_ = np.arange(int(seconds / STEP_SECONDS) * HOP) / SAMPLE_RATE
    loudness = 0.05 * np.maximum(0, np.sin(2 * np.pi * 4 * time_)) + 0.001
    return (loudness * rng.standard_normal(len(time_))).astype(np.float32)


def _run_daemon(sound: Audio, config: Path | None) -> Daemon:
    options = ["--config", str(config)] if config else []
    reading, writing = os.pipe()
    begun = time.monotonic()
    process = porter(*options, "--pipe", stdin=reading)
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
        memory = _status(process.pid, "VmHWM")
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


def _status(pid: int, key: str) -> int:
    """A size from /proc/PID/status, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def _milliseconds(process: Callable[[Audio], Any], sound: Audio) -> float:
    """Processor time of this process for one hop of 80 ms, in milliseconds, after a warm-up."""
    hops = sound.reshape(-1, HOP)
    for hop in hops[:20]:
        process(hop)
    begun = time.process_time()
    for hop in hops:
        process(hop)
    return 1000 * (time.process_time() - begun) / len(hops)


def _percent(milliseconds: float) -> float:
    return milliseconds / STEP_SECONDS / 10


def _peer(shared: Path, sound: Audio) -> dict[str, Any]:
    try:
        model = package_model(shared)
    except PorterError as error:
        return {"openwakeword_absent": str(error)}
    took = _milliseconds(
        lambda hop: model.predict((hop * 32_767).astype(np.int16)),
        sound[: 30 * SAMPLE_RATE // HOP * HOP],
    )
    return {"openwakeword_ms_per_chunk": took, "openwakeword_core_percent": _percent(took)}


def _text(facts: dict[str, Any]) -> str:
    daemon = facts["daemon"]
    rows: list[list[Any]] = [
        ["whole daemon, listening", f"{daemon['core_percent']:.3f} % of a core"],
        [
            "  of it the graph alone",
            f"{facts['graph_core_percent']:.3f} % of a core "
            f"({1000 * facts['graph_ms_per_hop']:.0f} us per 80 ms)",
        ],
        ["peak memory", f"{daemon['peak_memory_mb']:.1f} MB"],
        [
            "start to listening",
            f"{daemon['startup_seconds']:.2f} s "
            f"({daemon['loading_seconds']:.2f} s of processor time)",
        ],
        *([f"model {name}", f"{size / 1e6:.2f} MB"] for name, size in facts["model_bytes"].items()),
    ]
    if (peer := facts.get("openwakeword_core_percent")) is not None:
        whole, alone = daemon["core_percent"], facts["graph_core_percent"]
        rows += [
            [
                "openWakeWord, its predict() alone",
                f"{peer:.3f} % of a core ({facts['openwakeword_ms_per_chunk']:.2f} ms per 80 ms)",
            ],
            ["ratio to Porter's whole daemon", f"{peer / max(whole, 1e-6):.1f}"],
            ["ratio to Porter's graph", f"{peer / alone:.1f}"],
        ]
    elif "openwakeword_absent" in facts:
        rows.append(["openWakeWord", facts["openwakeword_absent"]])
    return f"{facts['machine']}; {daemon['audio_seconds']:.0f} s of sound\n" + table(
        ["what", "measured"], rows
    )


if __name__ == "__main__":
    main()
