"""The doorkeeper as a whole: people are enrolled, walk up on video or stream, and the door decides.

With the models that ship and the portraits of the demo; the daemon is a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from daemon.config import load_config
from daemon.door.inputs import TrackLost
from daemon.vision.events import FaceRecognized
from daemon.vision.frames import Image
from daemon.vision.sight import Sight
from daemon.vision.video import VideoSource
from tests.runtime.process import Daemon, Json, events, porter
from tests.vision.pictures import Stream

DEMO = Path(__file__).resolve().parents[2] / "assets/demo"
PHOTO, VIDEO = DEMO / "enrolled.jpg", DEMO / "walk-up.mp4"
NAME = "Eileen"
EMPTY, ENROLLED, STRANGER = 2.0, 9.0, 17.0
"""Seconds in the video at which the corridor is empty, or somebody stands close."""


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    """The video, ten pictures a second."""
    source = VideoSource(VIDEO, 10, paced=False)
    source.open()
    found = []
    while (frame := source.read()) is not None:
        found.append(frame.image.copy())
    source.close()
    return found


@pytest.fixture
def camera(pictures: list[Image]) -> Iterator[Stream]:
    """A network camera that shows the empty corridor."""
    stream = Stream(fps=10)
    stream.picture = pictures[round(10 * EMPTY)]
    stream.start()
    yield stream
    if stream.runs:
        stream.cut()


def settings(path: Path, **sections: Any) -> Path:
    """A configuration that does not listen; liveness is off, since portraits are flat."""
    content: Json = {
        "audio": {"enabled": False},
        "faces": {"liveness": {"mode": "off"}},
        "door": {"mode": "face", "unlock_seconds": 0.5, "cooldown_seconds": 0.0},
    }
    for name, section in sections.items():
        content[name] = content.get(name, {}) | section
    path.write_text(yaml.safe_dump(content))
    return path


def on_video(**more: Any) -> Json:
    return {"enabled": True, "source": "file", "path": str(VIDEO), "pace": "fast"} | more


def on_stream(stream: Stream) -> Json:
    backoff = {"initial": 0.1, "maximum": 0.5}
    return {
        "enabled": True,
        "source": "stream",
        "url": stream.url,
        "stall_seconds": 1.0,
        "reopen_backoff": backoff,
    }


def enrol(environment: dict[str, str], config: Path, name: str = NAME) -> None:
    done = porter("enroll", "--config", config, name, PHOTO, environment=environment)
    assert done.returncode == 0, done.stderr


class AtTheDoor:
    """A daemon that looks at a network camera, before which people can be put."""

    def __init__(
        self,
        environment: dict[str, str],
        config: Path,
        camera: Stream,
        pictures: list[Image],
        start: Callable[..., Daemon],
    ) -> None:
        self.config = config
        self.camera = camera
        self._environment = environment
        self._pictures = pictures
        self._start = start

    def configure(self, **sections: Any) -> None:
        settings(self.config, camera=on_stream(self.camera), **sections)

    def enrol(self) -> None:
        enrol(self._environment, self.config)

    def run(self) -> Daemon:
        daemon = self._start("--config", self.config)
        daemon.wait_for("porter.started")
        return daemon

    def show(self, moment: float) -> None:
        """From now on what the video shows at a moment, in seconds."""
        self.camera.picture = self._pictures[round(10 * moment)]

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = () if "--config" in words else ("--config", self.config)
        return porter(*words, *config, environment=self._environment)


@pytest.fixture
def door(
    environment: dict[str, str],
    tmp_path: Path,
    camera: Stream,
    pictures: list[Image],
    start: Callable[..., Daemon],
) -> AtTheDoor:
    return AtTheDoor(environment, tmp_path / "c.yaml", camera, pictures, start)


def of(found: list[Json], kind: str) -> list[Json]:
    return [each["data"] for each in found if each["type"] == f"porter.{kind}"]


def test_the_door_opens_for_who_was_enrolled_and_not_for_the_stranger(
    environment: dict[str, str], tmp_path: Path
) -> None:
    config = settings(tmp_path / "c.yaml", camera=on_video())
    enrol(environment, config)
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert found[0]["data"]["people"] == 1
    assert found[0]["data"]["camera"].startswith(str(VIDEO))
    recognized, unlocked = of(found, "face.recognized"), of(found, "door.unlocked")
    assert {each["person"] for each in recognized} == {NAME}
    assert unlocked
    for each in unlocked:
        assert (each["cause"], each["person"], each["seconds"]) == ("face", NAME, 0.5)
        proof = each["evidence"]
        assert proof["score"] < proof["threshold"]
        assert proof["frames"] >= 3
    assert of(found, "face.unknown")
    denied = of(found, "door.denied")
    assert "unknown" in {each["reason"] for each in denied}
    # In a video that is read fast, pictures have the times at which they would have been taken.
    began = datetime.fromisoformat(found[0]["time"]).timestamp()

    def while_the_stranger_is_there(moment: str) -> bool:
        return 13.2 < datetime.fromisoformat(moment).timestamp() - began < 20.9

    unknown = of(found, "face.unknown")
    assert any(while_the_stranger_is_there(each["last"]) for each in unknown)
    assert not any(while_the_stranger_is_there(each["last"]) for each in recognized)
    assert not any(while_the_stranger_is_there(each["evidence"]["last"]) for each in unlocked)
    stopped = found[-1]["data"]
    assert stopped["unlocks"] == len(unlocked)
    assert stopped["pictures"] == 320


def test_with_nobody_enrolled_everybody_is_unknown(
    environment: dict[str, str], tmp_path: Path
) -> None:
    config = settings(tmp_path / "c.yaml", camera=on_video())
    found = events(porter("run", "--config", config, environment=environment).stdout)
    assert len(of(found, "face.unknown")) >= 3
    assert not of(found, "door.unlocked")


@pytest.mark.slow
def test_a_picture_that_is_held_up_and_moved_passes_no_challenge(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The people of the video are flat portraits, moved, scaled and turned."""
    config = settings(
        tmp_path / "c.yaml",
        camera=on_video(pace="realtime"),
        faces={"liveness": {"mode": "challenge", "challenge_seconds": 3.0}},
    )
    enrol(environment, config)
    found = events(porter("run", "--config", config, environment=environment).stdout)
    assert of(found, "door.challenge")
    assert not of(found, "door.unlocked")
    assert "challenge failed" in {each["reason"] for each in of(found, "door.denied")}


