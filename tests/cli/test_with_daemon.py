"""Commands on people beside a running daemon: it takes the pictures, and follows the gallery."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from daemon.events import rfc3339
from tests.cli.conftest import Place
from tests.faces import draw
from tests.runtime.process import Daemon, Json
from tests.vision.pictures import Stream

LOOKS = """
audio: {{enabled: false}}
camera: {{enabled: true, source: stream, url: "{url}", motion: {{enabled: false}}}}
faces: {{liveness: {{mode: "off"}}, consensus: {{frames: 2}}}}
door: {{mode: face, unlock_seconds: 0.5, cooldown_seconds: 0.0}}
"""


@pytest.fixture
def camera() -> Iterator[Stream]:
    stream = Stream(fps=15)
    stream.picture = draw()
    stream.start()
    yield stream
    stream.cut()


@pytest.fixture
def daemon(place: Place, camera: Stream) -> Iterator[Daemon]:
    place.configure(LOOKS.format(url=camera.url))
    (place.folder / "run").mkdir()
    running = Daemon([], os.environ, place.folder / "stderr.txt")
    running.wait_for("porter.started", 60)
    yield running
    running.kill()


def walk_up(camera: Stream, person: int) -> str:
    """Somebody comes after a while in which nobody was there; when (RFC 3339)."""
    camera.picture = draw()
    time.sleep(2.0)
    camera.picture = draw(person, noise=6, seed=77)
    return rfc3339(time.time())


def wait_since(daemon: Daemon, kind: str, moment: str) -> Json:
    """The first event of a type that came after a moment."""
    while (event := daemon.wait_for(kind, 30))["time"] < moment:
        pass
    return event


@pytest.mark.slow
def test_a_person_is_enrolled_recognised_corrected_and_erased(
    place: Place, camera: Stream, daemon: Daemon
) -> None:
    enrolling = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli.main", "enroll", "Ada", "--camera"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert enrolling.stderr is not None
    asked = {"straight into": "straight", "to your left": "left", "to your right": "right"}
    for number, (words, view) in enumerate(asked.items()):
        while words not in (line := enrolling.stderr.readline()):
            assert line, enrolling.communicate()
        camera.picture = draw(1, view=view, noise=10, seed=number)
    out, err = enrolling.communicate(timeout=60)
    assert enrolling.returncode == 0, err
    assert out.startswith("Ada: enrolled with ")

    moment = walk_up(camera, 1)
    event = wait_since(daemon, "porter.face.recognized", moment)
    assert event["data"]["person"] == "Ada"
    opened = wait_since(daemon, "porter.door.unlocked", moment)
    assert opened["data"]["person"] == "Ada"
    time.sleep(1)
    said = place("people", "not", "Ada", event["id"])
    assert said.code == 0, said
    said = place("people", "not", "Ada", opened["id"])
    assert said.code == 0, said
    time.sleep(1.5)
    event = wait_since(daemon, "porter.face.unsure", walk_up(camera, 1))
    assert event["data"]["reason"] == "decoy"
    assert event["data"]["people"] == ["Ada"]

    assert place("people", "remove", "Ada", "--yes").code == 0
    time.sleep(1.5)
    wait_since(daemon, "porter.face.unknown", walk_up(camera, 1))
    raw = b"".join(each.read_bytes() for each in (place.folder / "state").glob("gallery.db*"))
    assert b"Ada" not in raw
    assert json.loads(place("people", "--json").out) == []
