"""Every test follows faces as a process that has just begun."""

from __future__ import annotations

from itertools import count

import pytest


@pytest.fixture(autouse=True)
def _first_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.vision.tracking._numbers", count(1))
