"""Run the daemon over the demo recording and video, pass its events on, and sum up what it did.

Usage: demo_summary.py COMMAND [ARGUMENT ...], where the command prints one event a line.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "demo"
LABELS, VISITS = FOLDER / "activate.csv", FOLDER / "walk-up.csv"
WORD = "activate"
LATEST_SECONDS = 1.0
"""An estimated end this long after the true end of a word still belongs to it."""


@dataclass(frozen=True)
class Spoken:
    """What the recording says: one utterance, in seconds from its beginning."""

    onset: float
    end: float
    word: str
    voice: str


@dataclass(frozen=True)
class Heard:
    """A detection and when its event came."""

    word: str
    end: float
    """Estimated end of the word, in seconds from the beginning of the recording."""
    arrived: float
    """When the event was read here, in seconds from the beginning of the recording."""


def read_labels(path: Path) -> list[Spoken]:
    """The label file of a recording."""
    with path.open(newline="") as file:
        return [
            Spoken(float(row["onset"]), float(row["end"]), row["word"], row["voice"])
            for row in csv.DictReader(file)
        ]


def heard(line: str, arrived: float) -> Heard | None:
    """The detection in an event line that was read at wall time `arrived`; None for others."""
    event = json.loads(line)
    if event["type"] != "porter.wake.detected":
        return None
    data = event["data"]
    # The event gives one instant both by the wall clock and in the recording: their difference is
    # when the recording began to play.
    began = datetime.fromisoformat(data["end_time"]).timestamp() - data["end"]
    return Heard(data["word"], data["end"], arrived - began)


def match(spoken: list[Spoken], detections: list[Heard]) -> dict[Spoken, Heard]:
    """The detection that belongs to each utterance of its word; the first one, if several do."""
    found: dict[Spoken, Heard] = {}
    for detection in detections:
        for utterance in spoken:
            inside = utterance.onset < detection.end < utterance.end + LATEST_SECONDS
            if utterance.word == detection.word and inside and utterance not in found:
                found[utterance] = detection
                break
    return found


def summary(spoken: list[Spoken], detections: list[Heard]) -> str:
    """What was heard, missed and mistaken, for a person."""
    targets = [utterance for utterance in spoken if utterance.word == WORD]
    found = match(targets, detections)
    missed = [utterance for utterance in targets if utterance not in found]
    mistaken = [detection for detection in detections if detection not in found.values()]
    lines = [f'heard "{WORD}"     {len(found)} of {len(targets)}']
    lines += [f"  missed           at {miss.onset:.1f} s, said by {miss.voice}" for miss in missed]
    others = len(spoken) - len(targets)
    lines.append(f"false accepts       {len(mistaken)} ({others} other utterances were said)")
    lines += [f"  false accept     at {mistake.end:.1f} s" for mistake in mistaken]
    delays = [detection.arrived - utterance.end for utterance, detection in found.items()]
    if delays:
        median, largest = statistics.median(delays) * 1000, max(delays) * 1000
        lines.append(f"end of word to event  median {median:.0f} ms, at most {largest:.0f} ms")
    return "\n".join(lines)


@dataclass(frozen=True)
class Visit:
    """Somebody in the video, in seconds from its beginning."""

    person: str
    start: float
    end: float


@dataclass(frozen=True)
class Opened:
    """The door opened."""

    person: str
    at: float
    """When the event was read here, in seconds from the first event of the run."""


def read_visits(path: Path) -> list[Visit]:
    """Who is in the video when."""
    with path.open(newline="") as file:
        return [
            Visit(row["person"], float(row["start"]), float(row["end"]))
            for row in csv.DictReader(file)
        ]


def opened(line: str, seconds: float) -> Opened | None:
    """The opening in an event line that was read `seconds` into the run; None for others."""
    event = json.loads(line)
    if event["type"] != "porter.door.unlocked":
        return None
    return Opened(event["data"]["person"], seconds)


def door_summary(visits: list[Visit], openings: list[Opened]) -> str:
    """For whom the door opened, for a person."""
    lines = []
    for visit in visits:
        during = [each for each in openings if visit.start <= each.at < visit.end + LATEST_SECONDS]
        times = ", ".join(f"{each.at:.1f} s for {each.person}" for each in during)
        span = f"{visit.person} at the door from {visit.start:.0f} to {visit.end:.0f} s"
        lines.append(f"{span:<45} opened {f'at {times}' if times else 'never'}")
    away = [
        each
        for each in openings
        if not any(visit.start <= each.at < visit.end + LATEST_SECONDS for visit in visits)
    ]
    lines += [f"opened with nobody there at {each.at:.1f} s" for each in away]
    return "\n".join(lines)


def processor_time(process: int) -> float:
    """Seconds of processor time that a running process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(command: list[str]) -> int:
    """Run the daemon to its end; its exit code, or 1 when it heard nothing or never opened."""
    began, loading = time.monotonic(), 0.0
    detections, openings = [], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        for line in daemon.stdout:
            arrived = time.time()
            print(line, end="", flush=True)
            if not loading:  # the first event says that everything is loaded
                began, loading = time.monotonic(), processor_time(daemon.pid)
            if detection := heard(line, arrived):
                detections.append(detection)
            if opening := opened(line, time.monotonic() - began):
                openings.append(opening)
        _, status, usage = os.wait4(daemon.pid, 0)
        daemon.returncode = os.waitstatus_to_exitcode(status)
    if daemon.returncode:
        return daemon.returncode if daemon.returncode > 0 else 1
    seconds = time.monotonic() - began
    listening = usage.ru_utime + usage.ru_stime - loading
    print()
    print(summary(read_labels(LABELS), detections))
    print(door_summary(read_visits(VISITS), openings))
    print(
        f"processor time      {listening:.2f} s while listening and looking for {seconds:.1f} s, "
        f"{listening / seconds:.1%} of a core; {loading:.2f} s to load"
    )
    print(f"peak memory         {usage.ru_maxrss * 1024 / 1e6:.0f} MB", flush=True)
    return 0 if detections and openings else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: demo_summary.py COMMAND [ARGUMENT ...]")
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
