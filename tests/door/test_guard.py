"""The guard locks: after the pulse, and whatever is done to the daemon or to the lock."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from daemon.door.actuators import Guarded, lock_directly, make_actuator
from daemon.door.guard import LAST_TRIES, Guard
from daemon.door.locks import Done
from daemon.errors import DoorError
from tests.door.conftest import NOTE, Bolt

DAEMON = """
import asyncio, json, sys
from daemon.door.actuators import make_actuator
from daemon.door.settings import DoorConfig

async def run():
    actuator = make_actuator(DoorConfig.model_validate(json.loads(sys.argv[1])))
    await actuator.start(lambda reason: print("failed", reason, flush=True))
    actuator.unlock(float(sys.argv[2]))
    print(actuator.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(run())
"""
SECOND = 'n=$(cat "$0.n" 2>/dev/null); echo x$n >"$0.n"; test "$n" = x && {}; ' + NOTE
"""A program that works, except for the second time."""


@contextmanager
def unlocked(bolt: Bolt, seconds: float, **changes: object) -> Iterator[subprocess.Popen[str]]:
    """A daemon that has just unlocked for `seconds`."""
    config = bolt.config(**changes).model_dump_json()
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, config, str(seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            process.guard = int(process.stdout.readline())
            bolt.wait(["lock", "unlock"])
            yield process
        finally:
            process.kill()


def gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        *(
            pytest.param(number, marks=pytest.mark.slow)
            for number in (signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT)
        ),
    ],
)
def test_a_daemon_that_is_killed_in_the_middle_of_a_pulse_leaves_a_locked_door(bolt, number):
    with unlocked(bolt, 60.0) as daemon:
        began = time.time()
        daemon.send_signal(number)
        bolt.wait(["lock", "unlock", "lock"])
        assert bolt.lines[-1][2] - began < 1.0
        assert gone(daemon.guard)


def test_a_daemon_that_is_frozen_does_not_hold_the_door_open(bolt):
    with unlocked(bolt, 1.0) as daemon:
        daemon.send_signal(signal.SIGSTOP)
        bolt.wait(["lock", "unlock", "lock"])
        _, (_, seconds, opened), (_, _, shut) = bolt.lines
        assert seconds == 1.0
        assert 0.9 < shut - opened < 1.5


@pytest.mark.slow
def test_a_service_that_is_stopped_as_a_whole_locks(bolt):
    """systemd sends SIGTERM to every process of a service, so to the guard as well."""
    with unlocked(bolt, 60.0) as daemon:
        os.kill(daemon.guard, signal.SIGTERM)
        os.kill(daemon.guard, signal.SIGABRT)
        daemon.send_signal(signal.SIGTERM)
        bolt.wait(["lock", "unlock", "lock"])
        assert gone(daemon.guard)


@pytest.mark.slow
def test_an_unlock_that_hangs_does_not_delay_locking_when_the_daemon_dies(bolt):
    with unlocked(bolt, 60.0, unlock=NOTE + "; sleep 60", timeout=7.0) as daemon:
        began = time.time()
        daemon.kill()
        bolt.wait(["lock", "unlock", "lock"])
        assert bolt.lines[-1][2] - began < 1.0


@pytest.mark.slow
def test_the_guard_is_small(bolt):
    with unlocked(bolt, 60.0) as daemon:
        memory = psutil.Process(daemon.guard).memory_full_info()
        assert memory.uss < 12e6
        before = psutil.Process(daemon.guard).cpu_times()
        time.sleep(1.0)
        after = psutil.Process(daemon.guard).cpu_times()
        # Counted in hundredths of a second, on a machine that may be busy.
        assert (after.user + after.system) - (before.user + before.system) < 0.05


class Order:
    """A guarded lock in this process, and what it said."""

    def __init__(self, bolt: Bolt, **changes: object) -> None:
        self.failed: list[str] = []
        self.actuator = make_actuator(bolt.config(**changes))

    async def __aenter__(self) -> Guarded:
        await self.actuator.start(self.failed.append)
        return self.actuator

    async def __aexit__(self, *_: object) -> None:
        await self.actuator.close()


async def reached(condition, seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not reached"
        await asyncio.sleep(0.01)


def test_locks_at_the_start_and_at_the_end(bolt):
    async def run() -> None:
        async with Order(bolt) as actuator:
            assert bolt.orders == ["lock"]
            actuator.unlock(60.0)
            await reached(lambda: len(bolt.orders) == 2)
        assert bolt.orders == ["lock", "unlock", "lock"]

    asyncio.run(run())


def test_one_lock_ends_a_pulse_though_the_daemon_orders_it_as_well(bolt):
    async def run() -> None:
        async with Order(bolt) as actuator:
            actuator.unlock(0.3)
            await asyncio.sleep(0.35)
            actuator.lock()
            await asyncio.sleep(0.3)
        assert bolt.orders == ["lock", "unlock", "lock"]

    asyncio.run(run())


def test_an_order_to_lock_ends_a_pulse(bolt):
    async def run() -> None:
        async with Order(bolt) as actuator:
            actuator.unlock(60.0)
            await reached(lambda: len(bolt.orders) == 2)
            actuator.lock()
            await reached(lambda: len(bolt.orders) == 3)

    asyncio.run(run())


def test_the_guard_has_a_limit_of_its_own(bolt):
    """A daemon that has lost its mind and orders again and again."""

    async def run() -> None:
        async with Order(bolt, longest=1.5) as actuator:
            began = time.time()
            while "lock" not in bolt.orders[1:]:
                actuator.unlock(60.0)
                await asyncio.sleep(0.2)
                assert time.time() - began < 10
            shut = next(when for order, _, when in bolt.lines[1:] if order == "lock")
            assert 1.2 < shut - bolt.lines[1][2] < 2.0

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_no_pulse_of_no_length(bolt, seconds):
    async def run() -> None:
        order = Order(bolt)
        async with order as actuator:
            actuator.unlock(seconds)
            await reached(lambda: order.failed)
        assert "unlock" not in bolt.orders

    asyncio.run(run())


@pytest.mark.parametrize(
    ("unlock", "said"),
    [("exit 3", "exit code 3"), ("kill -9 $$", "killed by signal 9"), ("sleep 60", "longer than")],
)
def test_an_unlock_that_fails_is_said_and_the_door_locked(bolt, unlock, said):
    async def run() -> None:
        order = Order(bolt, unlock=unlock, timeout=0.5)
        async with order as actuator:
            actuator.unlock(5.0)
            await reached(lambda: order.failed)
            assert said in order.failed[0]
            await reached(lambda: bolt.orders == ["lock", "lock"])

    asyncio.run(run())


def test_what_a_program_started_is_killed_with_it(bolt, tmp_path):
    child = tmp_path / "child"

    async def run() -> None:
        order = Order(bolt, unlock=f"sleep 60 & echo $! >{child}; wait", timeout=0.5)
        async with order as actuator:
            actuator.unlock(5.0)
            await reached(lambda: order.failed)
        assert gone(int(child.read_text()))

    asyncio.run(run())


@pytest.mark.parametrize("first", ["exit 1", "sleep 60"])
def test_a_lock_that_fails_or_hangs_is_tried_again(bolt, first):
    """The lock at the start works; the next one does not; the one after that does again."""

    async def run() -> None:
        order = Order(bolt, lock=SECOND.replace("{}", first), timeout=0.5)
        async with order as actuator:
            actuator.unlock(0.3)
            await reached(lambda: order.failed)
            await reached(lambda: bolt.orders == ["lock", "unlock", "lock"])

    asyncio.run(run())


@pytest.mark.slow
def test_a_lock_that_fails_when_the_daemon_is_dead_is_tried_again(bolt):
    with unlocked(bolt, 60.0, lock=SECOND.replace("{}", "exit 1")) as daemon:
        daemon.kill()
        bolt.wait(["lock", "unlock", "lock"])
        assert gone(daemon.guard)


def test_a_guard_that_is_killed_is_replaced_and_the_new_one_locks(bolt):
    async def run() -> None:
        order = Order(bolt)
        async with order as actuator:
            first = actuator.pid
            actuator.unlock(60.0)
            await reached(lambda: bolt.orders == ["lock", "unlock"])
            os.kill(first, signal.SIGKILL)
            await reached(lambda: order.failed)
            await reached(lambda: bolt.orders == ["lock", "unlock", "lock"])
            assert actuator.pid not in (None, first)
            await asyncio.sleep(0.1)
            actuator.unlock(60.0)
            await reached(lambda: bolt.orders[-1] == "unlock")

    asyncio.run(run())


def test_an_unlock_does_not_outlive_the_guard_that_began_it(bolt, tmp_path):
    begun = tmp_path / "begun"

    async def run() -> None:
        unlock = f"touch {begun}; sleep 0.5; {NOTE}"
        async with Order(bolt, unlock=unlock, timeout=1.0) as actuator:
            actuator.unlock(60.0)
            await reached(begun.exists)
            os.kill(actuator.pid, signal.SIGKILL)
            # The new guard cannot know whether it is over, and locks again when it must be.
            await reached(lambda: bolt.orders == ["lock"] * 3)

    asyncio.run(run())
    assert "unlock" not in bolt.orders


def test_after_an_unlock_that_outlives_its_guard_the_door_is_locked_again(bolt, tmp_path):
    """It opens just after the new guard's first lock."""
    begun = tmp_path / "begun"
    note = NOTE.replace("$0", str(bolt.path)).replace("$1", "unlock")
    until = f'until [ "$(grep -c lock {bolt.path})" -ge 2 ]; do sleep 0.05; done'
    unlock = f"setsid -w timeout 10 sh -c 'touch {begun}; {until}; {note}'"

    async def run() -> None:
        async with Order(bolt, unlock=unlock, timeout=1.5) as actuator:
            actuator.unlock(60.0)
            await reached(begun.exists)
            os.kill(actuator.pid, signal.SIGKILL)
            await reached(lambda: bolt.orders == ["lock", "lock", "unlock", "lock"])

    asyncio.run(run())


def test_a_program_that_cannot_be_killed_is_outlasted():
    """As one that uses sudo: when it has opened after all, the door is locked once more."""

    class Stubborn:
        descriptor = None

        def __init__(self, order: str, ends: float) -> None:
            self.descriptor, self._end = os.pipe() if order == "unlock" else (None, 0)
            self._ends = ends

        def finish(self) -> None:
            return None

        def cancel(self) -> None:
            return None

        def lingers(self) -> bool:
            return time.monotonic() < self._ends

    class Sudo:
        timeout = 0.2

        def __init__(self) -> None:
            self.done: list[str] = []

        def begin(self, order: str, seconds: float) -> Stubborn:
            self.done.append(order)
            return Stubborn(order, time.monotonic() + 0.8)

        def close(self) -> None:
            self.done.append("close")

    (orders, daemon), (heard, answers) = os.pipe(), os.pipe()
    lock = Sudo()
    guard = threading.Thread(target=Guard(lock, 60.0, orders, answers).run)
    guard.start()
    os.write(daemon, b'{"id": 1, "order": "unlock", "seconds": 30.0}\n')
    began = time.monotonic()
    while lock.done != ["lock", "unlock", "lock"]:
        assert time.monotonic() < began + 5
    assert time.monotonic() < began + 0.6, "locked at once, though it may be of no use"
    os.close(daemon)
    guard.join(5)
    assert lock.done == ["lock", "unlock", "lock", "lock", "close"]
    assert time.monotonic() > began + 0.7
    assert b"took longer than 0.2 s" in os.read(heard, 4096)


def test_a_lock_that_failed_before_the_daemon_was_gone_gets_all_its_last_tries(monkeypatch):
    monkeypatch.setattr("daemon.door.guard.FIRST_RETRY", 0.001)
    monkeypatch.setattr("daemon.door.guard.LONGEST_RETRY", 0.002)
    tried: list[str] = []

    class Stuck:
        timeout = 1.0

        def begin(self, order: str, seconds: float) -> Done:
            tried.append(order)
            return Done("stuck")

        def close(self) -> None: ...

    (orders, daemon), (heard, answers) = os.pipe(), os.pipe()
    ended: list[bool] = []
    guard = threading.Thread(
        target=lambda: ended.append(Guard(Stuck(), 60.0, orders, answers).run())
    )
    guard.start()
    while len(tried) < 2 * LAST_TRIES:
        time.sleep(0.001)
    before = len(tried)
    os.close(daemon)
    guard.join(5)
    assert ended == [False]
    assert len(tried) - before >= LAST_TRIES
    os.close(heard)


def test_a_door_that_cannot_be_locked_any_more_is_not_left_in_silence(bolt):
    settings = {**bolt.settings(), "lock": ["/bin/sh", "-c", "exit 4"]}
    first = {"kind": "command", "settings": settings, "limit": 60.0, "again": False}
    program = (
        "from daemon.door import guard; guard.FIRST_RETRY = guard.LONGEST_RETRY = 0.01; "
        "guard.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(first).encode() + b"\n",
        capture_output=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert b"the door is NOT LOCKED" in done.stderr


def test_stopping_while_there_is_no_guard_locks_all_the_same(bolt):
    async def run() -> None:
        order = Order(bolt)
        async with order as actuator:
            actuator.unlock(60.0)
            await reached(lambda: bolt.orders == ["lock", "unlock"])
            os.kill(actuator.pid, signal.SIGKILL)
            await reached(lambda: actuator.pid is None)

    asyncio.run(run())
    assert bolt.orders == ["lock", "unlock", "lock"]


def test_a_guard_that_hangs_is_replaced(bolt, monkeypatch):
    monkeypatch.setattr("daemon.door.actuators.ANSWER_PATIENCE", 0.2)

    async def run() -> None:
        order = Order(bolt, timeout=0.3)
        async with order as actuator:
            first = actuator.pid
            os.kill(first, signal.SIGSTOP)
            actuator.unlock(60.0)
            await reached(lambda: order.failed)
            assert "did not answer" in order.failed[0]
            assert gone(first)
            await reached(lambda: bolt.orders == ["lock", "lock"])

    asyncio.run(run())


@pytest.mark.slow
def test_nothing_opens_while_there_is_no_guard(bolt):
    async def run() -> None:
        order = Order(bolt)
        async with order as actuator:
            os.kill(actuator.pid, signal.SIGKILL)
            await reached(lambda: order.failed)
            actuator.unlock(60.0)
            await reached(lambda: len(order.failed) == 2)
            assert "no guard" in order.failed[1]
            await asyncio.sleep(1.0)
        assert bolt.orders == ["lock", "lock"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lock": ["/nowhere/lock"]}, "/nowhere/lock cannot be run: No such file or directory"),
        ({"lock": ["/bin/false"]}, "/bin/false failed: exit code 1"),
        ({"lock": ["/bin/sleep", "60"], "timeout": 0.2}, "to lock took longer than 0.2 s; killed"),
    ],
)
def test_a_lock_that_does_not_work_is_found_out_at_the_start(bolt, settings, said):
    async def run() -> None:
        chosen = bolt.settings() | settings
        actuator = Guarded("command", chosen, 300.0, chosen["timeout"])
        with pytest.raises(DoorError) as caught:
            await actuator.start(lambda reason: None)
        assert str(caught.value) == f"door.actuator command: {said}"

    asyncio.run(run())


def test_orders_that_are_none_lock(bolt):
    first = {"kind": "command", "settings": bolt.settings(), "limit": 60.0, "again": False}
    unlock = {"id": 1, "order": "unlock", "seconds": 30.0}
    program = [sys.executable, "-c", "from daemon.door.guard import main; main()"]
    with subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as guard:
        assert guard.stdin is not None
        for order, done in ((first, ["lock"]), (unlock, ["lock", "unlock"])):
            guard.stdin.write(json.dumps(order).encode() + b"\n")
            guard.stdin.flush()
            bolt.wait(done)
        guard.stdin.write(b'\xff{"id": 2, "order": "unlock"}\n')
        guard.stdin.flush()
        bolt.wait(["lock", "unlock", "lock"])
        guard.stdin.close()
        assert guard.wait(5) == 0


def test_locking_without_a_daemon(bolt):
    lock_directly(bolt.config())
    assert bolt.orders == ["lock"]
    with pytest.raises(DoorError, match="not locked: /bin/sh failed: exit code 4"):
        lock_directly(bolt.config(lock="exit 4"))
    with pytest.raises(DoorError, match=r"took longer than 0\.2 s"):
        lock_directly(bolt.config(lock="sleep 9", timeout=0.2))
