"""Who is known while the daemon runs, whatever happens to the disk."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import GalleryError, OutputError
from daemon.inference import CPU
from daemon.people.gallery import Gallery
from daemon.people.records import EncoderId
from daemon.people.roster import Roster
from daemon.people.schedule import parse_schedule
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


@pytest.mark.parametrize("error", [GalleryError("gallery.db: damaged"), RuntimeError("a bug")])
def test_a_gallery_that_cannot_be_read_knows_nobody_until_it_can(
    roster: Roster, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def damaged(*_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Gallery, "revision", damaged)
        reached(lambda: roster.count == 0)
    reached(lambda: roster.count == 1)
    roster.close()


@pytest.mark.parametrize("length", [1, 2, 129])
def test_templates_of_another_length_let_nobody_in(
    roster: Roster, tmp_path: Path, caplog: pytest.LogCaptureFixture, length: int
) -> None:
    forged = template(vector=np.eye(1, length, dtype=np.float32)[0], encoder=roster._encoder)
    with gallery_in(tmp_path) as gallery:
        gallery.enrol("Bob", [forged])
        why = f"a template of Bob has {length} numbers, and the encoder face makes"
        reached(lambda: why in caplog.text)
        assert roster.count == 0
        gallery.remove("Bob")
    reached(lambda: roster.count == 1)
    roster.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE people SET schedule = 5",
        "UPDATE templates SET id = x'00'",
        "UPDATE templates SET vector = 'text'",
        "DELETE FROM meta WHERE name = 'revision'",
        "UPDATE meta SET value = 1e300 WHERE name = 'revision'",
    ],
)
def test_who_is_removed_from_a_damaged_gallery_is_not_let_in(
    roster: Roster, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Cells of a kind that nobody wrote cost no more than those that were changed."""
    with sqlite3.connect(tmp_path / "gallery.db") as raw:
        raw.execute(damage)
        raw.execute(
            "UPDATE meta SET value = x'00' WHERE name = 'revision' AND typeof(value) = 'blob'"
        )
    reached(lambda: roster.count == 0)
    assert roster.verify(vector(1), "Ada").decision == "unknown"
    reached(lambda: "was changed or damaged" in caplog.text)
    assert "Traceback" not in caplog.text
    with raw:
        raw.execute("DELETE FROM templates")
        raw.execute("DELETE FROM people")
        raw.execute("INSERT OR REPLACE INTO meta VALUES ('revision', x'01')")
    raw.close()
    with gallery_in(tmp_path) as gallery:
        gallery.enrol("Bob", [template(2, encoder=roster._encoder)])
    reached(lambda: roster.count == 1)
    assert roster.refusal("Ada") == "is not enrolled any more"
    roster.close()


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Move the machine to another time zone; at the end this process is back in its own."""
    with monkeypatch.context() as moved:
        yield lambda name: moved.setenv("TZ", name)
    time.tzset()


def test_a_schedule_follows_the_time_zone_of_the_machine(
    roster: Roster, tmp_path: Path, zone: Callable[[str], None]
) -> None:
    now = datetime.now(UTC)
    hours = "-".join(f"{now + timedelta(hours=each):%H:%M}" for each in (-1, 1))
    with gallery_in(tmp_path) as gallery:
        gallery.set_schedule("Ada", parse_schedule(f"daily {hours}"))
    zone("HERE0")
    reached(lambda: "daily" in str(roster._known.schedules["Ada"]))
    assert roster.refusal("Ada") is None
    zone("THERE-12")
    assert roster.refusal("Ada") is not None
    zone("HERE0")
    assert roster.refusal("Ada") is None
    roster.close()
