"""A lock to watch: two programs that write down what they were told, and when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.door.settings import DoorConfig

NOTE = 'echo "$1 ${PORTER_SECONDS} $(date +%s.%N)" >>"$0"'


@dataclass
class Bolt:
    """A lock that is a file: one line for each order that a program carried out."""

    path: Path

    def settings(self, **changes: Any) -> dict[str, Any]:
        """For the command actuator; `changes` replace what a program does."""
        programs = {
            name: ["/bin/sh", "-c", changes.pop(name, NOTE), str(self.path), name]
            for name in ("unlock", "lock")
        }
        return {**programs, "timeout": 3.0, **changes}

    def config(self, *, longest: float = 300.0, **changes: Any) -> DoorConfig:
        """A door with this lock."""
        return DoorConfig(
            actuator="command",
            command=self.settings(**changes),
            unlock_seconds=0.5,
            max_unlock_seconds=longest,
        )

    @property
    def lines(self) -> list[tuple[str, float, float]]:
        """Order, seconds of the pulse, and when."""
        if not self.path.exists():
            return []
        rows = [line.split() for line in self.path.read_text().splitlines()]
        return [(order, float(seconds), float(when)) for order, seconds, when in rows]

    @property
    def orders(self) -> list[str]:
        """What was carried out."""
        return [order for order, _, _ in self.lines]

    def wait(self, orders: list[str], seconds: float = 8.0) -> None:
        """Until exactly these orders have been carried out."""
        deadline = time.monotonic() + seconds
        while self.orders != orders and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.orders == orders


@pytest.fixture
def bolt(tmp_path: Path) -> Bolt:
    return Bolt(tmp_path / "bolt.log")