def test_a_still_picture_passes_no_challenge(door: AtTheDoor) -> None:
    door.configure(faces={"liveness": {"mode": "challenge", "challenge_seconds": 2.0}})
    door.enrol()
    daemon = door.run()
    door.show(ENROLLED)
    daemon.wait_for("porter.door.challenge")
    denied = daemon.wait_for("porter.door.denied")
    assert denied["data"]["reason"] == "challenge failed"
    daemon.stop()
    assert not of(daemon.seen, "door.unlocked")


def test_who_is_enrolled_while_it_runs_is_known_without_a_restart_and_gone_when_removed(
    door: AtTheDoor,
) -> None:
    door.configure()
    daemon = door.run()
    door.show(ENROLLED)
    daemon.wait_for("porter.face.unknown")
    door.enrol()
    unlocked = daemon.wait_for("porter.door.unlocked")
    assert unlocked["data"]["person"] == NAME
    door.show(EMPTY)
    removed = door.ask("people", "remove", NAME, "--yes")
    assert removed.returncode == 0, removed.stderr
    daemon.wait_for_log("0 people known")
    time.sleep(1.5)  # until the face that was followed counts as gone; one face is told of once
    door.show(ENROLLED)
    daemon.wait_for("porter.face.unknown")


def test_a_lost_camera_is_reported_and_opens_nothing(door: AtTheDoor) -> None:
    door.configure()
    door.enrol()
    daemon = door.run()
    time.sleep(0.5)
    door.camera.cut()
    daemon.wait_for("porter.camera.lost")
    assert not of(daemon.seen, "door.unlocked")
    door.show(ENROLLED)
    door.camera.start()
    daemon.wait_for("porter.camera.restored")
    daemon.wait_for("porter.door.unlocked")
    code, _ = daemon.stop()
    assert code == 0
    assert daemon.seen[-2]["type"] == "porter.door.locked"


