"""The control socket: how commands on the same machine reach the daemon.

A Unix socket that its owner and group may use (mode 0660). A request is one line of JSON,
`{"command": "unlock", "seconds": 5, "reason": "a parcel"}`; the answer is one, too: `{"ok": true,
"result": {...}}` or `{"ok": false, "error": "..."}`. The kernel says who asks. With `"before"`, a
time of the machine's monotonic clock, a request is refused once that has passed: nobody waits for
it any more, and a door must not open after its order was reported as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import math
import os
import pwd
import socket
import stat
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from daemon.door.settings import ControlConfig
from daemon.errors import ControlError, PorterError
from daemon.paths import state_directory
from daemon.validation import Settings, wanted

log = logging.getLogger(__name__)

NAME = "porter.sock"
SERVICE = Path("/run/porter")
"""Runtime directory of the service; commands look there though they are not part of it."""
LONGEST_REQUEST = 8192
LONGEST_ANSWER = 16 * 1024 * 1024
MOST_CLIENTS = 8
READ_PATIENCE = 10.0
"""Seconds for a request to arrive."""
WORK_PATIENCE = 120.0
"""Seconds for a request to be done."""
WRITE_PATIENCE = 10.0
"""Seconds for an answer to be taken."""

OrderT = TypeVar("OrderT", bound=Settings)
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as the kernel saw it connect."""

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        """For the record: `root (uid 0, pid 812)`."""
        try:
            name = pwd.getpwuid(self.uid).pw_name
        except KeyError:
            name = "somebody"
        return f"{name} (uid {self.uid}, pid {self.pid})"


def socket_path(config: ControlConfig) -> Path:
    """Where the daemon listens."""
    return config.path or _folders()[0] / NAME


def client_paths(config: ControlConfig) -> list[Path]:
    """Where a daemon could listen, likeliest first."""
    if config.path:
        return [config.path]
    given = [SERVICE] if "RUNTIME_DIRECTORY" not in os.environ else []
    return [folder / NAME for folder in (*given, *_folders())]


def _folders() -> list[Path]:
    """Folders for the socket, in order: of the service, of the user's session, of the state."""
    found = []
    if service := os.environ.get("RUNTIME_DIRECTORY"):
        found.append(Path(service.split(":")[0]))
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(session))
    return [*found, state_directory()]


class Control:
    """The daemon's end of the socket. Belongs to one event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handlers: dict[str, Callable[[Mapping[str, Any], Peer], Awaitable[Result]]] = {}
        self._server: asyncio.Server | None = None
        self._lock: int | None = None
        self._clients: set[asyncio.Task[None]] = set()

    def on(
        self,
        command: str,
        order: type[OrderT],
        handler: Callable[[OrderT, Peer], Awaitable[Result]],
    ) -> None:
        """Let `handler` do `command`, whose fields `order` checks.

        What it raises as :class:`PorterError` is the answer; its text should be one line.
        """

        async def handle(fields: Mapping[str, Any], peer: Peer) -> Result:
            try:
                checked = order.model_validate(fields)
            except ValidationError as invalid:
                raise PorterError(_mistakes(command, invalid)) from None
            return await handler(checked, peer)

        self._handlers[command] = handle

    async def start(self) -> None:
        """Listen.

        Raises:
            ControlError: another Porter does already, or the socket cannot be made.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _only_one(self.path)
            listener = _bind(self.path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ControlError(f"control.path: {self.path}: cannot be made: {reason}") from None
        self._server = await asyncio.start_unix_server(
            self._connected, sock=listener, limit=LONGEST_REQUEST
        )

    async def stop(self) -> None:
        """Hang up on everybody, and take the socket away."""
        if self._server is None:
            return
        self._server.close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("control.path: %s: cannot be removed: %s", self.path, error.strerror)
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        self._server = None
        if self._lock is not None:
            os.close(self._lock)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > MOST_CLIENTS:
                await _answer(writer, {"ok": False, "error": "too many clients; try again"})
            else:
                await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # gone, or too slow
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _peer(writer)
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), READ_PATIENCE)
            except ValueError:
                error = f"a request may have {LONGEST_REQUEST} bytes at most"
                await _answer(writer, {"ok": False, "error": error})
                return
            if not line.endswith(b"\n"):
                return
            await _answer(writer, await self._do(line, peer))

    async def _do(self, line: bytes, peer: Peer) -> Result:
        """The answer to one request."""
        try:
            request = json.loads(line)
            command = request.pop("command")
            before = float(request.pop("before", math.inf))
            handler = self._handlers[command]
        except (ValueError, OverflowError, RecursionError):
            return {"ok": False, "error": "a request must be a line of JSON"}
        except (AttributeError, TypeError):
            return {"ok": False, "error": "a request must be an object with a command"}
        except KeyError:
            known = ", ".join(self._handlers)
            return {"ok": False, "error": f"no such command; known here: {known}"}
        if not time.monotonic() <= before:
            log.warning("%s, asked for by %s, came too late and was not done", command, peer)
            return {"ok": False, "error": "came too late; nothing was done"}
        try:
            result = await asyncio.wait_for(handler(request, peer), WORK_PATIENCE)
        except PorterError as error:
            log.warning("%s, asked for by %s, was refused: %s", command, peer, error)
            return {"ok": False, "error": str(error)}
        except TimeoutError:
            log.warning("%s, asked for by %s, was not done in time", command, peer)
            return {"ok": False, "error": f"not done within {WORK_PATIENCE:g} s"}
        except Exception:
            log.exception("%s, asked for by %s, failed", command, peer)
            return {"ok": False, "error": "failed; the daemon's log says why"}
        return {"ok": True, "result": result}


