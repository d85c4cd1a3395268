"""The guard: a small process that works the lock for the daemon and locks when the daemon cannot.

It gets orders through a pipe. Whatever happens to the daemon, the door is locked: a pulse ends by
the guard's own clock, also while the daemon is frozen; and when the pipe closes, because the daemon
ended or was killed, the guard locks and ends, too. A lock that fails is tried again and again.

An order that was broken off may still be at work: a program of another user cannot be killed, and
the guard before this one may have been killed with an unlock on its way. The door is locked again
when that must be over.

The protocol is JSON lines. The first line on standard input is `{"kind", "settings", "limit",
"again"}`; then `{"id", "order": "lock"}` and `{"id", "order": "unlock", "seconds"}`. On standard
output each order is answered with `{"id", "problem"}`; `id` 0 is the lock at the start, and `id`
null what the guard did by itself.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from typing import Any

from daemon.door.locks import Job, Lock, Order, Unusable, late, make_lock

LAST_TRIES = 8
"""Attempts to lock when the daemon is gone, in about a minute."""
FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
LONGEST_SLEEP = 0.2
"""While something is due: poll(2) does not count while a machine is suspended; our clock does."""
JUST_LOCKED = 1.0
"""A lock by our own clock and the daemon's order to lock, at the same moment, are one."""


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Guard:
    """One lock and the pipe to the daemon.

    Args:
        lock: what is worked.
        limit: longest time without locking, in seconds, however many orders come.
        orders: descriptor to read from.
        answers: descriptor to write to.
        again: lock a second time, when an order of the guard before must be over.
    """

    def __init__(
        self, lock: Lock, limit: float, orders: int, answers: int, *, again: bool = False
    ) -> None:
        self._lock = lock
        self._limit = limit
        self._orders = orders
        self._answers = answers
        self._buffer = b""
        self._alone = False
        self._since: float | None = None
        self._until: float | None = None
        self._locked_at: float | None = None
        self._job: Job | None = None
        self._order: Order = "lock"
        self._ids: list[int] = []
        self._due = 0.0
        self._retry_at: float | None = None
        self._tries = 0
        self._again_at = _now() + lock.timeout if again else None
        self._lingering: list[Job] = []

    def run(self) -> bool:
        """Until the daemon is gone; whether the door is locked then."""
        os.set_blocking(self._answers, False)
        self._begin("lock", [0])
        while not self._alone or self._job or self._lingering or self._retry_at is not None:
            self._wait()
        self._lock.close()
        return self._locked_at is not None

    def _wait(self) -> None:
        """Until something happens, and see to it."""
        poll = select.poll()
        if not self._alone:
            poll.register(self._orders, select.POLLIN)
        job = self._job.descriptor if self._job else None
        if job is not None:
            poll.register(job, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(self._patience())]
        if job in ready:
            self._finish(self._job.finish() if self._job else None)
        if self._orders in ready:
            self._read()
        now = _now()
        if self._job and now >= self._due:
            self._break_off(self._job)
            self._finish(late(self._order, self._lock.timeout))
        self._outlast(now)
        if self._until is not None and now >= self._until:
            self._begin("lock", [])
        if self._retry_at is not None and now >= self._retry_at:
            self._begin("lock", [])

    def _patience(self) -> float | None:
        """Milliseconds until something is due."""
        times = [each for each in (self._until, self._retry_at, self._again_at) if each is not None]
        if self._lingering:
            times.append(_now() + LONGEST_SLEEP)
        if self._job:
            times.append(self._due)
        if not times:
            return None
        return min(max(min(times) - _now(), 0.001), LONGEST_SLEEP) * 1000

    def _read(self) -> None:
        try:
            data = os.read(self._orders, 4096)
        except OSError:
            data = b""
        if not data:
            # Tries that failed while the daemon could tell of them do not count.
            self._alone, self._tries = True, 0
            at_work = self._job is not None and self._order == "lock"
            if self._locked_at is None and not at_work:
                self._begin("lock", [])
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            order = json.loads(line)
            number, what = int(order["id"]), order["order"]
            seconds = float(order["seconds"]) if what == "unlock" else 0.0
        except (ValueError, KeyError, TypeError):
            self._answer(None, "an order that is none")
            self._begin("lock", [])
            return
        if what == "unlock":
            self._unlock(number, seconds)
        elif self._job and self._order == "lock":
            self._ids.append(number)
        elif self._locked_at is not None and _now() - self._locked_at < JUST_LOCKED:
            self._answer(number, None)
        else:
            self._begin("lock", [number])

    def _unlock(self, number: int, seconds: float) -> None:
        now = _now()
        since = now if self._since is None else self._since
        until = min(now + seconds, since + self._limit)
        if not until > now:
            self._answer(number, f"asked to unlock for {seconds:g} s of at most {self._limit:g} s")
            return
        self._since, self._until = since, until
        self._begin("unlock", [number], until - now)

    def _begin(self, order: Order, ids: list[int], seconds: float = 0.0) -> None:
        """Start an order in place of the one at work, which counts as answered."""
        if self._job:
            self._break_off(self._job)
            for number in self._ids:
                self._answer(number, None)
        self._retry_at = self._locked_at = None
        if order == "lock":
            self._until = None
        self._order, self._ids = order, ids
        self._due = _now() + self._lock.timeout
        self._job = self._lock.begin(order, seconds)
        if self._job.descriptor is None:
            self._finish(self._job.finish())

    def _break_off(self, job: Job) -> None:
        job.cancel()
        if job.lingers():
            self._lingering.append(job)

    def _outlast(self, now: float) -> None:
        """Lock once more when what was broken off is over, unless the door is to be open."""
        over = [job for job in self._lingering if not job.lingers()]
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
        elif not over:
            return
        self._lingering = [job for job in self._lingering if job not in over]
        if self._until is None:
            self._begin("lock", [])

    def _finish(self, problem: str | None) -> None:
        order, ids = self._order, self._ids
        self._job, self._ids = None, []
        if order == "lock":
            self._locking_ended(problem)
        for number in ids:
            self._answer(number, problem)
        if problem and not ids:
            self._answer(None, problem)
        if order == "unlock" and problem:
            self._begin("lock", [])

    def _locking_ended(self, problem: str | None) -> None:
        if problem is None:
            self._locked_at, self._since, self._tries = _now(), None, 0
            return
        self._tries += 1
        if not (self._alone and self._tries >= LAST_TRIES):
            pause = min(FIRST_RETRY * 2 ** (self._tries - 1), LONGEST_RETRY)
            self._retry_at = _now() + pause

    def _answer(self, number: int | None, problem: str | None) -> None:
        line = json.dumps({"id": number, "problem": problem}).encode() + b"\n"
        try:
            os.write(self._answers, line)
        except OSError:  # nobody listens any more, or is too slow to; the door matters more
            return


def _first_line(descriptor: int) -> dict[str, Any]:
    """The settings; byte by byte, so as to take nothing of what follows."""
    line = bytearray()
    while (byte := os.read(descriptor, 1)) not in (b"", b"\n"):
        line += byte
    settings: dict[str, Any] = json.loads(line)
    return settings


def main() -> None:
    """Guard the lock that the first line describes."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT):
        # A stop of the whole service must not stop the guard; programs that it starts do not
        # inherit a handler as they would inherit SIG_IGN.
        signal.signal(number, lambda *_: None)
    try:
        given = _first_line(0)
    except ValueError:  # the daemon ended before it said what to guard
        sys.exit(1)
    try:
        lock = make_lock(given["kind"], given["settings"])
    except Unusable as error:
        os.write(1, json.dumps({"id": 0, "problem": str(error)}).encode() + b"\n")
        sys.exit(1)
    guard = Guard(lock, given["limit"], 0, 1, again=given["again"])
    if not guard.run():
        # Nobody else is left to say it.
        os.write(2, b"porter: the door is NOT LOCKED: its lock failed to the last; see to it\n")
        sys.exit(1)