def lock_script(folder: Path) -> tuple[Json, Path]:
    """An actuator that writes what it is told, with the time, into a file."""
    record, script = folder / "lock.txt", folder / "lock.sh"
    script.write_text(f'#!/bin/sh\necho "$1 $(date +%s.%N)" >> "{record}"\n')
    script.chmod(0o755)
    command = {"unlock": [str(script), "unlock"], "lock": [str(script), "lock"]}
    return {"actuator": "command", "command": command}, record


def orders(record: Path) -> list[str]:
    """What the lock was told so far."""
    return record.read_text().split()[::2]


def wait_until(condition: Callable[[], bool], seconds: float = 6.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_daemon_that_is_killed_or_frozen_while_the_door_is_open_leaves_it_locked(
    door: AtTheDoor, tmp_path: Path, number: signal.Signals
) -> None:
    actuator, record = lock_script(tmp_path)
    door.configure(door=actuator | {"unlock_seconds": 2.0})
    door.enrol()
    daemon = door.run()
    door.show(ENROLLED)
    daemon.wait_for("porter.door.unlocked")
    wait_until(lambda: "unlock" in orders(record))
    os.kill(daemon.process.pid, number)
    wait_until(lambda: orders(record)[-1] == "lock")


def test_a_claim_opens_for_the_person_claimed_and_for_nobody_else(door: AtTheDoor) -> None:
    door.configure(door={"mode": "id+face", "arm_seconds": 5.0})
    door.enrol()
    daemon = door.run()
    door.show(ENROLLED)
    daemon.wait_for("porter.face.recognized")
    assert not of(daemon.seen, "door.unlocked"), "nobody has claimed anything yet"
    refused = door.ask("claim", "Nobody")
    assert refused.returncode != 0
    assert "nobody is known as Nobody" in refused.stderr
    assert door.ask("claim", NAME.lower()).returncode == 0
    unlocked = daemon.wait_for("porter.door.unlocked")
    assert (unlocked["data"]["cause"], unlocked["data"]["person"]) == ("id+face", NAME)
    daemon.wait_for("porter.door.locked")
    door.show(STRANGER)
    time.sleep(1.0)
    assert door.ask("claim", NAME).returncode == 0
    reason = "not armed"  # as long as Eileen is still there
    while reason == "not armed":
        reason = daemon.wait_for("porter.door.denied")["data"]["reason"]
    assert reason in ("unknown", "nobody came")
    assert len(of(daemon.seen, "door.unlocked")) == 1


def test_orders_are_obeyed_and_on_record(door: AtTheDoor) -> None:
    door.configure()
    daemon = door.run()
    assert door.ask("unlock", "--for", "20s", "--reason", "a parcel").returncode == 0
    unlocked = daemon.wait_for("porter.door.unlocked")["data"]
    assert unlocked["cause"] == "manual"
    assert unlocked["reason"].startswith("a parcel (by ")
    assert json.loads(door.ask("status", "--json").stdout)["door"]["state"] == "held"
    assert door.ask("lock").returncode == 0
    locked = daemon.wait_for("porter.door.locked")["data"]
    while locked["reason"] == "started":
        locked = daemon.wait_for("porter.door.locked")["data"]
    assert locked["reason"] == "manual"
    status = json.loads(door.ask("status", "--json").stdout)
    assert status["door"]["state"] == "locked"
    assert status["camera"]["people"] == 0


def test_the_running_daemon_takes_the_pictures_of_an_enrolment(door: AtTheDoor) -> None:
    door.configure()
    daemon = door.run()
    door.show(ENROLLED)
    done = door.ask("enroll", NAME, "--camera")
    assert done.returncode == 0, done.stderr
    assert f"{NAME}: enrolled" in done.stdout
    assert daemon.wait_for("porter.door.unlocked")["data"]["person"] == NAME


def test_a_wrong_match_that_is_reported_does_not_happen_again(door: AtTheDoor) -> None:
    door.configure()
    door.enrol()
    daemon = door.run()
    door.show(ENROLLED)
    unlocked = daemon.wait_for("porter.door.unlocked")
    door.show(EMPTY)
    time.sleep(1.5)
    said = door.ask("people", "not", NAME, unlocked["id"])
    assert said.returncode == 0, said.stderr
    daemon.wait_for_log("the gallery has changed")
    door.show(ENROLLED)
    unsure = daemon.wait_for("porter.face.unsure")
    assert unsure["data"]["reason"] == "decoy"
    assert len(of(daemon.seen, "door.unlocked")) == 1


def test_other_rules_take_effect_with_a_reload(door: AtTheDoor) -> None:
    door.configure()
    door.enrol()
    daemon = door.run()
    time.sleep(0.5)
    door.configure(door={"mode": "wake"})
    hang_up(daemon)
    daemon.wait_for_log("reloaded")
    door.show(ENROLLED)
    daemon.wait_for("porter.face.recognized")
    time.sleep(1.0)
    daemon.stop()
    assert not of(daemon.seen, "door.unlocked")


def test_what_a_reload_cannot_change_of_the_lock_stays_in_force(
    door: AtTheDoor, tmp_path: Path
) -> None:
    lock = {"unlock": ["/bin/true"], "lock": ["/bin/true"]}
    works = {"mode": "face", "actuator": "command", "command": lock, "max_unlock_seconds": 2.0}
    door.configure(door={**works, "unlock_seconds": 1.0})
    daemon = door.run()
    other = {"mode": "face", "max_unlock_seconds": 60.0}
    for told in range(1, 3):
        door.configure(door=other)
        hang_up(daemon)
        log = daemon.wait_for_log("reloaded\n", times=told)
        for what in ("door.actuator", "a longer door.max_unlock_seconds"):
            assert log.count(f"{what} takes effect when Porter is started again") == told
    assert "at most 2 s" in door.ask("unlock", "--for", "4s", "--reason", "x").stderr
    assert door.ask("unlock", "--for", "2s", "--reason", "x").returncode == 0
    assert daemon.wait_for("porter.door.unlocked")["data"]["actuator"] == "command"


def hang_up(daemon: Daemon) -> None:
    daemon.process.send_signal(signal.SIGHUP)


def test_what_was_judged_by_other_settings_is_not_told_to_the_door(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload can come between a match and the door hearing of it."""
    folder = tmp_path / "pile"
    folder.mkdir()
    photo = cv2.imread(str(PHOTO))
    for number in range(20):
        picture = photo if number < 6 else np.zeros_like(photo)
        cv2.imwrite(str(folder / f"{number:02}.png"), picture + np.uint8(number % 2))
    camera = {"enabled": True, "source": "folder", "path": str(folder), "pace": "fast"}
    path = settings(tmp_path / "c.yaml", camera=camera)
    enrol(environment, path)
    monkeypatch.setenv("STATE_DIRECTORY", environment["STATE_DIRECTORY"])
    waiting: list[Callable[[], Any]] = []
    said: list[Any] = []
    told: list[Any] = []

    def here(function: Callable[..., Any]) -> Callable[..., None]:
        return lambda *values: waiting.append(lambda: function(*values))

    config = load_config(path)
    sight = Sight(config, here, said.append, told.append, lambda: None, lambda: None)
    sight.open()
    sight.pipeline.start()
    sight.pipeline.join(20)
    sight.change(sight.prepare(config)).close()
    for call in waiting:
        call()
    sight.close()
    assert NAME in [each.person for each in said if isinstance(each, FaceRecognized)]
    assert {type(each) for each in told} == {TrackLost}


def test_orders_are_obeyed_while_the_configuration_is_read_again(
    door: AtTheDoor, tmp_path: Path
) -> None:
    door.configure()
    daemon = door.run()
    content = door.config.read_bytes()
    door.config.unlink()
    os.mkfifo(door.config)  # reading it lasts until somebody writes
    hang_up(daemon)
    copy = tmp_path / "copy.yaml"
    copy.write_bytes(content)
    for order in (("unlock", "--for", "20s", "--reason", "a parcel"), ("lock",)):
        done = door.ask(*order, "--config", str(copy))
        assert done.returncode == 0, done.stderr
    assert "reloaded" not in daemon.errors()
    door.config.write_bytes(content)
    daemon.wait_for_log("reloaded")


def test_a_refused_reload_leaves_nothing_behind(door: AtTheDoor) -> None:
    door.configure()
    daemon = door.run()
    door.configure(events={"path": "/nowhere/events.jsonl"})

    threads = []
    for count in range(1, 6):
        hang_up(daemon)
        daemon.wait_for_log("not reloaded", times=count)
        threads.append(len(list(Path(f"/proc/{daemon.process.pid}/task").iterdir())))
    assert threads[-1] - threads[0] < 3, threads


def test_a_pipe_that_is_closed_while_a_camera_runs_is_a_loss_of_sound(door: AtTheDoor) -> None:
    door.configure(
        audio={"enabled": True, "source": "pipe"},
        wake={"models": [{"model": "tones"}]},
        door={"mode": "wake+face"},
    )
    daemon = door.run()
    assert daemon.process.stdin is not None
    daemon.process.stdin.close()
    assert daemon.wait_for("porter.audio.lost")["data"]["reason"] == "standard input was closed"
    assert door.ask("lock").returncode == 0, "the door is still minded"


def test_a_camera_that_is_switched_off_by_a_reload_stays_until_a_restart(door: AtTheDoor) -> None:
    door.configure()
    daemon = door.run()
    camera = json.loads(door.ask("status", "--json").stdout)["camera"]["source"]
    settings(door.config, camera={"enabled": False}, door={"mode": "wake"})
    hang_up(daemon)
    log = daemon.wait_for_log(" reloaded")
    assert "camera.enabled takes effect when Porter is started again" in log
    time.sleep(1.0)
    status = json.loads(door.ask("status", "--json").stdout)
    assert status["camera"]["source"] == camera
    assert status["door"]["mode"] == "wake"
    daemon.stop()
    assert not of(daemon.seen, "camera.lost")


@pytest.mark.parametrize("what", ["camera", "gallery", "key", "model"])
def test_what_is_missing_or_damaged_is_one_clear_line_and_the_door_stays_locked(
    environment: dict[str, str], tmp_path: Path, what: str
) -> None:
    config = settings(tmp_path / "c.yaml", camera=on_video())
    enrol(environment, config)
    state = Path(environment["STATE_DIRECTORY"])
    if what == "camera":
        settings(config, camera=on_video(path=str(tmp_path / "none.mp4")))
    elif what == "gallery":
        (state / "gallery.db").write_bytes(b"no database" * 500)
    elif what == "key":
        (state / "gallery.key").write_bytes(os.urandom(32))
    else:
        settings(config, camera=on_video(), faces={"encoder": str(tmp_path / "none.onnx")})
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode not in (0, 1, 2)
    errors = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not of(events(done.stdout), "door.unlocked")


def test_pictures_in_a_folder_are_looked_at(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "pile"
    folder.mkdir()
    photo = cv2.imread(str(PHOTO))
    rng = np.random.default_rng(0)
    for number in range(5):
        noisy = np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noisy)
    (folder / "9.jpg").write_bytes(b"broken")
    camera = {"enabled": True, "source": "folder", "path": str(folder), "pace": "fast"}
    config = settings(tmp_path / "c.yaml", camera=camera)
    enrol(environment, config)
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "9.jpg: not a picture" in done.stderr
    found = events(done.stdout)
    assert of(found, "face.recognized")[0]["person"] == NAME
    assert found[-1]["data"]["pictures"] == 5
