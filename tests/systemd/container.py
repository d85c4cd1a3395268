"""A Debian that is booted with its own systemd, in a container."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import debian

BOOT_SECONDS = 60.0
PACKAGES = ("dbus", "libportaudio2", "python3", "python3-venv", "systemd", "systemd-sysv")


class Container:
    """A running system; commands run inside it as root."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self.leader = leader
        """Process id, here, of the container's init."""

    def run(self, command: str, *, check: bool = True, timeout: float = 60) -> str:
        """Run a shell command inside, from the project's folder; its output, both streams."""
        done = self.attempt(command, timeout=timeout)
        if check and done.returncode:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout.strip()

    def attempt(self, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside that may fail."""
        environment = " ".join(
            f"{key}={shlex.quote(value)}" for key, value in debian.OFFLINE.items()
        )
        return subprocess.run(
            ["nsenter", "--target", str(self.leader), "--all", "env", "-i",
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
             "sh", "-c", f"export {environment}; cd /srv/porter && {command}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
        )  # fmt: skip

    def show(self, name: str, unit: str = "porter.service") -> str:
        """A property of a unit."""
        return self.run(f"systemctl show -P {name} {unit}")

    def journal(self, unit: str = "porter.service") -> list[str]:
        """What a unit has written to the journal so far."""
        lines = self.run(f"journalctl -q -u {unit} -o json --no-pager").splitlines()
        return [str(json.loads(line)["MESSAGE"]) for line in lines]

    def events(self) -> list[dict[str, Any]]:
        """The events in Porter's journal."""
        messages = [line for line in self.journal() if line.startswith("{")]
        return [json.loads(message) for message in messages]


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until a condition gives something, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.2)
    return found


@contextmanager
def booted(folder: Path) -> Iterator[Container]:
    """Boot a minimal Debian that holds a copy of the project; shut down afterwards."""
    debian.require()
    archive = debian.bare_system(PACKAGES)
    with debian.unpacked(archive, folder) as root:
        command = debian.nspawn(root, "--boot", "--console=pipe")
        with (folder / "console.log").open("wb") as console:
            nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )
        leader = 0
        try:
            children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
            leader = int(wait_for("the container's init", lambda: children.read_text().split())[0])
            container = Container(root, leader)
            wait_for("the container to boot", lambda: _is_up(container), BOOT_SECONDS)
            yield container
        finally:
            try:
                Container(root, leader).attempt("systemctl poweroff")
                nspawn.wait(30)
            except subprocess.TimeoutExpired:
                nspawn.kill()
                nspawn.wait()


def _is_up(container: Container) -> bool:
    state = container.attempt("systemctl is-system-running").stdout.strip()
    return state in ("running", "degraded")
