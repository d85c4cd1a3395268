"""The door as a whole: policy, times, lock and orders, on a real event loop."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
import yaml

from daemon.control import Control
from daemon.door.actuators import Actuator, DryRun, make_actuator
from daemon.door.door import Door
from daemon.door.events import (
    DoorChallenge,
    DoorDenied,
    DoorEvent,
    DoorLocked,
    DoorUnlocked,
)
from daemon.door.inputs import ManualUnlock, Recognized, WakeHeard
from daemon.door.orders import claim, obey
from daemon.door.policy import Rules
from daemon.door.settings import DoorConfig
from daemon.errors import DoorError, PorterError
from daemon.vision.settings import LivenessConfig
from tests.door.conftest import Bolt
from tests.door.test_guard import reached
from tests.door.world import evidence

ROOT = Path(__file__).resolve().parents[2]


class Watched(DryRun):
    """A dry run that remembers."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.failed: Callable[[str], None] | None = None

    async def start(self, failed: Callable[[str], None]) -> None:
        self.failed = failed

    def unlock(self, seconds: float) -> None:
        self.orders.append(f"unlock {seconds:g}")

    def lock(self) -> None:
        self.orders.append("lock")


def live(
    story: Callable[[Door, list[DoorEvent]], Awaitable[None]],
    watched: Actuator | None = None,
    liveness: str = "passive",
    **settings: object,
) -> list[DoorEvent]:
    """The events of a door's life."""
    events: list[DoorEvent] = []

    async def run() -> None:
        config = DoorConfig(**{"mode": "face", "unlock_seconds": 0.5, **settings})
        rules = Rules(config, LivenessConfig(mode=liveness))
        door = Door(rules, watched or make_actuator(config), events.append, lambda: ("left",))
        await door.start()
        try:
            await story(door, events)
        finally:
            await door.stop()

    asyncio.run(run())
    return events


def match(person: str = "ada", track: int = 1, age: float = 0.0) -> Recognized:
    return Recognized(person=person, evidence=evidence(track), taken=time.monotonic() - age)


def kinds(events: list[DoorEvent]) -> list[str]:
    return [f"{event.type[12:]} {getattr(event, 'reason', '')}".strip() for event in events]


def test_a_pulse_ends_by_itself(bolt):
    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(match())
        assert door.status().state == "unlocked"
        await reached(lambda: len(events) == 3)
        await reached(lambda: len(bolt.orders) == 3)

    events = live(story, actuator="command", command=bolt.settings())
    assert kinds(events) == [
        "locked started",
        "unlocked ada was recognised",
        "locked pulse over",
        "locked stopping",
    ]
    assert events[1].actuator == "command"
    assert bolt.orders[:3] == ["lock", "unlock", "lock"]
    (_, seconds, opened), (_, _, shut) = bolt.lines[1:3]
    assert seconds == 0.5
    assert 0.4 < shut - opened < 1.0


def test_locks_at_the_start_and_when_it_stops_in_the_middle_of_a_pulse():
    watched = Watched()

    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(match())

    events = live(story, watched)
    assert watched.orders == ["lock", "unlock 0.5", "lock"]
    assert kinds(events)[-1] == "locked stopping"


def test_before_the_start_and_after_the_end_nothing_opens():
    watched = Watched()

    async def run() -> None:
        rules = Rules(DoorConfig(mode="face"), LivenessConfig())
        door = Door(rules, watched, lambda event: None, lambda: ("left",))
        assert door.handle(match()) == ()
        await door.stop()
        assert watched.orders == []
        await door.start()
        await door.stop()
        assert door.handle(match()) == ()

    asyncio.run(run())
    assert watched.orders == ["lock", "lock"]


def test_a_match_that_waited_too_long_opens_nothing():
    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(match(age=2.5))

    assert "denied stale" in kinds(live(story, Watched()))


def test_a_challenge_is_drawn_for_each_face():
    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(match())

    (asked,) = [each for each in live(story, Watched(), "challenge") if type(each) is DoorChallenge]
    assert asked.steps == ["left"]


def test_a_lock_that_fails_to_open_is_an_event_and_the_door_counts_as_locked(bolt):
    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(match())
        await reached(lambda: len(events) == 4)
        assert door.status().state == "locked"

    events = live(story, actuator="command", command=bolt.settings(unlock="exit 7"))
    assert kinds(events)[1:4] == [
        "unlocked ada was recognised",
        "denied actuator failed",
        "locked actuator failed",
    ]
    assert events[3].message == "/bin/sh failed: exit code 7"


