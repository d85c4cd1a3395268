"""Porter as a process: started, listened to and stopped as a person or a supervisor would."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]

PORTER = [sys.executable, "-m", "daemon.cli.main"]


def configuration(path: Path, **sections: Any) -> Path:
    """Write a configuration that listens with the model `tones`, and with `sections` over it."""
    content: Json = {"wake": {"models": [{"model": "tones"}]}} | sections
    path.write_text(yaml.safe_dump(content))
    return path


def porter(
    *arguments: str | Path, environment: Mapping[str, str], stdin: bytes | None = b""
) -> subprocess.CompletedProcess[str]:
    """Run a `porter` command to its end."""
    done = subprocess.run(
        [*PORTER, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=dict(environment),
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def events(lines: str) -> list[Json]:
    """The events of a run, from its standard output."""
    return [json.loads(line) for line in lines.splitlines()]


class Daemon:
    """A `porter run` that goes on in the background."""

    def __init__(
        self, arguments: Sequence[str | Path], environment: Mapping[str, str], stderr: Path
    ) -> None:
        self._stderr = stderr
        with stderr.open("wb") as log:
            self.process = subprocess.Popen(
                [*PORTER, "run", *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(environment),
            )
        self.seen: list[Json] = []
        self._arrived: queue.Queue[Json | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def wait_for(self, kind: str, seconds: float = 15) -> Json:
        """The next event of a type; other events in between are kept in `seen`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._arrived.get(timeout=left)
            except queue.Empty:
                break
            assert event is not None, f"ended without {kind}: {self.errors()}"
            self.seen.append(event)
            if event["type"] == kind:
                return event
        raise AssertionError(f"no {kind} within {seconds} s; saw {self.seen}; {self.errors()}")

    def wait_for_log(self, text: str, seconds: float = 10, times: int = 1) -> str:
        """Standard error, once it holds `text` as many times."""
        deadline = time.monotonic() + seconds
        while self.errors().count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in: {self.errors()}"
            time.sleep(0.02)
        return self.errors()

    def feed(self, raw: bytes) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(raw)
        self.process.stdin.flush()

    def errors(self) -> str:
        """What it has written to standard error."""
        return self._stderr.read_text()

    def pipeline_thread(self) -> int:
        """The thread that listens; while no commands run, it is the one that was started last."""
        return max(int(task.name) for task in Path(f"/proc/{self.process.pid}/task").iterdir())

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; the exit code and the seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.finish(), time.monotonic() - began

    def finish(self, seconds: float = 20) -> int:
        """Wait for the end, and read all events; the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        while not self._arrived.empty():
            event = self._arrived.get()
            if event is not None:
                self.seen.append(event)
        return code

    def kill(self) -> None:
        """Whatever happens, leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@contextlib.contextmanager
def frozen(thread: int) -> Iterator[None]:
    """Stop one thread of another process, as a deadlock would: with ptrace."""
    script = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.ptrace.argtypes = [ctypes.c_long] * 4\n"
        f"if libc.ptrace(16, {thread}, 0, 0): sys.exit('refused')\n"  # PTRACE_ATTACH
        f"os.waitpid({thread}, 0x40000000)\n"  # __WALL
        "print('frozen', flush=True)\n"
        "sys.stdin.read()\n"
        f"libc.ptrace(17, {thread}, 0, 0)\n"  # PTRACE_DETACH
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        if holder.stdout.readline() != b"frozen\n":
            pytest.skip("may not stop a thread of another process here (ptrace)")
        yield
        holder.stdin.close()


def base_environment(models: Path) -> dict[str, str]:
    """The environment of a test's Porter: these models, and no configuration of the machine's."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PORTER_")}
    return environment | {"PORTER_MODELS": str(models)}
