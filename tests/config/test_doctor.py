"""What porter doctor makes of machines unlike the one that runs the tests."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from daemon import doctor
from daemon.audio.words.encoder import open_word_encoder
from daemon.audio.words.store import Take, Word, open_store
from daemon.doctor import Check, examine
from daemon.inference import CPU
from tests.objects import write_colour_detector

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


def seen(path: Path, **objects: object) -> list[Check]:
    """What is found of objects, with a camera of one picture."""
    folder = path.parent / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full((120, 160, 3), 90, np.uint8))
    camera = {"enabled": True, "source": "folder", "path": str(folder)}
    content = {"camera": camera, "objects": {"enabled": True, **objects}}
    path.write_text(yaml.safe_dump(content | {"audio": {"enabled": False}}))
    return found(examine(path), "objects")


def test_the_object_detector_runs(config, tmp_path, monkeypatch):
    write_colour_detector(tmp_path)
    monkeypatch.setenv("PORTER_MODELS", str(tmp_path))
    checks = seen(config, classes=["dog"])
    assert [(each.name, each.ok) for each in checks] == [
        ("network", True),
        ("classes", True),
        ("runs", True),
    ]


@pytest.mark.parametrize(
    ("objects", "name", "told"),
    [
        ({"model": "nope"}, "network", "nope: no such model"),
        ({"classes": ["parcel"]}, "classes", "objects.classes: model objects does not know"),
    ],
)
def test_an_object_detector_that_would_stop_the_daemon(
    config, tmp_path, monkeypatch, objects, name, told
):
    write_colour_detector(tmp_path)
    monkeypatch.setenv("PORTER_MODELS", str(tmp_path))
    (check,) = seen(config, **objects)
    assert (check.name, check.ok) == (name, False)
    assert told in check.detail
    assert check.fix


def test_the_word_encoder_is_missing(config, tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    config.write_text("wake: {enrolled: {encoder: nope}}\n")
    words, encoder = found(examine(config), "enrolled words")
    assert words.ok is None
    assert (encoder.name, encoder.ok) == ("encoder", False)
    assert "nope: no such model" in encoder.detail


def test_enrolled_words_are_looked_at_one_by_one(config, tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    config.write_text("log: {level: info}\n")
    encoder = open_word_encoder("wordembed", [CPU])
    columns = np.ones((encoder.card.window, encoder.column.shape[1]), np.float32)
    sesame = Word(
        name="sesame",
        encoder=encoder.card.id,
        created="2026-01-01T00:00:00Z",
        takes=[Take(source="one.wav", seconds=0.6, likeness=3.0)],
        templates=encoder.embed(columns)[0],
        threshold=0.5,
        duration=0.6,
    )
    old = encoder.card.id.model_copy(update={"version": "0"})
    open_store().put(sesame)
    open_store().put(sesame.model_copy(update={"name": "porcupine", "encoder": old}))
    (tmp_path / "words" / "cut.json").write_text("{")
    checks = {each.name: each for each in found(examine(config), "enrolled words")}
    assert {name: each.ok for name, each in checks.items()} == {
        "cut": False,
        "encoder": True,
        "runs": True,
        "sesame": True,
        "porcupine": False,
    }
    assert all(each.fix for each in checks.values() if each.ok is False)


def test_no_word_needs_no_encoder(config, tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("PORTER_MODELS", str(tmp_path))
    (check,) = found(examine(config), "enrolled words")
    assert (check.name, check.ok) == ("words", None)


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
