"""What the door gives its orders to: nothing but the log, or a guard that works the lock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from daemon.door.locks import Unusable, make_lock, shut
from daemon.door.settings import DoorConfig
from daemon.errors import DoorError

log = logging.getLogger(__name__)

START_PATIENCE = 20.0
"""Seconds that a guard may take to start, besides the lock's own time; small devices are slow."""
ANSWER_PATIENCE = 2.0
"""Seconds for an answer, besides the lock's own time; then the guard counts as hung."""
FIRST_RESTART, LONGEST_RESTART = 0.5, 30.0

_ROOT = Path(__file__).resolve().parents[2]
_GUARD = "import sys; sys.path.append(sys.argv.pop()); from daemon.door.guard import main; main()"


class Actuator(Protocol):
    """What works the lock. Belongs to one event loop, which it never blocks."""

    name: str

    async def start(self, failed: Callable[[str], None]) -> None:
        """Be ready, with the door locked; from now on say what fails, in words for people.

        Raises:
            DoorError: the lock cannot be worked.
        """

    def unlock(self, seconds: float) -> None:
        """Open now; lock again after `seconds`, whatever happens to this process."""

    def lock(self) -> None:
        """Lock now."""

    async def settled(self) -> str | None:
        """Wait until all that was ordered is done; what went wrong with it, None if nothing did."""

    async def close(self) -> None:
        """Lock, and let go."""


class DryRun:
    """Says what it would do."""

    name = "dry-run"

    async def start(self, failed: Callable[[str], None]) -> None:
        """Nothing has to be there."""

    def unlock(self, seconds: float) -> None:
        """Say so."""
        log.info("dry run: unlocked for %g s", seconds)

    def lock(self) -> None:
        """Say so."""
        log.debug("dry run: locked")

    async def settled(self) -> str | None:
        """Saying so takes no time."""
        return None

    async def close(self) -> None:
        """Nothing is held."""


