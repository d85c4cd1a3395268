"""Failures and a lockout outlive the daemon; a damaged or unwritable file opens nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.door import memory as module
from daemon.door.actuators import DryRun
from daemon.door.door import Door, DoorStatus
from daemon.door.events import DoorEvent
from daemon.door.inputs import ManualUnlock, Recognized, Unknown
from daemon.door.memory import FILE, Memory
from daemon.door.policy import Rules
from daemon.door.settings import DoorConfig
from daemon.vision.settings import LivenessConfig
from tests.door.world import evidence

LOCKOUT = {"failures": 3, "window_seconds": 60, "seconds": 30}


def live(
    path: Path, story: Callable[[Door], None], killed: bool = False, **lockout: object
) -> tuple[DoorStatus, list[DoorEvent]]:
    """A door's life; how it was at last, and its events. A killed one says no goodbye."""
    events: list[DoorEvent] = []

    async def run() -> DoorStatus:
        config = DoorConfig(mode="face", lockout=LOCKOUT | lockout)
        kept = Memory(path)
        rules = Rules(config, LivenessConfig())
        door = Door(rules, DryRun(), events.append, lambda: ("left",), kept)
        await door.start()
        story(door)
        status = door.status()
        await (kept.close() if killed else door.stop())
        return status

    return asyncio.run(run()), events


def fail(times: int, first: int = 1) -> Callable[[Door], None]:
    def story(door: Door) -> None:
        for track in range(first, first + times):
            door.handle(Unknown(track=track, message="score 1.0"))

    return story


def come(door: Door) -> None:
    door.handle(Recognized(person="ada", evidence=evidence(9), taken=time.monotonic()))


@pytest.mark.parametrize("killed", [False, True])
def test_a_lockout_goes_on_after_a_restart(killed: bool, tmp_path: Path) -> None:
    before, _ = live(tmp_path / FILE, fail(3), killed)
    assert before.state == "lockout"
    after, events = live(tmp_path / FILE, come)
    assert after.state == "lockout"
    assert after.seconds_left is not None
    assert 25 < after.seconds_left <= 30
    assert [event.type for event in events][1] == "porter.door.denied"
    assert after.unlocks == 0


@pytest.mark.parametrize("killed", [False, True])
def test_failures_count_on_after_a_restart(killed: bool, tmp_path: Path) -> None:
    before, _ = live(tmp_path / FILE, fail(2), killed)
    assert (before.state, before.failures) == ("locked", 2)
    after, _ = live(tmp_path / FILE, fail(1, first=5))
    assert after.state == "lockout"


def test_orders_open_during_a_lockout_that_was_remembered_and_it_goes_on(tmp_path: Path) -> None:
    live(tmp_path / FILE, fail(3))
    order = ManualUnlock(seconds=1.0, reason="fire drill", by="root")
    held, _ = live(tmp_path / FILE, lambda door: door.handle(order) and None)
    assert held.state == "held"
    after, _ = live(tmp_path / FILE, lambda door: None)
    assert after.state == "lockout"


def test_nothing_is_written_until_somebody_fails_nor_kept_when_it_is_over(tmp_path: Path) -> None:
    live(tmp_path / "state" / FILE, come)
    assert not (tmp_path / "state").exists()
    live(tmp_path / "state" / FILE, fail(3), seconds=1)
    assert (tmp_path / "state" / FILE).stat().st_mode & 0o777 == 0o600
    time.sleep(1.1)
    after, _ = live(tmp_path / "state" / FILE, come, seconds=1)
    assert after.unlocks == 1
    live(tmp_path / "state" / FILE, fail(1), window_seconds=1)
    time.sleep(1.1)
    live(tmp_path / "state" / FILE, come, window_seconds=1)
    assert not (tmp_path / "state" / FILE).exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"failures": "many"}', b'{"failures": [NaN]}', b'{"more": 1}', b"\xff"],
)
def test_a_damaged_file_begins_a_lockout_and_is_named(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        after, _ = live(tmp_path / FILE, come)
    assert (after.state, after.unlocks) == ("lockout", 0)
    (said,) = [each.getMessage() for each in caplog.records]
    assert str(tmp_path / FILE) in said
    assert "remove the file" in said
    assert json.loads((tmp_path / FILE).read_text())["locked_out_until"] > time.time()


def test_a_folder_that_cannot_be_written_forgets_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file, where a folder should be")
    with caplog.at_level(logging.WARNING):
        before, _ = live(tmp_path / "state" / FILE, fail(3))
    assert before.state == "lockout"
    assert "a restart will forget" in caplog.text


@pytest.mark.parametrize(("hours", "state"), [(-24.0, "lockout"), (24.0, "locked")])
def test_a_wall_clock_that_was_set_makes_no_lockout_longer_than_one(
    hours: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(tmp_path / FILE, fail(3))
    real = time.time
    monkeypatch.setattr(module.time, "time", lambda: real() + 3600 * hours)
    after, _ = live(tmp_path / FILE, lambda door: None)
    assert after.state == state
    assert after.seconds_left is None or after.seconds_left <= 30