def test_a_guard_that_is_killed_in_the_middle_of_a_pulse_is_an_event(bolt):
    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(ManualUnlock(seconds=60.0, reason="test", by="root"))
        await reached(lambda: bolt.orders == ["lock", "unlock"])
        (guard,) = psutil.Process().children()
        guard.kill()
        await reached(lambda: bolt.orders == ["lock", "unlock", "lock"])
        assert door.status().state == "locked"

    events = live(story, actuator="command", command=bolt.settings())
    assert "locked actuator failed" in kinds(events)


def test_a_lock_that_cannot_be_worked_ends_the_start(bolt):
    async def story(door: Door, events: list[DoorEvent]) -> None:
        raise AssertionError("started")

    with pytest.raises(DoorError, match=r"^door\.actuator command: /bin/sh failed: exit code 1$"):
        live(story, actuator="command", command=bolt.settings(lock="exit 1"))


def test_the_loop_is_never_blocked_by_a_lock_that_hangs(bolt):
    async def story(door: Door, events: list[DoorEvent]) -> None:
        began = time.monotonic()
        door.handle(match())
        assert time.monotonic() - began < 0.1
        longest = 0.0
        while len(events) < 4:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        assert longest < 0.3

    live(story, actuator="command", command=bolt.settings(unlock="sleep 60", timeout=0.3))


