"""Where events go: standard output, a file; and what happens when they cannot go there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.bus import QUEUE_EVENTS, Bus
from daemon.errors import OutputError
from daemon.events import AudioLost, Event, rfc3339
from daemon.sinks import jsonl
from daemon.sinks.jsonl import JsonLines, open_file
from tests.faces import draw, write_picture
from tests.runtime.process import PORTER, Daemon, configuration, events, porter
from tests.sounds import HIGH, LOW, s16le, scene, write

SOUND = scene(6, {1.0: LOW, 2.0: HIGH, 3.0: LOW, 4.0: HIGH, 5.0: LOW})


def test_a_file_gets_the_same_events_as_standard_output(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text('{"an": "earlier run"}\n')
    config = configuration(tmp_path / "config.yaml", events={"path": str(log)})
    sound = write(tmp_path / "talk.wav", SOUND)
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    assert done.returncode == 0
    assert log.read_text() == '{"an": "earlier run"}\n' + done.stdout


def test_a_name_that_is_not_utf_8_costs_no_event(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    write_picture(tmp_path / "nobody.png", draw()).rename(folder / "nobody.png")
    config = configuration(tmp_path / "config.yaml", audio={"enabled": False})
    done = porter("run", "--config", config, "--camera", folder, "--fast", environment=environment)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert (found[0]["type"], found[-1]["type"]) == ("porter.started", "porter.stopped")
    assert folder.name in found[0]["data"]["camera"]


class Odd:
    """A sink with a mistake in it."""

    name = "odd"

    async def send(self, event: Event) -> None:
        raise LookupError("no such thing")

    async def drain(self) -> None: ...

    async def close(self) -> None: ...


def test_a_mistake_in_a_sink_is_no_silence(caplog: pytest.LogCaptureFixture) -> None:
    said: list[OutputError] = []

    async def run() -> None:
        bus = Bus(failed=said.append)
        bus.add(Odd())
        for _ in range(3):
            bus.publish(lost("x"))
        await bus.close(1)

    asyncio.run(run())
    assert [str(each) for each in said] == ["odd: LookupError: no such thing"]
    assert "odd cannot go on" in caplog.text


class Kept:
    """A sink that takes its time and keeps what it was given."""

    def __init__(self, name: str, seconds: float = 0.0) -> None:
        self.name, self._seconds = name, seconds
        self.sent: list[Event] = []

    async def send(self, event: Event) -> None:
        await asyncio.sleep(self._seconds)
        self.sent.append(event)

    async def drain(self) -> None: ...

    async def close(self) -> None: ...


def test_no_event_goes_to_both_of_two_sinks_of_which_one_takes_the_other_s_place() -> None:
    old, new = Kept("old", 0.1), Kept("new")

    async def run() -> None:
        bus = Bus(failed=lambda error: pytest.fail(str(error)))
        bus.add(old)
        bus.publish(lost("before"))
        bus.remove([old], 60)
        bus.add(new)
        bus.publish(lost("after"))
        await bus.close(5)

    asyncio.run(run())
    assert [len(old.sent), len(new.sent)] == [1, 1], "what waited is delivered, too"


def test_a_sink_that_was_taken_out_holds_up_the_end_no_longer_than_any(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        bus = Bus(failed=lambda error: pytest.fail(str(error)))
        slow = Kept("slow", 60)
        bus.add(slow)
        bus.publish(lost("x"))
        bus.remove([slow], 60)
        await bus.close(0.1)

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 5
    assert "slow did not finish in time" in caplog.text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one page."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a tiny file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tiny file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_daemon_and_leaves_whole_lines(
    environment: dict[str, str], tmp_path: Path, small_disk: Path
) -> None:
    log = small_disk / "events.jsonl"
    config = configuration(tmp_path / "config.yaml", events={"path": str(log)})
    raw = s16le(scene(60, {1.0 + 2 * i: (LOW, HIGH)[i % 2] for i in range(25)}))
    done = porter("run", "--config", config, "--pipe", environment=environment, stdin=raw)
    assert done.returncode == 74
    complaint = done.stderr.splitlines()[-1]
    assert complaint == f"porter: error: {log}: no space left; make room and start again"
    kept = log.read_text()
    assert kept.endswith("\n")
    whole = [json.loads(line) for line in kept.splitlines()]
    assert whole[0]["type"] == "porter.started"
    assert len(whole) >= 3
    stopped = events(done.stdout)[-1]
    assert stopped["type"] == "porter.stopped"
    assert stopped["data"]["reason"] == "error"


def test_a_full_device_as_standard_output(environment: dict[str, str], config: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PORTER, "run", "--config", str(config), "--pipe"],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            timeout=30,
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr.splitlines()[-1].startswith("porter: error: standard output: no space left")
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_the_daemon(
    start: Callable[..., Daemon], config: Path
) -> None:
    daemon = start("--config", config, "--pipe")
    daemon.feed(s16le(scene(1)))
    daemon.wait_for("porter.started")
    assert daemon.process.stdout is not None
    reader = daemon.process.stdout.fileno()
    os.dup2(os.open("/dev/null", os.O_RDONLY), reader)  # the last reader of the pipe is gone
    daemon.feed(s16le(scene(1, {0.3: LOW})))
    assert daemon.process.wait(10) == 74
    assert daemon.errors().splitlines()[-1] == (
        "porter: error: standard output: closed by the program that reads it"
    )


@pytest.mark.parametrize(
    ("path", "reason"), [("missing/events.jsonl", "No such file"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_opened_is_named(
    environment: dict[str, str], tmp_path: Path, path: str, reason: str
) -> None:
    target = tmp_path / path
    config = configuration(tmp_path / "config.yaml", events={"path": str(target)})
    done = porter("run", "--config", config, "--pipe", environment=environment)
    assert (done.returncode, done.stdout) == (74, "")
    assert done.stderr.startswith(f"porter: error: events.path: {target}: cannot be written")
    assert reason in done.stderr


def test_a_reader_that_sleeps_delays_neither_the_sound_nor_the_end(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    """Nobody reads standard output, and its pipe fills up; the daemon goes on and stops in time."""
    sound = write(tmp_path / "talk.wav", scene(300, {0.5 + i: LOW for i in range(299)}))
    read, written = os.pipe()
    process = subprocess.Popen(
        [*PORTER, "run", "--config", str(config), "--file", str(sound), "--fast"],
        stdout=written,
        stderr=subprocess.PIPE,
        env=environment,
    )
    os.close(written)
    began = time.monotonic()
    assert process.wait(30) == 0
    assert time.monotonic() - began < 20
    assert process.stderr is not None
    assert re.search(
        r"standard output did not finish in time: \d+ events dropped",
        process.stderr.read().decode(),
    )
    process.stderr.close()
    with os.fdopen(read, "rb") as pipe:
        lines = pipe.read().decode().splitlines(keepends=True)
    assert all(json.loads(line) for line in lines if line.endswith("\n"))


def lost(reason: str) -> Event:
    return Event(source="porter/test/pipe", time=rfc3339(0), data=AudioLost(reason=reason))


def test_long_lines_pass_whole_through_a_slow_pipe() -> None:
    async def send() -> bytes:
        read, written = os.pipe()
        sink = JsonLines("pipe", written, owned=True)
        sending = asyncio.create_task(sink.send(lost("x" * 300_000)))
        raw = b""
        while not raw.endswith(b"\n"):
            await asyncio.sleep(0.001)
            raw += os.read(read, 10_000)
        await sending
        await sink.close()
        os.close(read)
        return raw

    assert len(json.loads(asyncio.run(send()))["data"]["reason"]) == 300_000


def test_a_line_that_the_disk_cuts_short_is_taken_back(small_disk: Path) -> None:
    async def send() -> None:
        sink = open_file(small_disk / "events.jsonl")
        await sink.send(lost("short"))
        with pytest.raises(OutputError, match="no space left"):
            await sink.send(lost("x" * 10_000))
        await sink.close()

    asyncio.run(send())
    (line,) = (small_disk / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["data"]["reason"] == "short"


def test_a_file_that_hangs_holds_up_its_own_sink_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "events.jsonl"
    thaw = threading.Event()
    write = os.write

    def hang(descriptor: int, raw: memoryview) -> int:
        if raw[-1:] == b"\n":
            thaw.wait(5)
            thaw.set()
        return write(descriptor, raw)

    async def run() -> None:
        bus = Bus(failed=lambda error: pytest.fail(str(error)))
        bus.add(open_file(log))
        began = time.monotonic()
        for number in range(QUEUE_EVENTS + 100):
            bus.publish(lost(str(number)))
            await asyncio.sleep(0)
        assert time.monotonic() - began < 2
        thaw.set()
        await bus.close(5)

    monkeypatch.setattr(os, "write", hang)
    asyncio.run(run())
    reasons = [int(each["data"]["reason"]) for each in events(log.read_text())]
    assert len(reasons) >= QUEUE_EVENTS
    assert reasons == list(range(len(reasons)))
    assert f"{log} is too slow: 64 events dropped" in caplog.text


def test_a_file_that_hangs_when_it_is_opened_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thaw = threading.Event()
    monkeypatch.setattr(jsonl, "OPEN_SECONDS", 0.1)
    monkeypatch.setattr(os, "open", lambda *_: thaw.wait(10))
    with pytest.raises(OutputError, match=r"events\.path: .*: not open after 0\.1 s"):
        open_file(tmp_path / "events.jsonl")
    thaw.set()


@pytest.fixture
def freezer(tmp_path: Path) -> Iterator[Path]:
    """A file system that can be frozen."""
    image, folder = tmp_path / "disk.img", tmp_path / "freezer"
    folder.mkdir()
    image.write_bytes(b"")
    os.truncate(image, 2_000_000)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", image, folder]):
        if os.geteuid() != 0 or not shutil.which(str(command[0])):
            pytest.skip("needs root and ext4, to freeze a file system")
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("cannot mount a file system here")
    yield folder
    subprocess.run(["fsfreeze", "-u", folder], capture_output=True, check=False)
    subprocess.run(["umount", "-l", folder], check=True)


def test_the_door_does_not_wait_for_a_file_system_that_hangs(
    start: Callable[..., Daemon], environment: dict[str, str], tmp_path: Path, freezer: Path
) -> None:
    log = freezer / "events.jsonl"
    config = configuration(tmp_path / "config.yaml", events={"path": str(log)})
    daemon = start("--config", config, "--pipe")
    daemon.feed(s16le(scene(1)))
    daemon.wait_for("porter.started")
    subprocess.run(["fsfreeze", "-f", freezer], check=True)
    for _ in range(2):
        daemon.feed(s16le(scene(1, {0.3: LOW})))
        daemon.wait_for("porter.wake.detected")
        assert porter("lock", environment=environment).returncode == 0
    assert log.read_text().count("\n") < len(daemon.seen)
    subprocess.run(["fsfreeze", "-u", freezer], check=True)
    assert daemon.stop()[0] == 0
    assert events(log.read_text()) == daemon.seen
