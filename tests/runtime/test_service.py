"""Signals, reload, and what a service manager is told."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.config import Config
from daemon.door.inputs import WakeHeard
from daemon.events import Model, WakeDetected, rfc3339
from daemon.service import Service
from tests.runtime.process import Daemon, configuration, frozen, porter
from tests.sounds import HIGH, LOW, s16le, scene, write


class Manager:
    """The service manager's end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def next(self, seconds: float = 10) -> str:
        self._socket.settimeout(seconds)
        return self._socket.recv(4_096).decode()

    def watchdogs_within(self, seconds: float) -> int:
        """Signs of life in a stretch of time; other messages must not come."""
        count, deadline = 0, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                assert self.next(left) == "WATCHDOG=1"
                count += 1
            except TimeoutError:
                break
        return count

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


class Microphone:
    """Feeds a daemon's standard input in real time, until stopped."""

    def __init__(self, daemon: Daemon, sound: bytes = s16le(scene(0.5))) -> None:
        self._daemon, self._sound = daemon, sound
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        place = 0
        while not self._halt.wait(0.04):
            chunk = self._sound[place : place + 1_280]
            place = (place + 1_280) % len(self._sound)
            try:
                self._daemon.feed(chunk)
            except (BrokenPipeError, ValueError):
                return

    def stop(self) -> None:
        self._halt.set()
        self._thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("source", ["pipe", "file"])
def test_a_signal_stops_within_a_second(
    start: Callable[..., Daemon], config: Path, tmp_path: Path, number: int, source: str
) -> None:
    if source == "pipe":
        daemon = start("--config", config, "--pipe")
    else:
        sound = write(tmp_path / "long.wav", scene(30, {0.5: LOW}))
        daemon = start("--config", config, "--file", sound)
    daemon.wait_for("porter.started")
    code, seconds = daemon.stop(number)
    assert code == 0
    assert seconds < 1
    stopped = daemon.seen[-1]
    assert stopped["type"] == "porter.stopped"
    assert stopped["data"]["reason"] == "signal"
    assert stopped["data"]["message"] == signal.Signals(number).name
    assert "Traceback" not in daemon.errors()


def test_ready_comes_after_the_first_sound(
    start: Callable[..., Daemon], config: Path, manager: Manager
) -> None:
    daemon = start("--config", config, "--pipe", env=manager.environment)
    daemon.wait_for("porter.started")
    with pytest.raises(TimeoutError):
        manager.next(0.5)
    daemon.feed(s16le(scene(0.32)))
    assert manager.next() == "READY=1"
    daemon.stop()
    assert manager.next() == "STOPPING=1"


def test_the_watchdog_is_fed_while_there_is_life_and_only_then(
    start: Callable[..., Daemon], config: Path, manager: Manager
) -> None:
    environment = manager.environment | {"WATCHDOG_USEC": "600000"}
    daemon = start("--config", config, "--pipe", env=environment)
    microphone = Microphone(daemon)
    assert {manager.next(), manager.next()} == {"READY=1", "WATCHDOG=1"}
    assert manager.watchdogs_within(2) >= 4  # one in each 0.6 s, on a busy machine, too
    with frozen(daemon.pipeline_thread()):
        manager.watchdogs_within(0.5)  # what it had earned before
        assert manager.watchdogs_within(2) == 0
    microphone.stop()
    daemon.stop()


def test_a_silent_pipe_is_no_hang(
    start: Callable[..., Daemon], tmp_path: Path, manager: Manager
) -> None:
    """A source that is lost, and waited for, is legitimate: restarting would not bring it back."""
    environment = manager.environment | {"WATCHDOG_USEC": "3000000"}
    audio = {"source": "pipe", "stall_seconds": 0.3}
    config = configuration(tmp_path / "config.yaml", audio=audio)
    daemon = start("--config", config, env=environment)
    daemon.feed(s16le(scene(0.32)))
    daemon.wait_for("porter.audio.lost")
    messages = {manager.next(), manager.next()}
    assert messages == {"READY=1", "WATCHDOG=1"}
    assert manager.watchdogs_within(4) >= 2
    daemon.stop()


