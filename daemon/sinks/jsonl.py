"""Events as JSON lines, on standard output or in a file."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import stat
from pathlib import Path

from daemon.errors import OutputError
from daemon.events import Event
from daemon.sinks.writer import Writer

OPEN_SECONDS = 2.0
"""How long a file may take to open; a reload keeps the door waiting for it."""


class JsonLines:
    """One event a line. A line is written whole; what a full disk cut short is taken back.

    A pipe or a terminal says when it takes more. A file does not, and its file system can hang: a
    thread writes it, and events wait on the bus, which counts those that are lost.
    """

    def __init__(self, name: str, descriptor: int, *, owned: bool) -> None:
        self.name = name
        self._descriptor = descriptor
        self._owned = owned
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._writer = Writer(f"write {name}") if regular else None

    async def send(self, event: Event) -> None:
        """Write one line.

        Raises:
            OutputError: no reader, no space, or another failure of the system.
        """
        line = memoryview(event.to_json().encode() + b"\n")
        try:
            if self._writer:
                await asyncio.wrap_future(self._writer.submit(lambda: self._write_whole(line)))
                return
            while line:
                # A pipe or terminal that is ready takes this much without blocking the loop.
                await self._ready()
                line = line[os.write(self._descriptor, line[: select.PIPE_BUF]) :]
        except OSError as error:
            raise OutputError(f"{self.name}: {_reason(error)}") from None

    async def drain(self) -> None:
        """Nothing waits here."""

    async def close(self) -> None:
        """Close the file, after what is being written; standard output stays open."""
        if self._writer:
            if self._owned:
                self._writer.submit(lambda: os.close(self._descriptor))
            self._writer.end()
        elif self._owned:
            os.close(self._descriptor)

    def _write_whole(self, line: memoryview) -> None:
        start = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise

    async def _ready(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def mark() -> None:
            if not ready.done():
                ready.set_result(None)

        try:
            loop.add_writer(self._descriptor, mark)
        except PermissionError:  # a device such as /dev/null or /dev/full is always ready
            return
        try:
            await ready
        finally:
            loop.remove_writer(self._descriptor)


def standard_output() -> JsonLines:
    """Events on standard output."""
    return JsonLines("standard output", 1, owned=False)


def open_file(path: Path) -> JsonLines:
    """Events appended to a file, which is made if it is missing.

    Raises:
        OutputError: it cannot be opened for writing.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    opener = Writer("open events.path")
    opened = opener.submit(lambda: JsonLines(str(path), os.open(path, flags, 0o640), owned=True))
    opener.end()
    try:
        return opened.result(OPEN_SECONDS)
    except TimeoutError:
        raise OutputError(
            f"events.path: {path}: not open after {OPEN_SECONDS:g} s; its file system hangs"
        ) from None
    except OSError as error:
        raise OutputError(f"events.path: {path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    if error.errno == errno.EPIPE:
        return "closed by the program that reads it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left; make room and start again"
    return f"cannot be written: {error.strerror}"
