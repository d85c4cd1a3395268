"""Strangers who are kept for a while: sealed, erased in time, counted by visit; and what breaks."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cards import read_card
from daemon.errors import GalleryError, OutputError, PorterError
from daemon.people import database, visitor_keeper
from daemon.people.keys import Key
from daemon.people.matching import Matcher
from daemon.people.records import EncoderId
from daemon.people.settings import GalleryConfig, VisitorsConfig
from daemon.people.strangers import count_visits, strangers
from daemon.people.visitor_keeper import MOST_A_MINUTE, VisitorKeeper
from daemon.people.visitors import Seen, Visitors
from daemon.vision.cards import EncoderCard
from tests.faces import write_face_models
from tests.people.people import ENCODER, OTHER_ENCODER, key_for, near, template, vector

DAY = 86_400.0


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> EncoderCard:
    folder = write_face_models(tmp_path_factory.mktemp("models"))
    return read_card(folder / "face.yaml", EncoderCard)


def visitors_in(folder: Path, **settings: float) -> Visitors:
    return Visitors(folder / "visitors.db", key_for(folder), VisitorsConfig(**settings))


def raw(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(folder.glob("visitors.db*")))


def test_what_is_kept_comes_back_and_is_sealed(tmp_path: Path) -> None:
    now = time.time()
    with visitors_in(tmp_path) as visitors:
        visitors.keep(vector(1), ENCODER, now - 5)
        visitors.keep(vector(2), ENCODER, now)
        visitors.keep(vector(3), OTHER_ENCODER, now)
    with visitors_in(tmp_path) as visitors:
        found = visitors.all(ENCODER)
    assert [each.taken for each in found] == [now - 5, now]
    np.testing.assert_array_equal(found[0].vector, vector(1))
    assert vector(1).tobytes()[:16] not in raw(tmp_path)
    assert (tmp_path / "visitors.db").stat().st_mode & 0o077 == 0


def test_what_is_too_old_is_erased_for_good(tmp_path: Path) -> None:
    now = time.time()
    with visitors_in(tmp_path) as visitors:
        visitors.keep(vector(1), ENCODER, now - 6 * DAY)
        with sqlite3.connect(tmp_path / "visitors.db") as other:
            (sealed,) = other.execute("SELECT vector FROM visitors").fetchone()
        other.close()
        assert bytes(sealed) in raw(tmp_path)
    with visitors_in(tmp_path, keep_days=5) as visitors:
        assert visitors.all(ENCODER) == []
        assert visitors.expire() == 1
        assert bytes(sealed) not in raw(tmp_path)
        assert bytes(sealed)[40:60] not in raw(tmp_path)


def test_the_oldest_make_room(tmp_path: Path) -> None:
    now = time.time()
    with visitors_in(tmp_path, at_most=3) as visitors:
        for number in range(5):
            visitors.keep(vector(number), ENCODER, now + number)
        assert [each.taken - now for each in visitors.all(ENCODER)] == pytest.approx([2, 3, 4])
        assert visitors.forget([visitors.all(ENCODER)[0].id, "none"]) == 1
        assert visitors.forget() == 2


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    visitors_in(tmp_path).close()
    with pytest.raises(GalleryError, match="does not fit this file of visitors"):
        Visitors(tmp_path / "visitors.db", Key(b"x" * 32, tmp_path / "other"), VisitorsConfig())


def test_a_face_cannot_be_put_in_the_place_of_another(tmp_path: Path) -> None:
    with visitors_in(tmp_path) as visitors:
        for number in range(2):
            visitors.keep(vector(number), ENCODER, time.time())
    with sqlite3.connect(tmp_path / "visitors.db") as other:
        other.execute("UPDATE visitors SET vector = (SELECT vector FROM visitors LIMIT 1)")
    other.close()
    with visitors_in(tmp_path) as visitors, pytest.raises(GalleryError, match="was changed"):
        visitors.all(ENCODER)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def other_file(path: Path) -> None:
    path.write_bytes(b"no visitors here" * 400)


def the_gallery(path: Path) -> None:
    path.unlink()
    database.create(path, {}, database.GALLERY)


def newer(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 9")
    other.close()


@pytest.mark.parametrize("damage", [empty, other_file, the_gallery, newer])
def test_a_damaged_file_is_one_line(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    with visitors_in(tmp_path) as visitors:
        visitors.keep(vector(1), ENCODER, time.time())
    damage(tmp_path / "visitors.db")
    with pytest.raises(GalleryError, match=r"visitors\.db: ") as raised:
        visitors_in(tmp_path).all(ENCODER)
    assert "\n" not in str(raised.value)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with visitors_in(tmp_path) as visitors:
        (pages,) = visitors._database.execute("PRAGMA page_count").fetchone()
        visitors._database.execute(f"PRAGMA max_page_count = {pages}")

        def fill() -> None:
            for number in range(50):
                visitors.keep(vector(number), ENCODER, time.time())

        with pytest.raises(OutputError, match="no space left on the disk"):
            fill()
        kept = len(visitors.all(ENCODER))
        visitors._database.execute("PRAGMA max_page_count = 1000")
        visitors.keep(vector(99), ENCODER, time.time())
        assert len(visitors.all(ENCODER)) == kept + 1


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.floats(0, 1e5))
def test_visits_are_counted_by_the_gaps(times: list[float], apart: float) -> None:
    seen = [Seen(str(n), vector(1), taken) for n, taken in enumerate(sorted(times))]
    visits = count_visits(seen, apart)
    assert 1 <= visits <= len(times)
    ordered = sorted(times)
    assert visits == 1 + sum(b - a > apart for a, b in pairwise(ordered))


def test_the_same_stranger_three_times_this_week(card: EncoderCard) -> None:
    came = [(7, 0.0), (8, 0.5), (7, 1.0), (7, 1.001), (7, 3.0)]
    seen = [
        Seen(str(n), near(vector(who), 0.1, n), DAY * days) for n, (who, days) in enumerate(came)
    ]
    matcher = Matcher([], 0.6, 0.05, 0.05)
    often, once = strangers(seen, card, matcher, 600)
    assert (often.number, often.visits, len(often.seen)) == (1, 3, 4)
    assert (often.first, often.last) == (0, 3 * DAY)
    assert (once.number, once.visits, once.person) == (2, 1, None)
    known = Matcher([template(8, person="Ada", id="1")], 0.6, 0.05, 0.05)
    assert [each.person for each in strangers(seen, card, known, 600)] == [None, "Ada"]
    assert strangers([], card, matcher, 600) == []


@pytest.fixture
def keep(
    tmp_path: Path, card: EncoderCard, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., VisitorKeeper]]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    started: list[VisitorKeeper] = []

    def make(**settings: object) -> VisitorKeeper:
        visitors = VisitorsConfig.model_validate(settings)
        started.append(VisitorKeeper(GalleryConfig(), visitors, card))
        started[-1].start()
        return started[-1]

    yield make
    for each in started:
        each.close()


def kept(folder: Path, card: EncoderCard) -> list[Seen]:
    settings = VisitorsConfig()
    key = Key((folder / "gallery.key").read_bytes(), folder / "gallery.key")
    with Visitors(folder / "visitors.db", key, settings) as visitors:
        return visitors.all(EncoderId.of(card))


def test_the_keeper_keeps_strangers_and_nobody_who_may_be_known(
    keep: Callable[..., VisitorKeeper], tmp_path: Path, card: EncoderCard
) -> None:
    keeper = keep(enabled=True)
    now = time.time()
    keeper.keep(vector(1), now, None)
    keeper.keep(vector(2), now, 1.2)
    keeper.keep(vector(3), now, 0.65)  # nearer than a hundredth of all strangers
    keeper.close()
    found = kept(tmp_path, card)
    assert len(found) == 2
    np.testing.assert_array_equal(found[1].vector, vector(2))


def test_a_crowd_is_not_written_without_end(
    keep: Callable[..., VisitorKeeper], tmp_path: Path, card: EncoderCard
) -> None:
    keeper = keep(enabled=True)
    for number in range(3 * MOST_A_MINUTE):
        keeper.keep(vector(number), time.time(), None)
        time.sleep(0.002)
    keeper.close()
    assert 1 <= len(kept(tmp_path, card)) <= MOST_A_MINUTE


def test_switched_off_nothing_is_written_and_what_is_old_goes(
    keep: Callable[..., VisitorKeeper],
    tmp_path: Path,
    card: EncoderCard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper = keep(enabled=False)
    keeper.keep(vector(1), time.time(), None)
    keeper.close()
    assert not (tmp_path / "visitors.db").exists()
    keeper = keep(enabled=True)
    keeper.keep(vector(1), time.time() - 0.5 * DAY, None)
    keeper.close()
    assert len(kept(tmp_path, card)) == 1
    keep(enabled=False, keep_days=0.25).close()
    assert kept(tmp_path, card) == []
    # And while it runs.
    monkeypatch.setattr(visitor_keeper, "EXPIRE_SECONDS", 0.05)
    running = keep(enabled=True, keep_days=0.01)
    running.keep(vector(1), time.time() - 0.01 * DAY + 0.5, None)
    deadline = time.monotonic() + 10
    while not kept(tmp_path, card):
        assert time.monotonic() < deadline
    while kept(tmp_path, card):
        assert time.monotonic() < deadline


def test_a_file_that_is_held_costs_that_face_and_a_line(
    keep: Callable[..., VisitorKeeper],
    tmp_path: Path,
    card: EncoderCard,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.1)
    keeper = keep(enabled=True)
    keeper.keep(vector(1), time.time(), None)
    deadline = time.monotonic() + 10
    while not (tmp_path / "visitors.db").exists() or not kept(tmp_path, card):
        assert time.monotonic() < deadline
    other = sqlite3.connect(tmp_path / "visitors.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.ERROR):
        for number in range(2, 5):
            began = time.monotonic()
            keeper.keep(vector(number), time.time(), None)
            assert time.monotonic() - began < 0.05
        while "visitors are not kept" not in caplog.text:
            assert time.monotonic() < deadline
        time.sleep(0.5)
    other.execute("ROLLBACK")
    other.close()
    assert caplog.text.count("visitors are not kept") == 1
    keeper.keep(vector(9), time.time(), None)
    keeper.close()
    assert any(np.array_equal(each.vector, vector(9)) for each in kept(tmp_path, card))


def test_an_encoder_that_cannot_tell_strangers_is_refused(card: EncoderCard) -> None:
    blind = card.model_copy(update={"operating_points": []})
    with pytest.raises(PorterError, match="operating points"):
        VisitorKeeper(GalleryConfig(), VisitorsConfig(enabled=True), blind)
    VisitorKeeper(GalleryConfig(), VisitorsConfig(), blind)
