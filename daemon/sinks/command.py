"""Local commands that run on an event."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from daemon.events import Event
from daemon.fields import CommandHook

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Commands that run at the same time; later events wait, and the bus bounds how many."""


class Commands:
    """Runs the command that belongs to an event, if one does.

    The command is a list of arguments; no shell sees it. It finds the event as JSON on standard
    input and in PORTER_EVENT, its type in PORTER_EVENT_TYPE. When its time is up, it and everything
    it started is killed.
    """

    def __init__(self, name: str, choose: Callable[[Event], CommandHook | None]) -> None:
        """Run what `choose` gives for an event; `name` is for messages."""
        self.name = name
        self._choose = choose
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    async def send(self, event: Event) -> None:
        """Start the command, when one of the slots is free."""
        hook = self._choose(event)
        if hook is None:
            return
        await self._slots.acquire()
        task = asyncio.create_task(self._run(hook, event))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def drain(self) -> None:
        """Wait for the commands that run."""
        if self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Kill the commands that still run."""
        for task in self._running:
            task.cancel()
        await self.drain()

    async def _run(self, hook: CommandHook, event: Event) -> None:
        try:
            await self._call(hook, event)
        finally:
            self._slots.release()

    async def _call(self, hook: CommandHook, event: Event) -> None:
        text, shown = event.to_json(), hook.command[0]
        environment = os.environ | {"PORTER_EVENT_TYPE": event.type, "PORTER_EVENT": text}
        environment.pop("NOTIFY_SOCKET", None)  # only the daemon itself speaks to systemd
        try:
            process = await asyncio.create_subprocess_exec(
                *hook.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=2,  # standard output is for events
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("on %s: %s cannot be run: %s", event.type, shown, error.strerror)
            return
        try:
            await asyncio.wait_for(process.communicate(text.encode() + b"\n"), hook.timeout)
            if process.returncode:
                log.warning("on %s: %s failed: %s", event.type, shown, _ending(process.returncode))
        except TimeoutError:
            if _kill(process):
                log.warning("on %s: %s killed after %g s", event.type, shown, hook.timeout)
            else:  # another user's, as with sudo; it keeps its place among those that may run
                log.warning(
                    "on %s: %s cannot be killed after %g s", event.type, shown, hook.timeout
                )
            await process.wait()
        finally:
            if process.returncode is None and _kill(process):
                await process.wait()


def _kill(process: asyncio.subprocess.Process) -> bool:
    """Kill a program and what it started; whether that was allowed."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"killed by signal {-code}"
