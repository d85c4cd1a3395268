"""What works a lock: programs, or a relay on a GPIO line. Runs in the guard (daemon/door/guard.py).

Imports nothing but the standard library and Porter's errors, so that the guard is small; `gpiod`
only for GPIO.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from daemon.errors import install

Order = Literal["unlock", "lock"]

KILLED_SECONDS = 0.2
"""What was killed is gone long before, unless it cannot be."""

_PR_SET_PDEATHSIG = 1


class Unusable(Exception):
    """The lock cannot be worked at all; the message says why and what to do."""


class Job(Protocol):
    """An order at work."""

    descriptor: int | None
    """Readable when it is done; None: it is done already."""

    def finish(self) -> str | None:
        """What went wrong; None: nothing. Once, when it is done."""

    def cancel(self) -> None:
        """End it, with everything that it started. Once, in place of :meth:`finish`."""

    def lingers(self) -> bool:
        """Whether something of it is still at work after :meth:`cancel`."""


class Lock(Protocol):
    """A lock that can be worked."""

    timeout: float
    """Seconds that an order may take."""

    def begin(self, order: Order, seconds: float) -> Job:
        """Start to unlock (for that many seconds) or to lock."""

    def close(self) -> None:
        """Let go of the lock, shut."""


class Done:
    """An order that needed no time."""

    descriptor: int | None = None

    def __init__(self, problem: str | None) -> None:
        self._problem = problem

    def finish(self) -> str | None:
        """What went wrong."""
        return self._problem

    def cancel(self) -> None:
        """Nothing is left to end."""

    def lingers(self) -> bool:
        """No."""
        return False


class Program:
    """A program at work, in a process group of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._name = command[0]
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard output belongs to others
            env=environment,
            start_new_session=True,
            preexec_fn=_end_with(os.getpid()),
        )
        self.descriptor: int | None = os.pidfd_open(self._process.pid)

    def finish(self) -> str | None:
        """How it ended, if not well."""
        code = self._process.wait()
        self._release()
        if code == 0:
            return None
        ending = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
        return f"{self._name} failed: {ending}"

    def cancel(self) -> None:
        """Kill it and everything it started, as far as they may be killed."""
        with contextlib.suppress(OSError):  # gone, or another user's: a program may use sudo
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED_SECONDS)
        self._release()

    def lingers(self) -> bool:
        """Whether it could not be killed, or something that it started could not."""
        if self._process.poll() is None:
            return True
        try:
            os.killpg(self._process.pid, 0)
        except PermissionError:
            return True
        except ProcessLookupError:
            pass
        return False  # gone, or killed and about to be

    def _release(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


class CommandLock:
    """Two programs; no shell sees their arguments. The length of a pulse is in PORTER_SECONDS."""

    def __init__(self, *, unlock: Sequence[str], lock: Sequence[str], timeout: float) -> None:
        self.timeout = timeout
        self._commands = {"unlock": unlock, "lock": lock}

    def begin(self, order: Order, seconds: float) -> Job:
        """Start the program."""
        command = self._commands[order]
        environment = os.environ | {"PORTER_SECONDS": f"{seconds:.3f}"}
        environment.pop("NOTIFY_SOCKET", None)  # only the daemon itself speaks to systemd
        try:
            return Program(command, environment)
        except OSError as error:
            return Done(f"{command[0]} cannot be run: {error.strerror}")

    def close(self) -> None:
        """Nothing is held."""


class GpioLock:
    """A line of a GPIO chip, through libgpiod 2. Active is unlocked; asked for as inactive."""

    timeout = 1.0

    def __init__(self, *, chip: str, line: int, active: Literal["high", "low"]) -> None:
        try:
            import gpiod
        except ImportError:
            raise Unusable(
                f"door.actuator gpio needs the library gpiod; {install('gpio')}"
            ) from None
        self._active, self._inactive = gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE
        self._line = line
        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.OUTPUT,
            output_value=self._inactive,
            active_low=active == "low",
        )
        try:
            self._request = gpiod.request_lines(chip, {line: settings}, consumer="porter")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Unusable(f"door.gpio: line {line} of {chip}: {reason}") from None

    def begin(self, order: Order, seconds: float) -> Job:
        """Set the line."""
        value = self._active if order == "unlock" else self._inactive
        try:
            self._request.set_value(self._line, value)
        except OSError as error:
            return Done(f"line {self._line} cannot be set: {error.strerror}")
        return Done(None)

    def close(self) -> None:
        """Set the line inactive and give it back to the kernel."""
        with contextlib.suppress(OSError):
            self._request.set_value(self._line, self._inactive)
        self._request.release()


def _end_with(parent: int) -> Callable[[], None]:
    """For a child before it becomes a program: to be killed when its parent is (prctl(2)).

    What unlocks must not outlive the guard, which would have locked after it.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it could be said
            os._exit(1)

    return prepare


def make_lock(kind: str, settings: Mapping[str, Any]) -> Lock:
    """The lock of an actuator's settings (:mod:`daemon.door.settings`).

    Raises:
        Unusable: it cannot be worked.
    """
    return GpioLock(**settings) if kind == "gpio" else CommandLock(**settings)


def shut(lock: Lock) -> str | None:
    """Lock, and wait until that is done; what went wrong, or None."""
    job = lock.begin("lock", 0.0)
    if job.descriptor is None:
        return job.finish()
    poll = select.poll()
    poll.register(job.descriptor, select.POLLIN)
    if poll.poll(lock.timeout * 1000):
        return job.finish()
    job.cancel()
    return late("lock", lock.timeout)


def late(order: Order, timeout: float) -> str:
    """What to say of an order that took too long."""
    return f"to {order} took longer than {timeout:g} s; killed"