def test_a_pipe_that_may_be_silent_for_long_is_no_hang_either(
    start: Callable[..., Daemon], tmp_path: Path, manager: Manager
) -> None:
    environment = manager.environment | {"WATCHDOG_USEC": "4000000"}
    audio = {"source": "pipe", "stall_seconds": 60}
    config = configuration(tmp_path / "config.yaml", audio=audio)
    daemon = start("--config", config, env=environment)
    daemon.feed(s16le(scene(0.32)))
    assert {manager.next(), manager.next()} == {"READY=1", "WATCHDOG=1"}
    assert manager.watchdogs_within(5) >= 3
    daemon.stop()
    assert "porter.audio.lost" not in [each["type"] for each in daemon.seen]


def test_another_process_s_watchdog_is_not_fed(
    start: Callable[..., Daemon], config: Path, manager: Manager
) -> None:
    environment = {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": str(os.getpid())}
    daemon = start("--config", config, "--pipe", env=manager.environment | environment)
    microphone = Microphone(daemon)
    assert manager.next() == "READY=1"
    assert manager.watchdogs_within(1) == 0
    microphone.stop()


def test_reload_applies_other_words_thresholds_and_files(
    start: Callable[..., Daemon], tmp_path: Path, manager: Manager
) -> None:
    path = tmp_path / "config.yaml"
    configuration(path, audio={"source": "pipe"}, wake={"models": [{"model": "high"}]})
    daemon = start("--config", path, env=manager.environment)
    microphone = Microphone(daemon, s16le(scene(3, {0.8: LOW, 2.0: HIGH})))
    assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "high"
    assert manager.next() == "READY=1"
    log = tmp_path / "events.jsonl"
    models = [{"model": "tones", "words": {"high": {"threshold": 0.9999}}}]
    configuration(
        path, audio={"source": "pipe"}, wake={"models": models}, events={"path": str(log)}
    )
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.process.send_signal(signal.SIGHUP)
    reloading = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.next())
    assert reloading
    assert before <= int(reloading[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.next() == "READY=1"
    words, positions = [], []
    for _ in range(3):
        data = daemon.wait_for("porter.wake.detected")["data"]
        words.append(data["word"])
        positions.append(data["end"])
    assert words[-2:] == ["low", "low"]  # at most one event was on its way during the reload
    assert positions == sorted(positions), "the stream's time goes on"
    assert positions[-1] - positions[-2] == pytest.approx(3.0, abs=0.2)
    assert '"low"' in log.read_text()
    microphone.stop()
    assert daemon.stop()[0] == 0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("wake: [", "not valid YAML"),
        ("audio: {sorce: pipe}", "unknown setting; did you mean 'source'?"),
        ("wake: {models: [{model: nowhere}]}", "nowhere: no such model"),
        (
            "wake: {models: [{model: tones, words: {hihg: {threshold: 0.5}}}]}",
            "did you mean 'high'",
        ),
        ("events: {path: /nowhere/events.jsonl}\nwake: {models: [{model: tones}]}", "events.path"),
    ],
)
def test_a_bad_configuration_is_reported_and_the_old_one_stays(
    start: Callable[..., Daemon], tmp_path: Path, manager: Manager, content: str, complaint: str
) -> None:
    path = configuration(tmp_path / "config.yaml", audio={"source": "pipe"})
    daemon = start("--config", path, env=manager.environment)
    microphone = Microphone(daemon, s16le(scene(2, {1.0: LOW})))
    daemon.wait_for("porter.wake.detected")
    assert manager.next() == "READY=1"
    path.write_text(content)
    daemon.process.send_signal(signal.SIGHUP)
    log = daemon.wait_for_log("not reloaded")
    (line,) = [line for line in log.splitlines() if "not reloaded" in line]
    assert complaint in line
    assert manager.next().startswith("RELOADING=1")
    assert manager.next() == "READY=1"
    assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "low"
    microphone.stop()
    assert daemon.stop()[0] == 0


def test_a_reload_is_answered_before_any_sound_came(
    start: Callable[..., Daemon], tmp_path: Path, manager: Manager
) -> None:
    path = configuration(tmp_path / "config.yaml", audio={"source": "pipe"})
    daemon = start("--config", path, env=manager.environment)
    daemon.wait_for("porter.started")
    path.write_text("audio: {sorce: pipe}")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("not reloaded")
    sound = write(tmp_path / "talk.wav", scene(2, {1.0: HIGH}))
    configuration(path, audio={"source": "file", "path": str(sound), "pace": "fast"})
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "high"
    assert manager.next() == "READY=1", "not before: it was not ready, so it says no RELOADING"
    assert daemon.finish() == 0


