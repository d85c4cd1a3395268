"""The gallery: what is kept, how it is kept, and that nothing is left of who was removed."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import GalleryError, PersonError
from daemon.people import database
from daemon.people.files import make_folder
from daemon.people.gallery import MOST_PROBES, PROBE_DAYS, Gallery, gallery_path, open_gallery
from daemon.people.keys import Key, load_key
from daemon.people.records import Template, clean_name
from daemon.people.schedule import ALWAYS, parse_schedule
from daemon.people.sealing import SealBroken, Sealer
from daemon.people.settings import GalleryConfig
from daemon.vision.events import Quality
from tests.people.people import ENCODER, OTHER_ENCODER, gallery_in, key_for, template, vector

QUALITY = Quality(size=120.0, sharpness=0.5, brightness=0.4, yaw=3.0, pitch=-2.0)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return gallery_in(tmp_path)


def raw_bytes(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(folder.iterdir()))


# What is kept


def test_who_was_enrolled_is_found_again(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1, quality=QUALITY, picture=b"jpeg"), template(2)])
    (person,) = gallery.people()
    assert (person.name, person.templates, person.decoys, person.pictures) == ("Ada", 2, 0, 1)
    assert person.schedule == ALWAYS
    first, second = sorted(gallery.templates(pictures=True), key=lambda each: each.source)
    assert np.array_equal(first.vector, vector(1))
    assert (first.person, first.role, first.encoder) == ("Ada", "own", ENCODER)
    assert (first.quality, first.picture, first.source) == (QUALITY, b"jpeg", "(1,).jpg")
    assert (second.quality, second.picture) == (None, None)
    assert gallery.templates()[0].picture is None


def test_a_second_enrolment_adds_to_the_first(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1)], parse_schedule("mon"))
    gallery.enrol("ADA", [template(2)])
    (person,) = gallery.people()
    assert (person.name, person.templates, str(person.schedule)) == ("Ada", 2, "mon 00:00-24:00")
    gallery.enrol("ada", [template(3)], parse_schedule("tue"))
    assert str(gallery.person("ada").schedule) == "tue 00:00-24:00"


def test_templates_of_another_encoder_are_stale(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1), template(2, encoder=OTHER_ENCODER)])
    (person,) = gallery.people(ENCODER)
    assert (person.templates, person.stale) == (1, 1)
    assert [each.encoder for each in gallery.templates(ENCODER)] == [ENCODER]
    (stale,) = gallery.templates(OTHER_ENCODER)
    gallery.replace([stale], [template(3, person="Ada")])
    (person,) = gallery.people(ENCODER)
    assert (person.templates, person.stale) == (2, 0)


def test_decoys_are_added_counted_and_forgotten(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1)])
    gallery.add_decoy("ada", template(2))
    assert gallery.person("Ada").decoys == 1
    assert [each.role for each in gallery.templates(person="Ada")].count("decoy") == 1
    assert gallery.remove_decoys("Ada") == 1
    assert gallery.person("Ada").decoys == 0


def test_nobody_is_found_by_a_wrong_name(gallery: Gallery) -> None:
    with pytest.raises(PersonError, match=r"Adda: nobody .* nobody is enrolled yet"):
        gallery.remove("Adda")
    gallery.enrol("Ada", [template(1)])
    for action in (
        lambda: gallery.person("Adda"),
        lambda: gallery.remove("Adda"),
        lambda: gallery.set_schedule("Adda", ALWAYS),
        lambda: gallery.add_decoy("Adda", template(2)),
        lambda: gallery.templates(person="Adda"),
    ):
        with pytest.raises(PersonError, match="did you mean 'Ada'"):
            action()


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\x00b", "a\x1b[2J"])
def test_what_can_be_no_name(gallery: Gallery, name: str) -> None:
    with pytest.raises(PersonError, match="cannot be a name"):
        gallery.enrol(name, [template(1)])
    assert gallery.people() == []


@given(st.text(max_size=80))
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    try:
        clean = clean_name(name)
    except PersonError:
        return
    assert clean_name(clean) == clean


def test_the_same_name_in_other_letters_is_the_same_person(gallery: Gallery) -> None:
    gallery.enrol("Zoe\u0308", [template(1)])
    gallery.enrol("  zo\u00cb ", [template(2)])
    assert [each.name for each in gallery.people()] == ["Zo\u00eb"]


def test_the_revision_differs_after_every_change_by_whomever(tmp_path: Path) -> None:
    gallery, other = gallery_in(tmp_path), gallery_in(tmp_path)
    seen = {gallery.revision()}

    def changed() -> bool:
        revision = gallery.revision()
        new = revision not in seen
        seen.add(revision)
        return new

    assert not changed()
    other.enrol("Ada", [template(1)])
    assert changed()
    other.set_schedule("Ada", parse_schedule("mon"))
    assert changed()
    other.add_decoy("Ada", template(2))
    assert changed()
    other.remember("1", "Ada", vector(3), ENCODER)
    assert not changed()
    other.remove("Ada")
    assert changed()


def test_a_gallery_that_was_exchanged_is_noticed(tmp_path: Path) -> None:
    gallery = gallery_in(tmp_path)
    (tmp_path / "copy").write_bytes(gallery.path.read_bytes())
    (tmp_path / "copy").replace(gallery.path)
    with pytest.raises(GalleryError, match="another file is in its place"):
        gallery.revision()
    with pytest.raises(GalleryError, match="another file is in its place"):
        gallery.enrol("Ada", [template(1)])
    gallery.path.unlink()
    with pytest.raises(GalleryError, match="has gone"):
        gallery.revision()


@pytest.mark.parametrize("put", [shutil.copyfile, os.replace])
def test_a_copy_takes_the_place_of_a_gallery_in_use(
    tmp_path: Path, put: Callable[[Path, Path], object]
) -> None:
    gallery, other = gallery_in(tmp_path), gallery_in(tmp_path)
    gallery.enrol("Ada", [template(1)])
    shutil.copyfile(gallery.path, tmp_path / "copy")
    for number in range(6):
        gallery.enrol(f"person {number}", [template(number, n) for n in range(4)])
        other.templates()
    put(tmp_path / "copy", gallery.path)
    with gallery_in(tmp_path) as again:
        assert [each.name for each in again.people()] == ["Ada"]
        again.enrol("Bob", [template(2)])
        assert len(again.templates()) == 2
        assert again._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_gallery_with_a_write_ahead_log_gets_rid_of_it(tmp_path: Path) -> None:
    gallery_in(tmp_path).close()
    with sqlite3.connect(tmp_path / "gallery.db") as raw:
        raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    with gallery_in(tmp_path) as gallery:
        gallery.enrol("Ada", [template(1)])
        assert [each.name for each in tmp_path.glob("gallery.db*")] == ["gallery.db"]


# Probes


def test_the_probe_of_an_event_is_kept_for_a_while(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1)])
    now = time.time()
    gallery.remember("a-1", "ada", vector(5), ENCODER, now)
    probe = gallery.probe("a-1")
    assert probe is not None
    assert (probe.person, probe.encoder, probe.taken) == ("Ada", ENCODER, now)
    assert np.array_equal(probe.vector, vector(5))
    assert gallery.probe("a-2") is None
    gallery.remember("old", "Ada", vector(6), ENCODER, now - (PROBE_DAYS + 1) * 86_400)
    assert gallery.probe("old") is None
    gallery.remember("b", "Eve", vector(7), ENCODER)
    assert gallery.probe("b") is None


def test_old_probes_make_room(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1)])
    gallery._database.execute("PRAGMA synchronous = OFF")
    now = time.time()
    for number in range(MOST_PROBES + 5):
        gallery.remember(str(number), "Ada", vector(number), ENCODER, now + number)
    assert [gallery.probe(str(number)) is None for number in (0, 4, 5, MOST_PROBES + 4)] == [
        True,
        True,
        False,
        False,
    ]


# Encryption at rest


def test_nothing_can_be_read_without_the_key(tmp_path: Path) -> None:
    gallery = gallery_in(tmp_path)
    gallery.enrol("Adalbert", [template(1, source="holiday.jpg", picture=b"a picture of a face")])
    gallery.remember("1", "Adalbert", vector(2), ENCODER)
    raw = raw_bytes(tmp_path)
    for secret in (
        b"Adalbert",
        b"adalbert",
        b"holiday",
        b"a picture",
        vector(1).tobytes()[:16],
        vector(2).tobytes()[:16],
        key_for(tmp_path).secret,
    ):
        assert secret not in raw


def test_equal_values_look_different(gallery: Gallery) -> None:
    same = template(1)
    gallery.enrol("Ada", [same, same])
    sealed = [row[0] for row in gallery._database.execute("SELECT vector FROM templates")]
    assert sealed[0] != sealed[1]


def test_a_wrong_key_is_one_line(tmp_path: Path) -> None:
    gallery_in(tmp_path).close()
    wrong = Key(b"x" * 32, tmp_path / "other.key")
    with pytest.raises(GalleryError, match=r"the key .*other\.key does not fit") as raised:
        Gallery(tmp_path / "gallery.db", wrong)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE templates SET vector = (SELECT vector FROM templates ORDER BY id LIMIT 1)",
        "UPDATE templates SET person = (SELECT id FROM people ORDER BY id DESC LIMIT 1),"
        " model = model",
        "UPDATE templates SET role = 'decoy'",
        "UPDATE templates SET model_sha256 = 'ef'",
        "UPDATE templates SET vector = substr(vector, 1, 20)",
        "UPDATE people SET name = (SELECT name FROM people ORDER BY id LIMIT 1)",
        "UPDATE people SET schedule = (SELECT schedule FROM people ORDER BY id LIMIT 1)",
    ],
)
def test_rows_cannot_be_exchanged(tmp_path: Path, tampering: str) -> None:
    gallery = gallery_in(tmp_path)
    gallery.enrol("Ada", [template(1)])
    gallery.enrol("Bob", [template(2)], parse_schedule("mon"))
    gallery.close()
    with sqlite3.connect(tmp_path / "gallery.db") as raw:
        raw.execute(tampering)
    raw.close()
    again = gallery_in(tmp_path)
    with pytest.raises(GalleryError, match="was changed or damaged") as raised:
        again.people(), again.templates()
    assert "\n" not in str(raised.value)


def test_names_cannot_be_exchanged_to_have_somebody_else_removed(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1)])
    gallery.enrol("Bob", [template(2)])
    query = gallery._database.execute
    (ada, of_ada), (bob, of_bob) = query("SELECT id, name_digest FROM people").fetchall()
    query("UPDATE people SET name_digest = ? WHERE id = ?", (b"aside", ada))
    query("UPDATE people SET name_digest = ? WHERE id = ?", (of_ada, bob))
    query("UPDATE people SET name_digest = ? WHERE id = ?", (of_bob, ada))
    with pytest.raises(GalleryError, match="a name was changed or damaged"):
        gallery.remove("Ada")
    assert len(gallery.people()) == 2


def test_who_was_removed_meanwhile_is_not_renewed(gallery: Gallery) -> None:
    gallery.enrol("Ada", [template(1)])
    gallery.enrol("Bob", [template(2)])
    stored = gallery.templates()
    gallery.remove("Ada")
    gallery.replace(stored, [template(3), template(4)])
    assert [each.person for each in gallery.templates()] == ["Bob"]


@given(st.binary(max_size=200), st.lists(st.text(max_size=8), max_size=3))
def test_what_is_sealed_opens_only_in_its_context(plain: bytes, context: list[str]) -> None:
    sealer = Sealer(b"k" * 32)
    sealed = sealer.seal(plain, *context)
    assert sealer.open(sealed, *context) == plain
    for other in ([*context, ""], ["".join(context), "x"]):
        with pytest.raises(SealBroken):
            sealer.open(sealed, *other)
    with pytest.raises(SealBroken):
        Sealer(b"j" * 32).open(sealed, *context)
    changed = bytearray(sealed)
    changed[len(changed) // 2] ^= 1
    with pytest.raises(SealBroken):
        sealer.open(bytes(changed), *context)


# Erasing


@pytest.mark.parametrize("watched", [False, True], ids=["alone", "while another reads"])
def test_nothing_is_left_of_who_was_removed(tmp_path: Path, watched: bool) -> None:
    gallery = gallery_in(tmp_path)
    gallery._database.execute("PRAGMA synchronous = OFF")
    other = gallery_in(tmp_path) if watched else None
    rng = np.random.default_rng(4)
    names = [f"person {number}" for number in range(30)]
    for number, name in enumerate(names):
        picture = rng.bytes(int(rng.integers(100, 9000)))
        gallery.enrol(name, [template(number, n, picture=picture) for n in range(3)])
        gallery.add_decoy(name, template(number, 8))
        gallery.remember(f"event {number}", name, vector(number, 9), ENCODER)
        if other:
            other.templates()
    for name in names[::2]:
        pieces = sealed_pieces(gallery, name)
        raw = raw_bytes(tmp_path)
        # One that lies across two pages is in none of them as a whole.
        assert sum(piece in raw for piece in pieces) > 0.8 * len(pieces)
        gallery.remove(name)
        raw = raw_bytes(tmp_path)
        assert not [piece for piece in pieces if piece in raw]
    assert [each.name for each in gallery.people()] == sorted(names[1::2])
    assert len(gallery.templates()) == 4 * len(names[1::2])


def sealed_pieces(gallery: Gallery, name: str) -> list[bytes]:
    """Beginnings, middles and ends of everything in the file about a person."""
    query = gallery._database.execute
    (id,) = [id for id, each in gallery._identities() if each == name]
    rows = [
        *query("SELECT vector, details, picture, id FROM templates WHERE person = ?", (id,)),
        *query("SELECT vector, event FROM probes WHERE person = ?", (id,)),
        *query("SELECT name, schedule, name_digest, id FROM people WHERE id = ?", (id,)),
    ]
    values = [v.encode() if isinstance(v, str) else v for row in rows for v in row if v]
    values = [each for each in values if not each.startswith(b"event")]
    return [v[at : at + 24] for v in values for at in (0, len(v) // 2, max(0, len(v) - 24))]


def test_a_reader_that_holds_on_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.2)
    gallery, other = gallery_in(tmp_path), gallery_in(tmp_path)
    gallery.enrol("Ada", [template(1)])
    other._database.execute("BEGIN")
    other.people()
    with pytest.raises(GalleryError, match="another program has been using it"):
        gallery.remove("Ada")
    other._database.execute("COMMIT")
    gallery.remove("Ada")
    assert gallery.people() == []


# Keys and files


def test_gallery_and_key_are_for_their_owner_only(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    config = GalleryConfig()
    with open_gallery(config) as gallery:
        gallery.enrol("Ada", [template(1)])
        assert gallery.path == gallery_path(config) == tmp_path / "state/gallery.db"
        modes = {
            each.name: stat.S_IMODE(each.stat().st_mode) for each in gallery.path.parent.iterdir()
        }
    assert set(modes) >= {"gallery.db", "gallery.key"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert len((tmp_path / "state/gallery.key").read_bytes()) == 32
    with open_gallery(config) as gallery:
        assert [each.name for each in gallery.people()] == ["Ada"]


def test_the_key_may_be_a_credential(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/porter.key").write_bytes(b"c" * 32)
    assert load_key(None, create=True).secret == b"c" * 32
    assert not (tmp_path / "gallery.key").exists()
    own = tmp_path / "own.key"
    assert load_key(own, create=True).path == own


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "gallery.key"
    path.write_bytes(b"k" * 32)
    path.chmod(mode)
    with pytest.raises(
        GalleryError, match=rf"others can read the key \(mode {mode:o}\); chmod 600"
    ):
        load_key(path, create=False)


def test_a_key_that_is_missing_or_none_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "gallery.key"
    with pytest.raises(GalleryError, match="the key of the gallery is missing"):
        load_key(path, create=False)
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(GalleryError, match="a key has 32 bytes, and this file 5"):
        load_key(path, create=True)


def test_a_gallery_without_its_key_gets_no_new_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    open_gallery(GalleryConfig()).close()
    (tmp_path / "gallery.key").unlink()
    with pytest.raises(GalleryError, match="key of the gallery is missing"):
        open_gallery(GalleryConfig())
    assert not (tmp_path / "gallery.key").exists()


def test_many_make_the_first_key_and_gallery_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    failures: list[BaseException] = []

    def enrol(number: int) -> None:
        try:
            with open_gallery(GalleryConfig()) as gallery:
                gallery.enrol(f"person {number}", [template(number)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=enrol, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    with open_gallery(GalleryConfig()) as gallery:
        assert len(gallery.people()) == len(gallery.templates()) == 6
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    os.chown(tmp_path, 12345, 12345)
    with open_gallery(GalleryConfig()) as gallery, gallery.alone():
        gallery.enrol("Ada", [template(1)])
        owners = {each.name: each.stat().st_uid for each in tmp_path.iterdir()}
    assert set(owners.values()) == {12345}
    assert set(owners) >= {"gallery.db", "gallery.db-journal", "gallery.key"}
    make_folder(tmp_path / "words/one")
    assert {(tmp_path / each).stat().st_uid for each in ("words", "words/one")} == {12345}


def test_templates_come_person_by_person(gallery: Gallery) -> None:
    for name in ("Ada", "Bob", "Cleo"):
        gallery.enrol(name, [template(ord(name[0]))])
    for name in ("Cleo", "Ada"):
        gallery.enrol(name, [template(ord(name[0]), 1)])
    order: list[Template] = gallery.templates()
    people = [each.person for each in order]
    assert sum(a != b for a, b in itertools.pairwise(people)) == 2
