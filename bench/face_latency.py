"""From a good face in front of the camera to the unlock event: the real daemon, a network camera.

    python -m bench.face_latency

The stream shows the demo's empty corridor, and then, at a moment that is noted, the same with the
enrolled person in it. Both come from the demo's video.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import yaml

from bench.common import ROOT, json_option, machine, plain_errors, porter, show, table
from bench.face_cost import read
from bench.picture_stream import PictureStream
from daemon.errors import SourceError

EMPTY_AT, PERSON_AT = 2.0, 9.0
"""Seconds in the demo's video."""


@click.command()
@click.option("--visits", default=10, show_default=True, help="How often the person appears.")
@click.option("--fps", default=10.0, show_default=True, help="Pictures a second.")
@json_option
def main(visits: int, fps: float, as_json: bool) -> None:
    """Time until the door opens, with the default consensus."""
    with plain_errors():
        delays = measure(visits, fps)
    facts: dict[str, Any] = {
        "machine": machine(),
        "visits": visits,
        "unlocked": len(delays),
        "milliseconds": [round(each) for each in delays],
    }
    if delays:
        facts |= {
            "median_ms": round(median(delays)),
            "p95_ms": round(float(np.quantile(delays, 0.95))),
        }
    row = [visits, len(delays), facts.get("median_ms", "-"), facts.get("p95_ms", "-")]
    header = ["visits", "unlocked", "median, ms", "95 % within, ms"]
    show(facts, f"{facts['machine']}\n{table(header, [row])}", as_json)


def measure(visits: int, fps: float) -> list[float]:
    """Milliseconds from the moment the person can be seen to the event, for each visit."""
    pictures = read(ROOT / "assets/demo/walk-up.mp4")
    empty, person = (pictures[round(10 * at)] for at in (EMPTY_AT, PERSON_AT))
    with TemporaryDirectory() as folder, PictureStream(fps) as stream:
        stream.show(empty)
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(_settings(folder, stream.url, fps)))
        command = [sys.executable, "-m", "daemon.cli.main", "enroll", "--config", str(config)]
        photo = str(ROOT / "assets/demo/enrolled.jpg")
        subprocess.run([*command, "Ada", photo], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        daemon = porter(config=config)
        assert daemon.stdout is not None
        try:
            events = (json.loads(line) for line in daemon.stdout)
            _wait(events, "porter.started")
            delays = []
            for _ in range(visits):
                shown = stream.show(person)
                unlocked = _wait(events, "porter.door.unlocked")
                delays.append(1000 * (_wall(unlocked["time"]) - shown))
                stream.show(empty)
                _wait(events, "porter.door.locked")
            return delays
        finally:
            daemon.terminate()
            with contextlib.suppress(Exception):
                daemon.wait(5)


def _settings(folder: str, url: str, fps: float) -> dict[str, Any]:
    return {
        "audio": {"enabled": False},
        "camera": {"enabled": True, "source": "stream", "url": url, "fps": fps},
        "gallery": {"path": f"{folder}/gallery.db", "key": f"{folder}/key"},
        "control": {"path": f"{folder}/porter.sock"},
        "door": {"mode": "face", "unlock_seconds": 2.0, "cooldown_seconds": 0.0},
    }


def _wait(events: Any, kind: str) -> dict[str, Any]:
    for event in events:
        if event["type"] == kind and event["data"].get("reason") != "started":
            found: dict[str, Any] = event
            return found
    raise SourceError(f"porter run ended without {kind}; see its message")


def _wall(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
