"""Commands that run on an event."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.events import AudioLost, Event, rfc3339
from daemon.fields import CommandHook
from daemon.sinks.command import AT_ONCE, Commands
from tests.runtime.process import Daemon, configuration, events, porter
from tests.sounds import LOW, s16le, scene, write


def script(path: Path, text: str) -> str:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_gets_the_event(environment: dict[str, str], tmp_path: Path) -> None:
    command = script(
        tmp_path / "hook",
        'cat > "$1.$$.stdin"\nprintf "%s" "$PORTER_EVENT" > "$1.$$.env"\n'
        'printf "%s\\n" "$PORTER_EVENT_TYPE" "$2" >> "$1.types"\necho said on standard output\n',
    )
    got = tmp_path / "got"
    hook = [command, str(got), "$(no shell) ; `here`"]
    config = configuration(
        tmp_path / "config.yaml", on={"porter.wake.detected": hook, "porter.stopped": hook}
    )
    sound = write(tmp_path / "talk.wav", scene(3, {1.0: LOW}))
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    assert done.returncode == 0
    emitted = events(done.stdout)  # and nothing but events
    assert "said on standard output" in done.stderr
    hooked = ("porter.wake.detected", "porter.stopped")
    expected = [event for event in emitted if event["type"] in hooked]
    by_id = {event["id"]: event for event in expected}
    for suffix in ("stdin", "env"):
        seen = [json.loads(path.read_text()) for path in tmp_path.glob(f"got.*.{suffix}")]
        assert {event["id"]: event for event in seen} == by_id
    types = (tmp_path / "got.types").read_text().splitlines()
    assert sorted(types[::2]) == ["porter.stopped", "porter.wake.detected"]
    assert set(types[1::2]) == {"$(no shell) ; `here`"}


def test_a_slow_command_is_killed_with_everything_it_started(
    environment: dict[str, str], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    command = script(tmp_path / "hook", f"sleep 60 &\necho $$ $! > {pids}\nwait\n")
    on = {"porter.wake.detected": {"command": [command], "timeout": 0.5}}
    config = configuration(tmp_path / "config.yaml", on=on)
    sound = write(tmp_path / "talk.wav", scene(2, {1.0: LOW}))
    began = time.monotonic()
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    assert done.returncode == 0
    assert f"{command} killed after 0.5 s" in done.stderr
    assert time.monotonic() - began < 10
    time.sleep(0.1)
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def test_commands_never_delay_the_events_nor_pile_up(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    command = script(tmp_path / "hook", f"echo x >> {tmp_path / 'running'}\nsleep 30\n")
    on = {"porter.wake.detected": {"command": [command], "timeout": 60}}
    words = {"low": {"refractory": 0}}
    config = configuration(
        tmp_path / "config.yaml", on=on, wake={"models": [{"model": "tones", "words": words}]}
    )
    daemon = start("--config", config, "--pipe")
    daemon.feed(s16le(scene(12, {0.5 + i: LOW for i in range(10)})))
    began = time.monotonic()
    for _ in range(10):
        daemon.wait_for("porter.wake.detected", 5)
    assert time.monotonic() - began < 5
    time.sleep(0.5)
    assert len((tmp_path / "running").read_text().splitlines()) == 4
    code, seconds = daemon.stop()
    assert code == 0
    assert seconds < 1
    assert daemon.seen[-1]["data"]["detections"] == {"low": 10}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("exit 3\n", "failed: exit code 3"), ("kill -TERM $$\n", "failed: killed by signal 15")],
)
def test_a_command_that_fails_is_named(
    environment: dict[str, str], tmp_path: Path, text: str, complaint: str
) -> None:
    command = script(tmp_path / "hook", text)
    config = configuration(tmp_path / "config.yaml", on={"porter.started": [command]})
    done = porter("run", "--config", config, "--pipe", environment=environment)
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert line.endswith(f"on porter.started: {command} {complaint}")


def test_a_command_that_is_not_there_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    config = configuration(tmp_path / "config.yaml", on={"porter.started": ["/no/such"]})
    done = porter("run", "--config", config, "--pipe", environment=environment)
    assert done.returncode == 0
    assert "on porter.started: /no/such cannot be run: No such file or directory" in done.stderr


def test_a_command_that_may_not_be_killed_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """As one that uses sudo: otherwise one more would run with every event."""

    def refuse(*_: object) -> None:
        raise PermissionError

    hang = script(tmp_path / "hang", 'echo >> "$0.begun"\nexec sleep 3\n')

    async def run() -> None:
        monkeypatch.setattr(os, "killpg", refuse)
        sink = Commands("commands", lambda _: CommandHook(command=[hang], timeout=0.3))
        sending = asyncio.create_task(send(sink))
        await asyncio.sleep(1.5)
        assert len((tmp_path / "hang.begun").read_text()) == AT_ONCE
        sending.cancel()
        await asyncio.wait_for(sink.close(), 2)

    async def send(sink: Commands) -> None:
        for _ in range(2 * AT_ONCE):
            await sink.send(
                Event(source="porter", time=rfc3339(0.0), data=AudioLost(reason="unplugged"))
            )

    asyncio.run(run())
    assert "hang cannot be killed after 0.3 s" in caplog.text
    assert "Traceback" not in caplog.text
