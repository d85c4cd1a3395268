"""Who is known while the daemon runs, whatever happens to the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import GalleryError, OutputError
from daemon.inference import CPU
from daemon.people.gallery import Gallery
from daemon.people.records import EncoderId
from daemon.people.roster import Roster
from daemon.people.settings import GalleryConfig
from daemon.vision.encoder import open_encoder
from daemon.vision.settings import FacesConfig
from tests.faces import write_face_models
from tests.people.people import gallery_in, template, vector


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    """Ada is known."""
    card = open_encoder(write_face_models(tmp_path / "models") / "face.yaml", [CPU]).card
    with gallery_in(tmp_path) as gallery:
        gallery.enrol("Ada", [template(1, encoder=EncoderId.of(card))])
    key = tmp_path / "gallery.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    config = GalleryConfig(path=tmp_path / "gallery.db", key=key)
    return Roster(config, card, FacesConfig())


def reached(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_a_full_disk_makes_nobody_a_stranger(
    roster: Roster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OutputError("gallery.db: no space left on the disk")

    monkeypatch.setattr(Gallery, "remember", full)
    roster.remember("e-1", "Ada", vector(1))
    reached(lambda: "will not know event e-1" in caplog.text)
    assert roster.count == 1
    monkeypatch.setattr(Gallery, "revision", full)
    reached(lambda: "who is known stays known" in caplog.text)
    assert roster.verify(vector(1), "ada").decision == "match"
    roster.close()


def test_a_gallery_that_cannot_be_read_knows_nobody_until_it_can(
    roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise GalleryError("gallery.db: damaged")

    with monkeypatch.context() as broken:
        broken.setattr(Gallery, "revision", damaged)
        reached(lambda: roster.count == 0)
    reached(lambda: roster.count == 1)
    roster.close()
