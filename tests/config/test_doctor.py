"""What porter doctor makes of machines unlike the one that runs the tests."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import doctor
from daemon.doctor import Check, examine

SYSTEMCTL = """#!/bin/sh
echo LoadState={load}
echo ActiveState={active}
echo SubState=dead
echo UnitFileState=enabled
echo NRestarts={restarts}
"""


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("wake: {models: [{model: none}]}\n")
    return path


def found(checks: Iterator[Check], group: str) -> list[Check]:
    return [check for check in checks if check.group == group]


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    def install(load: str = "loaded", active: str = "active", restarts: int = 0) -> None:
        program = tmp_path / "systemctl"
        program.write_text(SYSTEMCTL.format(load=load, active=active, restarts=restarts))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setattr(doctor, "SYSTEMD", tmp_path)

    return install


def test_the_service_runs(systemctl, config):
    systemctl()
    (check,) = found(examine(config), "service")
    assert check.ok is None
    assert check.detail == "active (dead), enabled"


def test_the_service_failed(systemctl, config):
    systemctl(active="failed", restarts=3)
    service, restarts = found(examine(config), "service")
    assert service.ok is False
    assert service.fix == "see why: journalctl -u porter.service -e"
    assert restarts.detail.startswith("3;")


def test_the_service_is_not_installed(systemctl, config):
    systemctl(load="not-found")
    (check,) = found(examine(config), "service")
    assert check.ok is None
    assert "scripts/install" in check.detail


def test_there_is_no_systemd(monkeypatch, config, tmp_path):
    monkeypatch.setattr(doctor, "SYSTEMD", tmp_path / "none")
    (check,) = found(examine(config), "service")
    assert (check.ok, check.detail) == (None, "systemd does not run here")


def test_a_closed_sound_card(monkeypatch):
    user = os.geteuid()
    # Not tmp_path: pytest's folders are closed to all others.
    with tempfile.TemporaryDirectory() as name:
        cards = Path(name)
        cards.chmod(0o755)
        for node in ("pcmC0D0c", "pcmC0D0p"):
            (cards / node).write_bytes(b"")
            (cards / node).chmod(0)
        monkeypatch.setattr(doctor, "SOUND_CARDS", cards)
        if user == 0:  # who may open everything
            os.seteuid(65534)
        try:
            (needed,) = doctor._permissions(needed=True)
            (unneeded,) = doctor._permissions(needed=False)
        finally:
            os.seteuid(user)
    assert needed.ok is False
    assert needed.detail.startswith("0 of 1 open to ")
    assert needed.fix is not None
    assert needed.fix.startswith("run sudo usermod -aG audio ")
    assert unneeded.ok is True


def test_an_open_sound_card(monkeypatch, tmp_path):
    (tmp_path / "pcmC1D0c").write_bytes(b"")
    monkeypatch.setattr(doctor, "SOUND_CARDS", tmp_path)
    (check,) = doctor._permissions(needed=True)
    assert check.ok is True
    assert check.detail.startswith("1 of 1 open to ")


def test_a_missing_library_is_a_failure_not_an_end(monkeypatch, config):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    checks = list(examine(config))
    broken = {(check.group, check.name) for check in checks if check.ok is False}
    assert {
        ("versions", "onnxruntime"),
        ("versions", "libsndfile"),
        ("inference", "check"),
    } <= broken
    assert all(check.fix for check in checks if check.ok is False)
    assert checks[-1].group == "service"
