"""Files of people: whatever a file holds, reading it ends in people or in one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cards import find_card, read_card
from daemon.errors import GalleryError
from daemon.people import archive
from daemon.people.schedule import parse_schedule
from daemon.people.sealing import Sealer
from daemon.vision.cards import EncoderCard
from tests.people.people import gallery_in, template

HEADER = {
    "format": archive.FORMAT,
    "version": archive.VERSION,
    "kdf": "scrypt",
    "n": 1 << 4,
    "r": 8,
    "p": 1,
    "salt": "00",
}
CARD = read_card(find_card("face"), EncoderCard)
simple = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


def sealed(plain: bytes) -> bytes:
    line = json.dumps(HEADER)
    sealer = Sealer(archive._derive("secret", HEADER))
    return line.encode() + b"\n" + sealer.seal(plain, line)


def tried(raw: bytes) -> str:
    """The one line that is said."""
    with pytest.raises(GalleryError, match=r"^people\.porter: ") as raised:
        archive.read(raw, "secret", "people.porter", CARD)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_was_exported_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "COST", archive.COST | {"n": 1 << 4})
    with gallery_in(tmp_path) as gallery:
        gallery.enrol("Ada", [template(1), template(2, picture=b"jpeg")], parse_schedule("mon"))
        gallery.add_decoy("Ada", template(3))
        raw = archive.export(gallery, "secr\u00e9t")
    (ada,) = archive.read(raw, "secre\u0301t", "x", CARD)  # the same letters, composed another way
    assert (ada.name, str(ada.schedule)) == ("Ada", "mon 00:00-24:00")
    assert sorted(each.role for each in ada.templates) == ["decoy", "own", "own"]
    assert [each.picture for each in ada.templates if each.picture] == [b"jpeg"]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    tried(raw)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(HEADER)), simple, min_size=1))
def test_any_header(changes: dict[str, object]) -> None:
    line = json.dumps(HEADER | changes).encode()
    if changes.get("n", 0) in range(1 << 12, 1 << 21):
        return  # right, and dear
    if json.loads(line) != HEADER:
        tried(line + b"\n" + sealed(b"[]").partition(b"\n")[2])


def test_a_deep_header() -> None:
    tried(b"[" * 998)
    tried(json.dumps(HEADER).encode("utf-16"))


@settings(deadline=None)
@given(
    st.recursive(
        simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
    ).filter(lambda value: value not in ([], {}))
)
def test_any_content(content: object) -> None:
    said = tried(sealed(json.dumps(content).encode()))
    assert "not what this Porter understands" in said


def test_content_that_is_no_json() -> None:
    assert "not what this Porter understands" in tried(sealed(b"[{"))
