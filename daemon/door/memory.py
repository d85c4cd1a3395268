"""What the door does not forget when the daemon ends: failures, and a lockout that goes on.

Who can pull a plug or crash the daemon would else get new tries for it. The file is there only
while there is something to remember. Its times are those of the wall clock, since no other goes on
while the device is off: one whose clock is set forward forgets sooner, one whose clock went back
begins the lockout anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daemon.door.settings import LockoutConfig
from daemon.door.state import Held, LockedOut, State
from daemon.errors import OutputError
from daemon.people.files import make_folder, publish

log = logging.getLogger(__name__)

FILE = "door.json"
_Noted = tuple[tuple[float, ...], float | None]
"""Failures and the end of a lockout, by the policy's clock."""


class Remembered(BaseModel):
    """What the file holds: seconds since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    failures: tuple[float, ...] = Field(default=(), max_length=1000)
    """When the failures happened that count towards a lockout."""
    locked_out_until: float | None = None


class Memory:
    """Keeps it in a file of the state directory. Belongs to one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted: _Noted | None = None
        # One thread: what was noted later is also written later.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="door-memory")

    def recall(self, lockout: LockoutConfig, now: float) -> State:
        """The state to start from; a file that says nothing sensible begins a lockout.

        Args:
            lockout: the settings; no lockout that goes on is longer than one of now.
            now: seconds of the policy's clock.
        """
        behind = time.time() - now
        try:
            known = Remembered.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            self._noted = (), None
            return State()
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not what Porter wrote there"
            log.warning(
                "%s: cannot be read (%s); the door begins with a lockout of %g s: remove the file "
                "to do without",
                self._path,
                reason,
                lockout.seconds,
            )
            return State(phase=LockedOut(until=now + lockout.seconds))
        failures = tuple(min(now, then - behind) for then in known.failures)
        until = known.locked_out_until
        if until is None or until - behind <= now:
            return State(failures=failures)
        left = min(until - behind - now, lockout.seconds)
        return State(failures=failures, phase=LockedOut(until=now + left))

    def note(self, state: State) -> None:
        """Write down what has changed, without waiting for the disk."""
        until = _lockout(state)
        if (state.failures, until) == self._noted:
            return
        self._noted = state.failures, until
        ahead = time.time() - time.monotonic()
        known = Remembered(
            failures=tuple(round(then + ahead, 3) for then in state.failures),
            locked_out_until=None if until is None else round(until + ahead, 3),
        )
        self._writer.submit(self._write, known)

    async def close(self) -> None:
        """Wait until all that was noted is written."""
        await asyncio.to_thread(self._writer.shutdown)

    def _write(self, known: Remembered) -> None:
        try:
            if known == Remembered():
                self._path.unlink(missing_ok=True)
                return
            make_folder(self._path.parent)
            publish(self._path, json.dumps(known.model_dump()).encode(), replace=True)
        except (OutputError, OSError) as error:
            log.warning("%s; a restart will forget failures and lockouts", error)


def _lockout(state: State) -> float | None:
    match state.phase:
        case LockedOut(until=until):
            return until
        case Held(lockout=lockout):
            return lockout
        case _:
            return None
