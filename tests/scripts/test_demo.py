"""scripts/demo: its summary, and the whole of it in a Debian that has nothing yet."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daemon.door.events import DoorUnlocked
from daemon.events import Event, Model, WakeDetected, rfc3339
from tests import debian

PROJECT = debian.PROJECT
LABELS = PROJECT / "assets/demo/activate.csv"
RECORDING = PROJECT / "assets/demo/activate.flac"


def labels() -> list[dict[str, str]]:
    with LABELS.open(newline="") as file:
        return list(csv.DictReader(file))


def detection(end: float, began: float) -> str:
    """The event line of a detection at `end` in a recording that began to play at `began`."""
    data = WakeDetected(
        word="activate",
        enrolled=False,
        model=Model(name="activate", version="1", sha256="0" * 12),
        probability=0.9,
        threshold=0.5,
        second_look=None,
        onset=end - 0.6,
        end=end,
        onset_time=rfc3339(began + end - 0.6),
        end_time=rfc3339(began + end),
        latency_ms=100.0,
    )
    return Event(source="porter/test/file", time=rfc3339(began + end + 0.1), data=data).to_json()


def opening(person: str) -> str:
    data = DoorUnlocked(
        cause="face",
        person=person,
        seconds=5.0,
        reason=f"{person} was recognised",
        evidence=None,
        actuator="dry-run",
    )
    return Event(source="porter/test/door", time=rfc3339(time.time()), data=data).to_json()


def sum_up(*lines: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The summary of a daemon that prints these lines at once and ends with `code`."""
    text = "".join(f"{line}\n" for line in lines)
    says = f"import sys; sys.stdout.write({text!r}); sys.exit({code})"
    return subprocess.run(
        [sys.executable, PROJECT / "scripts/demo_summary.py", sys.executable, "-c", says],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_labels_lie_on_what_is_said() -> None:
    """Where a label says that somebody speaks it is louder than where nobody does."""
    samples, rate = soundfile.read(RECORDING, dtype="float32")
    assert rate == 16_000
    assert RECORDING.stat().st_size < 1_000_000
    rows = labels()
    assert sum(row["word"] == "activate" for row in rows) >= 6
    spoken = np.zeros(len(samples), bool)
    for row in rows:
        spoken[int(float(row["onset"]) * rate) : int(float(row["end"]) * rate)] = True
    quiet = np.square(samples[~spoken]).mean()
    for row in rows:
        part = samples[int(float(row["onset"]) * rate) : int(float(row["end"]) * rate)]
        assert np.square(part).mean() > 4 * quiet, row


def test_summary_counts_words_misses_false_accepts_and_delays() -> None:
    targets = [float(row["end"]) for row in labels() if row["word"] == "activate"]
    other = next(float(row["end"]) for row in labels() if row["word"] != "activate")
    # As if the recording had begun so long ago that the first word ended 0.2 s ago.
    began = time.time() - targets[0] - 0.2
    lines = [detection(targets[0], began), detection(other, began)]
    assert sum_up(*lines).returncode == 1, "the door never opened"
    found = sum_up(*lines, opening("Eileen"))
    assert found.returncode == 0, found.stderr
    assert [json.loads(line)["type"] for line in found.stdout.splitlines()[:2]]
    assert re.search(rf"heard \"activate\" +1 of {len(targets)}\n", found.stdout)
    assert len(re.findall(r"missed +at", found.stdout)) == len(targets) - 1
    assert re.search(r"false accepts +1 ", found.stdout)
    delay = int(re.findall(r"median (\d+) ms", found.stdout)[0])
    assert 200 <= delay < 2_000
    assert re.search(r"processor time +\d+\.\d\d s .*% of a core", found.stdout)
    assert re.search(r"peak memory +\d+ MB", found.stdout)


def test_the_second_event_for_a_word_is_a_false_accept() -> None:
    end = float(labels()[0]["end"])
    found = sum_up(detection(end, time.time()), detection(end + 0.5, time.time()))
    assert re.search(r"heard \"activate\" +1 of", found.stdout)
    assert re.search(r"false accepts +1 ", found.stdout)


def test_a_daemon_that_fails_gives_no_summary_but_its_exit_code() -> None:
    failed = sum_up(code=65)
    assert failed.returncode == 65
    assert "heard" not in failed.stdout


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    debian.require()
    archive = debian.bare_system()
    with debian.unpacked(archive, tmp_path_factory.mktemp("bare")) as root:
        yield root


@pytest.mark.slow
@pytest.mark.systemd
@pytest.mark.timeout(900)
def test_one_line_says_what_to_install_where_apt_may_not_be_used(bare: Path) -> None:
    refused = debian.run_inside(bare, "scripts/demo", user="nobody")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert debian.own_lines(refused.stderr) == [
        "demo: missing system packages; run: "
        "sudo apt-get install -y python3 python3-venv libportaudio2"
    ]


@pytest.mark.slow
@pytest.mark.systemd
@pytest.mark.timeout(900)
def test_demo_on_a_machine_that_has_nothing_yet(bare: Path) -> None:
    shown = debian.run_inside(bare, "scripts/demo")
    print(shown.stdout, shown.stderr)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = shown.stdout.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    types = [event["type"] for event in events]
    assert types[0] == "porter.started"
    assert types[-1] == "porter.stopped"
    heard = types.count("porter.wake.detected")
    targets = sum(row["word"] == "activate" for row in labels())
    assert heard > targets // 2, "the shipped model hears most of what is said"
    assert re.search(r"heard \"activate\" +\d of \d", shown.stdout)
    # Nothing but Porter itself: no usage database of ONNX Runtime, no training stack.
    assert not (bare / "root/.cache/Microsoft").exists()
    assert not list((bare / "srv/porter/.venv").glob("lib/python3*/site-packages/torch"))


@pytest.mark.slow
@pytest.mark.systemd
@pytest.mark.timeout(900)
def test_the_second_run_installs_nothing(bare: Path) -> None:
    config = bare / "srv/porter/assets/demo/config.yaml"
    config.write_text(config.read_text().replace("pace: realtime", "pace: fast"))
    began = time.monotonic()
    again = debian.run_inside(bare, "scripts/demo")
    assert again.returncode == 0, again.stdout + again.stderr
    said = debian.own_lines(again.stderr)
    assert said[0] == "Eileen: enrolled with 1 picture"
    assert all(line.startswith("  ") for line in said[1:]), said
    assert time.monotonic() - began < 20
