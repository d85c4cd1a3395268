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


class JsonLines:
    """One event a line. A line is written whole; what a full disk cut short is taken back."""

    def __init__(self, name: str, descriptor: int, *, owned: bool) -> None:
        self.name = name
        self._descriptor = descriptor
        self._owned = owned
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)

    async def send(self, event: Event) -> None:
        """Write one line.

        Raises:
            OutputError: no reader, no space, or another failure of the system.
        """
        line = memoryview(event.to_json().encode() + b"\n")
        try:
            if self._regular:
                self._write_whole(line)
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
        """Close the file; standard output stays open."""
        if self._owned:
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
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o640)
    except OSError as error:
        raise OutputError(f"events.path: {path}: {_reason(error)}") from None
    return JsonLines(str(path), descriptor, owned=True)


def _reason(error: OSError) -> str:
    if error.errno == errno.EPIPE:
        return "closed by the program that reads it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left; make room and start again"
    return f"cannot be written: {error.strerror}"