class Client:
    """A command's end of the socket; blocks.

    Args:
        config: says where the socket is.
        patience: seconds to wait for an answer.
    """

    def __init__(self, config: ControlConfig, patience: float = 10.0) -> None:
        self._paths = client_paths(config)
        self._patience = patience

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Ask the daemon to do something; what it says.

        Raises:
            ControlError: no daemon answers.
            PorterError: the daemon says why not.
        """
        with self._connect() as link:
            try:
                before = time.monotonic() + self._patience
                request = {"command": command, "before": before, **fields}
                link.sendall(json.dumps(request).encode() + b"\n")
                answer = _read_line(link)
            except TimeoutError:
                raise ControlError(f"no answer within {self._patience:g} s") from None
            except OSError as error:
                raise ControlError(f"the daemon hung up: {error.strerror}") from None
        if not answer["ok"]:
            raise PorterError(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _connect(self) -> socket.socket:
        problems = []
        for path in self._paths:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.settimeout(self._patience)
            try:
                link.connect(str(path))
            except OSError as error:
                link.close()
                problems.append(f"{path}: {error.strerror or error}")
                continue
            return link
        looked = "; ".join(problems)
        raise ControlError(f"no Porter answers ({looked}); start it, or try with sudo")


def _read_line(link: socket.socket) -> dict[str, Any]:
    line = bytearray()
    while not line.endswith(b"\n"):
        data = link.recv(65536)
        if not data or len(line) > LONGEST_ANSWER:
            raise ControlError("the daemon hung up before it had answered")
        line += data
    answer: dict[str, Any] = json.loads(line)
    return answer


def _only_one(path: Path) -> int:
    """Hold a lock for as long as this process lives; the kernel lets go of it, whatever happens."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ControlError(
            f"another Porter listens at {path}; stop it, or set control.path"
        ) from None
    return descriptor


def _bind(path: Path) -> socket.socket:
    """A socket that nobody can reach before its mode is set; a dead Porter's is replaced."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlError(f"control.path: {path} is there, and is no socket; remove it")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o660)  # connections are refused until it listens
    except OSError:
        listener.close()
        raise
    return listener


def _peer(writer: asyncio.StreamWriter) -> Peer:
    size = struct.calcsize("3i")
    link = writer.get_extra_info("socket")
    return Peer(*struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)))


async def _answer(writer: asyncio.StreamWriter, answer: Result) -> None:
    # A name of a file may be no UTF-8; what stands for its bytes is written as JSON escapes.
    line = json.dumps(answer, ensure_ascii=False).encode(errors="backslashreplace")
    writer.write(line + b"\n")
    await asyncio.wait_for(writer.drain(), WRITE_PATIENCE)


def _mistakes(command: str, invalid: ValidationError) -> str:
    problems = []
    for each in invalid.errors(include_url=False)[:5]:
        said = each["msg"] if each["type"] in _PLAIN else f"must be {wanted(each)}"
        problems.append(f"{command}: {'.'.join(map(str, each['loc']))}: {said}")
    return "; ".join(problems)


_PLAIN = {"problem", "nul", "missing", "extra_forbidden"}
"""Kinds of mistakes whose own words say what to do."""