class Guarded:
    """A lock that a guard works (:mod:`daemon.door.guard`): a child process that outlives this one.

    A guard that dies or hangs is replaced; what a new guard does first is to lock.

    Args:
        name: `command` or `gpio`.
        settings: for :func:`daemon.door.locks.make_lock`.
        limit: seconds after which the guard locks, whatever it is told.
        timeout: seconds that the lock may take for one order.
    """

    def __init__(self, name: str, settings: dict[str, Any], limit: float, timeout: float) -> None:
        self.name = name
        self._settings = settings
        self._limit = limit
        self._timeout = timeout
        self._failed: Callable[[str], None] = log.error
        self._guard: subprocess.Popen[bytes] | None = None
        self._waiting: dict[int, asyncio.TimerHandle] = {}
        self._started: asyncio.Future[str | None] | None = None
        self._replaces = False
        self._settling: list[asyncio.Future[str | None]] = []
        self._buffer = b""
        self._number = 0
        self._pause = FIRST_RESTART
        self._restart: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def pid(self) -> int | None:
        """Process of the guard; None while there is none."""
        return self._guard.pid if self._guard else None

    async def start(self, failed: Callable[[str], None]) -> None:
        """Start the guard, and wait until it has locked."""
        self._started = asyncio.get_running_loop().create_future()
        self._spawn()
        problem = await self._started
        self._started = None
        if problem is not None:
            self._closing = True
            self._hang_up()
            raise DoorError(f"door.actuator {self.name}: {problem}")
        self._failed = failed

    def unlock(self, seconds: float) -> None:
        """Tell the guard."""
        if self._guard is None:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._failed, "there is no guard; another one is about to start")
        else:
            self._send({"order": "unlock", "seconds": seconds})

    def lock(self) -> None:
        """Tell the guard; one that is about to start locks by itself."""
        if self._guard is not None:
            self._send({"order": "lock"})

    async def settled(self) -> str | None:
        """Wait for the guard's answers; it is replaced, and that is a problem, if it gives none."""
        if self._guard is None:
            return "there is no guard; another one is about to start"
        if not self._waiting:
            return None
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._settling.append(done)
        return await done

    async def close(self) -> None:
        """Hang up, upon which the guard locks and ends; it is left to itself if it cannot yet."""
        self._closing = True
        if self._restart:
            self._restart.cancel()
        guard = self._guard
        if guard is None:
            problem = await asyncio.to_thread(_lock_alone, self.name, self._settings)
            if problem is not None:
                log.error("the door may be unlocked: %s", problem)
            return
        self._hang_up()
        deadline = asyncio.get_running_loop().time() + self._timeout + ANSWER_PATIENCE
        while guard.poll() is None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        if guard.returncode != 0:
            log.error("the door may be unlocked: its guard could not lock it")

    def _spawn(self) -> None:
        self._restart = None
        try:
            guard = subprocess.Popen(
                [sys.executable, "-P", "-c", _GUARD, str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the daemon
            )
        except OSError as error:
            self._gone(f"the guard cannot be started: {error.strerror}")
            return
        assert guard.stdin is not None
        assert guard.stdout is not None
        self._guard, self._buffer = guard, b""
        os.set_blocking(guard.stdin.fileno(), False)
        os.set_blocking(guard.stdout.fileno(), False)
        asyncio.get_running_loop().add_reader(guard.stdout.fileno(), self._hear)
        first = {"kind": self.name, "settings": self._settings, "limit": self._limit}
        self._write(json.dumps({**first, "again": self._replaces}))
        self._replaces = True
        self._expect(0, START_PATIENCE)

    def _send(self, order: dict[str, Any]) -> None:
        self._number += 1
        self._expect(self._number, ANSWER_PATIENCE)
        self._write(json.dumps({"id": self._number, **order}))

    def _write(self, line: str) -> None:
        assert self._guard is not None
        assert self._guard.stdin is not None
        # A broken or full pipe: no answer will come, and that is seen to.
        with contextlib.suppress(OSError):
            os.write(self._guard.stdin.fileno(), line.encode() + b"\n")

    def _expect(self, number: int, patience: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting[number] = loop.call_later(self._timeout + patience, self._hung)

    def _hung(self) -> None:
        if self._guard:
            self._guard.kill()  # its end is heard, and it is replaced
            self._gone("the guard did not answer")

    def _hear(self) -> None:
        assert self._guard is not None
        assert self._guard.stdout is not None
        try:
            data = os.read(self._guard.stdout.fileno(), 65536)
        except BlockingIOError:
            return
        if not data:
            self._gone("the guard ended")
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            self._answered(answer["id"], answer["problem"])

    def _answered(self, number: int | None, problem: str | None) -> None:
        if number is not None and (timer := self._waiting.pop(number, None)):
            timer.cancel()
        if number == 0 and problem is None:
            self._pause = FIRST_RESTART
        if number == 0 and self._started and not self._started.done():
            self._started.set_result(problem)
        elif problem is not None:
            self._settle(problem)
            self._failed(problem)
        elif not self._waiting:
            self._settle(None)

    def _settle(self, problem: str | None) -> None:
        waiting, self._settling = self._settling, []
        for each in waiting:
            if not each.done():
                each.set_result(problem)

    def _gone(self, why: str) -> None:
        """The guard is no more; begin another one, after a pause."""
        self._hang_up()
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        self._settle(why)
        if self._started and not self._started.done():
            self._started.set_result(why)
        elif not self._closing:
            self._failed(why)
        if not self._closing and not self._restart:
            loop = asyncio.get_running_loop()
            self._restart = loop.call_later(self._pause, self._spawn)
            self._pause = min(2 * self._pause, LONGEST_RESTART)

    def _hang_up(self) -> None:
        guard, self._guard = self._guard, None
        if guard is None:
            return
        assert guard.stdin is not None
        assert guard.stdout is not None
        asyncio.get_running_loop().remove_reader(guard.stdout.fileno())
        guard.stdin.close()
        guard.stdout.close()


def make_actuator(config: DoorConfig) -> Actuator:
    """The actuator that a configuration asks for."""
    if config.actuator == "dry-run":
        return DryRun()
    settings = _settings(config)
    timeout = settings.get("timeout", 1.0)
    return Guarded(config.actuator, settings, config.max_unlock_seconds, timeout)


def lock_directly(config: DoorConfig) -> None:
    """Lock without a daemon: for `porter lock --direct`, when the daemon has ended.

    Raises:
        DoorError: it could not be locked.
    """
    if config.actuator == "dry-run":
        return
    problem = _lock_alone(config.actuator, _settings(config))
    if problem is not None:
        raise DoorError(f"not locked: {problem}")


def _lock_alone(kind: str, settings: dict[str, Any]) -> str | None:
    """Lock without a guard; what went wrong, or None."""
    try:
        lock = make_lock(kind, settings)
        problem = shut(lock)
        lock.close()
    except Unusable as error:
        return str(error)
    return problem


def _settings(config: DoorConfig) -> dict[str, Any]:
    chosen = config.command if config.actuator == "command" else config.gpio
    assert chosen is not None  # DoorConfig sees to it
    return chosen.model_dump(mode="json")