def test_the_door_opens_in_one_place():
    """A reader who looks for where it opens finds exactly one call."""
    calls = []
    for path in sorted((ROOT / "daemon").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "unlock":
                calls.append(path.name)
    assert calls == ["door.py"]


PEOPLE = {"ada": "ada", "4711": "ada"}


async def porter(config: Path, *arguments: str) -> tuple[int, str, str]:
    """A `porter` command, while the daemon's loop goes on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "daemon.cli.main",
        *arguments,
        "--config",
        str(config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode().strip(), error.decode().strip()


def told(
    tmp_path: Path, story: Callable, lock: Actuator | None = None, **settings: object
) -> list[DoorEvent]:
    """The events of a door that listens to the control socket; `story(door, ask)`."""
    path, config = tmp_path / "porter.sock", tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"control": {"path": str(path)}}))

    async def run(door: Door, events: list[DoorEvent]) -> None:
        control = Control(path)
        obey(control, door, PEOPLE.get, lambda: {"audio": "a microphone", "camera": None})
        await control.start()
        try:
            await story(door, lambda *arguments: porter(config, *arguments))
        finally:
            await control.stop()

    return live(run, lock or Watched(), **settings)


def test_orders_from_the_command_line(tmp_path):
    async def story(door: Door, ask) -> None:
        unlock = await ask("unlock", "--for", "1m", "--reason", "a parcel")
        assert unlock == (0, "unlocked for 60 s (dry-run)", "")
        code, text, _ = await ask("status", "--json")
        status = json.loads(text)
        assert (code, status["door"]["state"], status["door"]["unlocks"]) == (0, "held", 1)
        assert 50 < status["door"]["seconds_left"] <= 60
        assert (status["audio"], status["camera"]) == ("a microphone", None)
        code, text, _ = await ask("status")
        assert re.search(r"^door\n  state +held$", text, re.M)
        assert await ask("lock") == (0, "locked; state: locked", "")
        assert door.status().state == "locked"

    events = told(tmp_path, story)
    unlocked = next(event for event in events if isinstance(event, DoorUnlocked))
    user = os.getuid()
    assert re.fullmatch(rf"a parcel \(by \S+ \(uid {user}, pid \d+\)\)", unlocked.reason)
    locked = next(e for e in events if isinstance(e, DoorLocked) and e.reason == "manual")
    assert f"uid {user}" in locked.message


def test_orders_that_are_refused(tmp_path):
    async def story(door: Door, ask) -> None:
        too_long = await ask("unlock", "--for", "1h", "--reason", "a party")
        assert too_long == (
            1,
            "",
            "porter: error: at most 300 s are allowed (door.max_unlock_seconds)",
        )
        claim = await ask("claim", "ada")
        assert claim[0] == 1
        assert claim[2] == "porter: error: claims are for door.mode id+face; it is face"
        empty = await ask("unlock", "--for", "5s", "--reason", "")
        assert empty[2] == "porter: error: unlock: reason: must be text that is not empty"
        for wrong in ("5", "-5s", "0s", "soon", "5 s", "1e9s", ""):
            code, _, error = await ask("unlock", "--for", wrong, "--reason", "x")
            assert code == 2
            assert "is no duration; write 5s, 2m or 1h" in error

    assert kinds(told(tmp_path, story)) == ["locked started", "locked stopping"]


@pytest.mark.parametrize(
    ("unlock", "problem"),
    [("exit 7", "/bin/sh failed: exit code 7"), ("sleep 60", "to unlock took longer than 0.3 s")],
)
def test_an_order_that_the_lock_did_not_carry_out_is_no_success(
    tmp_path: Path, bolt: Bolt, unlock: str, problem: str
) -> None:
    async def story(door: Door, ask) -> None:
        code, said, error = await ask("unlock", "--for", "3s", "--reason", "a parcel")
        assert (code, said) == (1, "")
        assert error.startswith(f"porter: error: door.actuator command: {problem}")

    lock = make_actuator(bolt.config(unlock=unlock, timeout=0.3))
    events = told(tmp_path, story, lock, actuator="command", command=bolt.settings())
    assert "denied actuator failed" in kinds(events)


def test_an_order_that_the_lock_carried_out_is_one(tmp_path: Path, bolt: Bolt) -> None:
    async def story(door: Door, ask) -> None:
        unlocked = await ask("unlock", "--for", "3s", "--reason", "a parcel")
        assert unlocked == (0, "unlocked for 3 s (command)", "")
        assert bolt.orders[-1] == "unlock"
        assert (await ask("lock"))[0] == 0
        assert bolt.orders[-1] == "lock"

    lock = make_actuator(bolt.config())
    told(tmp_path, story, lock, actuator="command", command=bolt.settings())


def test_claims_from_the_command_line(tmp_path):
    async def story(door: Door, ask) -> None:
        assert await ask("claim", "4711") == (0, "waiting 10 s for the face of ada", "")
        assert door.status().claimed == "ada"
        stranger = await ask("claim", "mallory")
        assert stranger == (1, "", "porter: error: denied: nobody is known as mallory")
        door.handle(match("ada"))

    events = told(tmp_path, story, mode="id+face")
    assert [event.cause for event in events if isinstance(event, DoorUnlocked)] == ["id+face"]


def test_an_old_claim_that_ends_does_not_spoil_a_new_one():
    async def story(door: Door, events: list[DoorEvent]) -> None:
        claim(door, PEOPLE.get, "4711")
        # The loop is busy, and the tick that was due comes too late.
        time.sleep(1.05)
        assert claim(door, PEOPLE.get, "ada").claimed == "ada"

    events = live(story, Watched(), mode="id+face", arm_seconds=1.0)
    assert kinds(events)[1:-1] == ["armed", "denied nobody came", "armed"]


def test_a_claim_that_comes_at_the_wrong_time_is_not_taken():
    async def story(door: Door, events: list[DoorEvent]) -> None:
        claim(door, PEOPLE.get, "ada")
        door.handle(match("ada"))
        with pytest.raises(PorterError, match="not taken: the door is in state unlocked"):
            claim(door, PEOPLE.get, "ada")

    live(story, Watched(), mode="id+face")


def test_other_rules_are_followed_from_the_next_input_on():
    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(WakeHeard(word="activate"))
        door.rules = Rules(DoorConfig(mode="face"), LivenessConfig())
        assert door.status().state == "locked"
        door.handle(match("ada"))

    events = live(story, Watched(), mode="wake+face")
    assert [event.cause for event in events if isinstance(event, DoorUnlocked)] == ["face"]


def test_a_wake_word_arms_and_waits_in_vain():
    async def story(door: Door, events: list[DoorEvent]) -> None:
        door.handle(WakeHeard(word="activate"))
        assert door.status().state == "armed"
        await reached(lambda: any(isinstance(event, DoorDenied) for event in events))

    events = live(story, Watched(), mode="wake+face", arm_seconds=1.0)
    assert kinds(events)[1:-1] == ["armed", "denied nobody came"]


def test_commands_without_a_daemon(tmp_path, bolt):
    config = tmp_path / "config.yaml"
    door = {"actuator": "command", "command": bolt.settings()}
    content = {"control": {"path": str(tmp_path / "none.sock")}, "door": door}
    config.write_text(yaml.safe_dump(content))

    async def run() -> None:
        code, out, error = await porter(config, "lock")
        assert (code, out) == (69, "")
        assert error.startswith("porter: error: no Porter answers")
        assert len(error.splitlines()) == 1
        assert await porter(config, "lock", "--direct") == (0, "", "")
        assert bolt.orders == ["lock"]
        door["command"]["lock"] = ["/bin/false"]
        config.write_text(yaml.safe_dump(content))
        failed = "porter: error: not locked: /bin/false failed: exit code 1"
        assert await porter(config, "lock", "--direct") == (69, "", failed)

    asyncio.run(run())
