"""Badge readers that type like a keyboard: digits and letters, then Enter, are a claim.

The device is taken for Porter alone (EVIOCGRAB), so that a badge is not typed into a console, too.
One that is unplugged is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from daemon.errors import DoorError, install
from daemon.fields import Backoff

log = logging.getLogger(__name__)

LONGEST_ID = 64
FORGET_SECONDS = 3.0
"""A badge is typed within a moment; what was left unfinished for so long is no beginning of one."""

_EV_SYN, _EV_KEY, _SYN_DROPPED = 0, 1, 3
_DOWN, _UP = 1, 0
# Codes of keys, from linux/input-event-codes.h; they are part of the kernel's interface.
_ENTER = frozenset({28, 96})
_SHIFT = frozenset({42, 54})
_KEYS = {
    first + place: key
    for first, keys in (
        (2, "1234567890-"),
        (16, "qwertyuiop"),
        (30, "asdfghjkl"),
        (44, "zxcvbnm"),
        (71, "789-456"),
        (79, "1230"),
    )
    for place, key in enumerate(keys)
}


class KeyEvent(Protocol):
    """What the kernel reports: `struct input_event`."""

    type: int
    code: int
    value: int


class Device(Protocol):
    """An open input device."""

    fd: int

    def grab(self) -> None:
        """Take it for oneself."""

    def read(self) -> Iterable[KeyEvent]:
        """What has happened, without waiting."""

    def close(self) -> None:
        """Give it back."""


class Typist:
    """Puts key strokes together to badges."""

    def __init__(self) -> None:
        self._text = ""
        self._last = float("-inf")
        self._shift = False

    def take(self, event: KeyEvent, now: float) -> str | None:
        """The badge that a stroke completes; None: it completes none."""
        if event.type == _EV_SYN and event.code == _SYN_DROPPED:
            self._text = ""  # the kernel lost strokes
        if event.type != _EV_KEY:
            return None
        if event.code in _SHIFT:
            self._shift = event.value != _UP
            return None
        if event.value != _DOWN:
            return None
        if now - self._last > FORGET_SECONDS:
            self._text = ""
        self._last = now
        if event.code in _ENTER:
            text, self._text = self._text, ""
            return text if 0 < len(text) <= LONGEST_ID else None
        key = _KEYS.get(event.code, "")
        # One stroke too many stays too many, until Enter.
        self._text = (self._text + (key.upper() if self._shift else key))[: LONGEST_ID + 1]
        return None


def open_device(path: Path) -> Device:
    """The input device at `path`, through evdev.

    Raises:
        DoorError: evdev is not installed.
        OSError: it is not there, or may not be read.
    """
    try:
        import evdev
    except ImportError:
        raise DoorError(f"door.badge needs the library evdev; {install('badge')}") from None
    device: Device = evdev.InputDevice(str(path))
    return device


class BadgeReader:
    """Reads one device for as long as :meth:`run` runs. Belongs to one event loop.

    Args:
        path: the device.
        claim: gets each badge.
        backoff: time between attempts to open a device that is not there.
        opener: opens it.
    """

    def __init__(
        self,
        path: Path,
        claim: Callable[[str], None],
        backoff: Backoff | None = None,
        opener: Callable[[Path], Device] = open_device,
    ) -> None:
        self._path = path
        self._claim = claim
        self._backoff = backoff or Backoff()
        self._open = opener
        self.connected = False

    async def run(self) -> None:
        """Until it is cancelled.

        Raises:
            DoorError: evdev is not installed.
        """
        pause, said = self._backoff.initial, ""
        while True:
            try:
                device = self._open(self._path)
            except OSError as error:
                problem = error
            else:
                try:
                    device.grab()
                    log.info("badge reader: %s", self._path)
                    self.connected = True
                    pause, said = self._backoff.initial, ""
                    problem = await self._read(device)
                except OSError as error:
                    problem = error
                finally:
                    self.connected = False
                    with contextlib.suppress(OSError):
                        device.close()
            reason = _reason(problem)
            if reason != said:
                log.warning("badge reader %s: %s; trying again", self._path, reason)
                said = reason
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._backoff.maximum)

    async def _read(self, device: Device) -> OSError:
        """Until the device fails; how."""
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[OSError] = loop.create_future()
        typist = Typist()

        def hear() -> None:
            try:
                badges = [typist.take(event, time.monotonic()) for event in device.read()]
            except BlockingIOError:
                return
            except OSError as error:
                loop.remove_reader(device.fd)
                failed.set_result(error)
                return
            for badge in filter(None, badges):
                self._claim(badge)

        loop.add_reader(device.fd, hear)
        try:
            return await failed
        finally:
            loop.remove_reader(device.fd)


def _reason(problem: OSError) -> str:
    match problem.errno:
        case errno.ENODEV | errno.ENOENT:
            return "not plugged in"
        case errno.EACCES | errno.EPERM:
            return "may not be read; the user must be in the group input"
        case errno.EBUSY:
            return "taken by another program"
    return problem.strerror or str(problem)