@pytest.mark.parametrize(
    ("also", "told"),
    [({"log": {"level": "loud"}}, "log.level: must be one of"), ({}, ""), ({"odor": {}}, "odor: ")],
)
def test_the_door_is_locked_whatever_else_is_wrong_in_the_configuration(
    environment: dict[str, str], tmp_path: Path, also: dict[str, Any], told: str
) -> None:
    """The last resort of the service, when daemon and guard were killed together."""
    command = {each: ["/bin/sh", "-c", f"echo {each} >>{tmp_path}/bolt"] for each in ("lock",)}
    door = {"actuator": "command", "command": {**command, "unlock": ["/bin/true"]}}
    path = configuration(tmp_path / "c.yaml", door=door, **also)
    done = porter("lock", "--direct", "--config", path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bolt").read_text() == "lock\n"
    assert told in done.stderr
    assert ("locking all the same" in done.stderr) == bool(told)
    path = configuration(tmp_path / "c.yaml", door={**door, "actuator": "dynamite"}, **also)
    done = porter("lock", "--direct", "--config", path, environment=environment)
    assert done.returncode == 78
    assert "door.actuator: must be one of" in done.stderr


def test_a_word_that_was_heard_by_the_settings_before_does_not_arm_the_door() -> None:
    service = Service(Config)
    told: list[Any] = []
    service._door = SimpleNamespace(handle=told.append)  # type: ignore[assignment]
    heard = WakeDetected(
        word="low", enrolled=False, model=Model(name="tones", version="1", sha256="0" * 12),
        probability=0.9, threshold=0.5, second_look=None, onset=0.1, end=0.5,
        onset_time=rfc3339(0.0), end_time=rfc3339(0.0), latency_ms=None,
    )  # fmt: skip
    service._ordered = 3
    for orders in (2, 3, 2):
        service._say_heard(heard, orders)
    assert told == [WakeHeard(word="low")]


def test_a_source_that_was_missing_is_taken_at_a_later_reload(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Also when two reloads come before any sound, of which only the first changes the source."""
    path = configuration(tmp_path / "config.yaml", audio={"source": "pipe", "stall_seconds": 1})
    daemon = start("--config", path)
    daemon.wait_for("porter.started")
    late = tmp_path / "late.wav"
    audio = {"source": "file", "path": str(late), "pace": "fast"}
    configuration(path, audio=audio)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("reloaded")
    configuration(path, audio=audio, log={"level": "debug"})
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("late.wav: cannot be opened")
    write(late, scene(2, {1.0: HIGH}))
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "high"
    assert daemon.finish() == 0


def test_reload_can_change_the_source(start: Callable[..., Daemon], tmp_path: Path) -> None:
    path = configuration(tmp_path / "config.yaml", audio={"source": "pipe"})
    daemon = start("--config", path)
    microphone = Microphone(daemon)
    daemon.wait_for("porter.started")
    time.sleep(0.3)
    microphone.stop()
    daemon.feed(s16le(scene(0.2)))
    configuration(path, audio={"source": "file", "path": str(tmp_path / "missing.wav")})
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("missing.wav: cannot be opened")
    sound = write(tmp_path / "talk.wav", scene(2, {1.0: HIGH}))
    configuration(path, audio={"source": "file", "path": str(sound), "pace": "fast"})
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "high"
    assert daemon.finish() == 0
    assert daemon.seen[-1]["data"]["reason"] == "end of input"


def test_starting_takes_little_processor_time(start: Callable[..., Daemon], config: Path) -> None:
    """On a busy machine the wall time says little; the benchmark measures it on an idle one."""
    used = []
    for _ in range(3):
        daemon = start("--config", config, "--pipe")
        assert daemon.wait_for("porter.started")["data"]["startup_ms"] > 100
        assert daemon.stop()[0] == 0
        used.append(daemon.seen[-1]["data"]["cpu_seconds"])
    assert min(used) < 1.5
