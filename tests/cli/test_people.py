"""Enrolling people, listing, removing and carrying them, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from daemon.cards import find_card, read_card
from daemon.people import archive
from daemon.people.enrolment import Rejected, single
from daemon.people.gallery import open_gallery
from daemon.people.records import EncoderId
from daemon.people.settings import GalleryConfig
from daemon.vision.cards import EncoderCard
from daemon.vision.examination import Examined
from daemon.vision.face import Face
from tests.cli.conftest import Place
from tests.faces import draw
from tests.people.people import template, vector
from tests.people.test_gallery import QUALITY
from tests.vision.pictures import write_video


def listed(place: Place) -> list[dict]:
    return json.loads(place("people", "--json").out)


def test_enrolling_from_pictures(place: Place) -> None:
    photos = [place.photo(f"ada-{n}", 1, noise=12, seed=n) for n in range(3)]
    said = place("enroll", "Ada", *photos)
    assert (said.code, said.out) == (0, "Ada: enrolled with 3 pictures\n")
    (person,) = listed(place)
    assert person["name"] == "Ada"
    assert (person["templates"], person["stale"], person["decoys"], person["pictures"]) == (
        3,
        0,
        0,
        0,
    )
    assert person["schedule"] == "always"
    said = place("enroll", "ada", place.photo("more", 1, noise=12, seed=9))
    assert said.out == "ada: enrolled with 1 picture, 4 in all\n"


def test_what_is_rejected_is_named_with_the_reason(place: Place) -> None:
    place.enrol("Bob", 2)
    (place.folder / "broken.jpg").write_bytes(b"no picture")
    good = place.photo("good", 1)
    good.with_name("again.png").write_bytes(good.read_bytes())
    said = place(
        "enroll",
        "Ada",
        place.photo("nobody"),
        place.photo("two", 1, 2),
        place.folder / "broken.jpg",
        place.folder / "missing.jpg",
        good,
        good.with_name("again.png"),
        good,
        place.photo("bob", 2, noise=3),
        place.photo("other", 3),
    )
    assert said.code == 0
    assert said.out == "Ada: enrolled with 1 picture\n"
    reasons = [
        line.strip().split(": left out: ") for line in said.err.splitlines() if "left out" in line
    ]
    expected = [
        ("nobody.png", "no face was found"),
        ("two.png", "2 faces, and none much larger"),
        (str(place.folder / "broken.jpg"), "not a picture, or damaged"),
        (str(place.folder / "missing.jpg"), "cannot be read: No such file"),
        ("again.png", "the same picture as good.png"),
        ("bob.png", "looks like Bob, who is enrolled"),
        ("other.png", "does not look like good.png"),
    ]
    assert [name for name, _ in reasons] == [name for name, _ in expected]
    for (_, message), (_, beginning) in zip(reasons, expected):
        assert message.startswith(beginning)
    assert "--force" in said.err


def test_an_enrolment_for_programs(place: Place) -> None:
    (empty := place.folder / "empty").mkdir()
    said = place("enroll", "Ada", place.photo("good", 1), place.photo("nobody"), empty, "--json")
    assert said.code == 0
    facts = json.loads(said.out)
    assert (facts["person"], facts["templates"]) == ("Ada", 1)
    assert [each["source"] for each in facts["accepted"]] == ["good.png"]
    assert facts["accepted"][0]["quality"]["sharpness"] > 0
    assert [(each["source"], each["reason"]) for each in facts["rejected"]] == [
        (str(empty), "unreadable"),
        ("nobody.png", "no face"),
    ]


def test_somebody_who_is_enrolled_already_needs_force(place: Place) -> None:
    place.enrol("Bob", 2)
    said = place("enroll", "Ada", place.photo("bob", 2, noise=3))
    assert said.code == 66
    assert "looks like Bob, who is enrolled (score 0." in said.err
    assert "nothing was enrolled" in said.err
    assert [each["name"] for each in listed(place)] == ["Bob"]
    said = place("enroll", "Ada", place.folder / "bob.png", "--force")
    assert said.code == 0
    assert [each["name"] for each in listed(place)] == ["Ada", "Bob"]


def test_one_face_enrolled_under_two_names_at_once_becomes_one_person(place: Place) -> None:
    photo = place.photo("face", 2)
    command = [sys.executable, "-m", "daemon.cli.main", "enroll"]
    both = [subprocess.Popen([*command, name, photo]) for name in ("Ada", "Bob")]
    assert sorted(process.wait(60) for process in both) == [0, 66]
    assert len(listed(place)) == 1


def test_a_face_that_is_not_good_enough_is_rejected(place: Place) -> None:
    place.configure("faces: {quality: {min_size: 200}}\n")
    said = place("enroll", "Ada", place.photo("small", 1))
    assert said.code == 66
    assert "small.png: left out: 112 pixels wide, not 200: come closer" in said.err
    place.configure("faces: {quality: {max_yaw: 10}}\n")
    said = place("enroll", "Ada", place.photo("left", 1, view="left"))
    assert "turned by 22 degrees" in said.err
    assert listed(place) == []


def test_the_largest_of_several_faces_is_taken_when_it_is_much_larger() -> None:
    def face(side: float) -> Examined:
        box, points = vector(1)[:4] * 0 + side, vector(1)[:10].reshape(5, 2)
        return Examined(Face(box, points, 0.9), QUALITY, None, vector(2))

    large, middle, small = face(100), face(60), face(40)
    assert single([large, small], "a.jpg") is large
    rejected = single([large, middle, small], "a.jpg")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "several faces"


def write_walk(path: Path, person: int, views: tuple[str, ...]) -> Path:
    pictures = [
        draw(person, view=view, noise=10, seed=number) for view in views for number in range(12)
    ]
    return write_video(path, pictures)


def test_enrolling_in_front_of_the_camera(place: Place) -> None:
    video = write_walk(place.folder / "walk.avi", 1, ("straight", "left", "right"))
    place.configure(
        f"camera: {{source: file, path: {video}, pace: fast}}\ngallery: {{keep_pictures: true}}\n"
    )
    said = place("enroll", "Ada", "--camera")
    assert said.code == 0, said
    assert "look straight into the camera" in said.err
    assert "turn your head a little to your left" in said.err
    assert "turned by 22 degrees: turn your head a little to your right" in said.err
    assert said.err.count("took the best") == 3
    (person,) = listed(place)
    assert person["templates"] == person["pictures"] == 4
    with open_gallery(GalleryConfig()) as gallery:
        yaws = sorted(each.quality.yaw for each in gallery.templates() if each.quality)
    assert yaws == pytest.approx([-22, 0, 0, 22], abs=2)


def test_a_view_that_was_never_seen_is_asked_for_again_and_named(place: Place) -> None:
    video = write_walk(place.folder / "walk.avi", 1, ("straight", "left"))
    place.configure(f"camera: {{source: file, path: {video}, pace: fast}}\n")
    said = place("enroll", "Ada", "--camera")
    assert said.code == 0, said
    assert "once more: turn your head a little to your right" in said.err
    assert "once more: turn your head a little to your left" not in said.err
    assert "no good picture looking right: " in said.err
    assert listed(place)[0]["templates"] == 3


def test_a_camera_that_shows_nobody_enrols_nobody(place: Place) -> None:
    video = write_video(place.folder / "empty.avi", [draw() for _ in range(5)])
    place.configure(f"camera: {{source: file, path: {video}, pace: fast}}\n")
    said = place("enroll", "Ada", "--camera")
    assert said.code == 66
    assert "5 pictures left out: no face was found" in said.err
    assert listed(place) == []


@pytest.mark.parametrize("arguments", [[], ["a.jpg", "--camera"]])
def test_pictures_or_camera(place: Place, arguments: list[str]) -> None:
    said = place("enroll", "Ada", *arguments)
    assert said.code == 2
    assert "give pictures, or --camera" in said.err


def test_the_list_for_people(place: Place) -> None:
    said = place("people")
    assert (said.code, said.out) == (0, "")
    assert "nobody is enrolled yet" in said.err
    place.enrol("Ada", 1)
    place.enrol("Bob", 2, count=1)
    place("people", "schedule", "Bob", "mon-fri", "08:00-18:00")
    assert place("people").out == (
        "Ada  3 templates; always\nBob  1 template; mon-fri 08:00-18:00\n"
    )


def test_removing(place: Place) -> None:
    place.enrol("Ada", 1)
    assert place("people", "remove", "ada", input="n\n").code == 1
    assert len(listed(place)) == 1
    said = place("people", "remove", "Ad", "--yes")
    assert said.code == 67
    assert "did you mean 'Ada'?" in said.err
    said = place("people", "remove", "ada", input="y\n")
    assert (said.code, said.out) == (0, "Ada: erased\n")
    assert listed(place) == []


def test_schedules(place: Place) -> None:
    place.enrol("Ada", 1, count=1)
    assert place("people", "schedule", "ada").out == "Ada: always\n"
    said = place("people", "schedule", "ada", "mon-fri 8:00-18:00", "until", "2030-01-01")
    assert said.out == "Ada: mon-fri 08:00-18:00 until 2030-01-01\n"
    assert place("people", "schedule", "ada").out == said.out
    said = place("people", "schedule", "ada", "someday")
    assert said.code == 2
    assert "'someday' is no day" in said.err
    assert listed(place)[0]["schedule"] == "mon-fri 08:00-18:00 until 2030-01-01"


def test_that_was_not_me(place: Place) -> None:
    place.enrol("Ada", 1)
    stranger = place.photo("stranger", 1, noise=35, seed=50)
    assert place("verify", "Ada", stranger).code == 0
    said = place("people", "not", "Ada", stranger)
    assert (said.code, said.out) == (0, "Ada: the face is a decoy now\n")
    said = place("verify", "Ada", stranger)
    assert said.code == 1
    assert "unsure, decoy: Ada" in said.out
    assert place("verify", "Ada", place.photo("ada", 1)).code == 0
    assert listed(place)[0]["decoys"] == 1
    again = place("people", "not", "Ada", stranger)
    assert (again.code, again.out) == (0, "Ada: the face is a decoy already\n")
    mistake = place("people", "not", "Ada", place.folder / "Ada-0.png")
    assert mistake.code == 67
    assert "which is Ada's own" in mistake.err
    assert listed(place)[0]["decoys"] == 1
    assert place("people", "not", "Ada", "--clear").out == "Ada: 1 decoy forgotten\n"
    assert place("verify", "Ada", stranger).code == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty; write the passphrase into it"),
        (b"\xff", "is no text; write it in UTF-8"),
    ],
)
def test_a_passphrase_file_that_is_none(place: Place, content: bytes | None, reason: str) -> None:
    secret = place.folder / "secret.txt"
    if content is not None:
        secret.write_bytes(content)
    said = place("people", "export", place.folder / "out", "--passphrase-file", secret)
    assert said.code == 78
    assert f"error: --passphrase-file: {secret}: {reason}\n" in said.err


def test_that_event_was_not_me(place: Place) -> None:
    place.enrol("Ada", 1)
    place.enrol("Bob", 2)
    with open_gallery(GalleryConfig()) as gallery:
        encoder: EncoderId = gallery.templates()[0].encoder
        gallery.remember("f00-1", "Ada", vector(3), encoder, time.time())
    assert place("people", "not", "Ada", "f00-1").code == 0
    with open_gallery(GalleryConfig()) as gallery:
        (decoy,) = [each for each in gallery.templates() if each.role == "decoy"]
    assert (decoy.person, decoy.source) == ("Ada", "event f00-1")
    assert decoy.vector == pytest.approx(vector(3))
    for arguments, said in (
        (("Bob", "f00-1"), "that event named Ada, not Bob"),
        (("Ada", "f00-2"), "no event of the last days"),
    ):
        answer = place("people", "not", *arguments)
        assert answer.code == 67
        assert said in answer.err


def test_another_encoder_makes_templates_stale_until_they_are_renewed(place: Place) -> None:
    place.configure("gallery: {keep_pictures: true}\n")
    place.enrol("Ada", 1)
    place.configure("gallery: {keep_pictures: false}\n")
    place.enrol("Bob", 2, count=2)
    photo = place.photo("ada", 1)
    place.configure("faces: {encoder: other}\n")
    rows = {each["name"]: each for each in listed(place)}
    assert {name: (row["templates"], row["stale"]) for name, row in rows.items()} == {
        "Ada": (0, 3),
        "Bob": (0, 2),
    }
    assert "0 templates, 3 of another encoder" in place("people").out
    said = place("identify", photo)
    assert said.code == 1
    assert "nobody to compare with" in said.out
    said = place("people", "re-enroll")
    assert (said.code, said.out) == (0, "3 templates renewed, 2 left as they are\n")
    assert said.err.count("its picture was not kept") == 2
    assert place("identify", photo).code == 0
    assert place("verify", "Bob", place.photo("bob", 2)).code == 1
    assert place("people", "re-enroll").out == "0 templates renewed, 2 left as they are\n"


def test_the_configuration_is_taken_before_and_after_the_command(place: Place) -> None:
    place.enrol("Ada", 1, count=1)
    other = place.folder / "other.yaml"
    other.write_text(f"gallery: {{path: {place.folder}/other.db}}\n")
    for arguments in (
        ["people", "--config", other, "schedule", "Ada"],
        ["people", "schedule", "Ada", "--config", other],
        ["verify", "Ada", place.folder / "Ada-0.png", "--config", other],
    ):
        said = place(*arguments)
        assert (said.code, "nobody of this name" in said.err) == (67, True)
    assert place("people", "schedule", "Ada").code == 0


@pytest.fixture
def secret(place: Place, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A passphrase in a file; what it costs to guess is not waited for."""
    monkeypatch.setattr(archive, "COST", archive.COST | {"n": 1 << 10})
    path = place.folder / "secret.txt"
    path.write_text("correct horse\n")
    return path


def test_people_travel_to_another_device(
    place: Place, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.configure("gallery: {keep_pictures: true}\n")
    place.enrol("Ada", 1)
    place.enrol("Bob", 2)
    place("people", "schedule", "Ada", "mon-fri")
    place("people", "not", "Bob", place.photo("stranger", 3))
    file = place.folder / "people.porter"
    said = place("people", "export", file, "--passphrase-file", secret)
    assert (said.code, said.out) == (0, f"{file}: 2 people\n")
    assert file.stat().st_mode & 0o777 == 0o600
    raw = file.read_bytes()
    assert raw.startswith(b'{"format": "porter people", "version": 1')
    assert b"Ada" not in raw
    before = listed(place)

    monkeypatch.setenv("STATE_DIRECTORY", str(place.folder / "elsewhere"))
    said = place("people", "import", file, input="correct horse\n")
    assert said.code == 0
    assert "Ada: new, 3 templates\nBob: new, 3 templates and 1 decoy\n" in said.out
    without_time = [{k: v for k, v in each.items() if k != "created"} for each in listed(place)]
    assert without_time == [{k: v for k, v in each.items() if k != "created"} for each in before]
    assert place("identify", place.photo("ada", 1)).code == 0
    said = place("people", "import", file, "--passphrase-file", secret)
    assert "Ada: known, nothing new\n" in said.out


def test_conflicts_of_an_import_are_reported(
    place: Place, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.enrol("Ada", 1)
    place.enrol("Bob", 2)
    place("people", "schedule", "Bob", "mon-fri")
    file = place.folder / "people.porter"
    place("people", "export", file, "--passphrase-file", secret)
    monkeypatch.setenv("STATE_DIRECTORY", str(place.folder / "elsewhere"))
    place.enrol("ada", 4)
    assert place("enroll", "Bob", place.photo("bob", 2, noise=12, seed=40)).code == 0
    place("people", "schedule", "Bob", "sat")
    said = place("people", "import", file, "--passphrase-file", secret)
    ada, bob = said.out.splitlines()
    assert ada.startswith("Ada: left out: looks like somebody else of the same name here")
    assert bob == (
        "Bob: known, 3 templates added; keeps its schedule (sat 00:00-24:00), "
        "the file has mon-fri 00:00-24:00"
    )
    said = place("people", "import", file, "--force", "--passphrase-file", secret)
    assert said.out.startswith("Ada: known, 3 templates added\n")


def test_what_is_wrong_with_an_archive_is_one_line(place: Place, secret: Path) -> None:
    place.enrol("Ada", 1, count=1)
    file = place.folder / "people.porter"
    assert place("people", "export", file, "--passphrase-file", secret).code == 0
    assert place("people", "export", file, "--passphrase-file", secret).code == 2
    raw = file.read_bytes()
    line, _, sealed = raw.partition(b"\n")

    def tried(content: bytes, passphrase: str = "correct horse") -> str:
        file.write_bytes(content)
        said = place("people", "import", file, input=passphrase + "\n")
        assert said.code == 77
        errors = [each for each in said.err.splitlines() if each.startswith("error")]
        assert len(errors) == 1
        return errors[0]

    assert "wrong passphrase, or the file is damaged" in tried(raw, "wrong horse")
    assert "wrong passphrase, or the file is damaged" in tried(raw[:-1])
    assert "not a file of porter people export" in tried(b"hello")
    assert "not a file of porter people export" in tried(b"")
    header = json.loads(line)
    for changes, said in (
        ({"version": 2}, "of version 2, and this Porter knows 1; update Porter"),
        ({"n": 1 << 30}, "its first line is damaged"),
        ({"n": 1000}, "its first line is damaged"),
        ({"salt": 5}, "its first line is damaged"),
    ):
        assert said in tried(json.dumps(header | changes).encode() + b"\n" + sealed)
    moved = json.dumps(header | {"note": "x"}).encode() + b"\n" + sealed
    assert "wrong passphrase, or the file is damaged" in tried(moved)


def test_a_template_of_another_length_is_not_imported(place: Place, secret: Path) -> None:
    place.enrol("Ada", 1)
    encoder = EncoderId.of(read_card(find_card("face"), EncoderCard))
    everybody = np.array([1], np.float32)
    file = place.folder / "people.porter"
    with open_gallery(GalleryConfig()) as gallery:
        gallery.enrol("Bob", [template(vector=everybody, encoder=encoder)])
        assert place("people", "export", file, "--passphrase-file", secret).code == 0
        gallery.remove("Bob")
    said = place("people", "import", file, "--passphrase-file", secret)
    assert said.code == 77
    assert f"{file}: not what this Porter understands: a template of Bob is not of 128" in said.err
    assert [each["name"] for each in listed(place)] == ["Ada"]


def test_a_key_that_others_can_read_stops_every_command(place: Place) -> None:
    place.enrol("Ada", 1, count=1)
    (place.folder / "state/gallery.key").chmod(0o644)
    for arguments in (["people"], ["identify", place.folder / "Ada-0.png"]):
        said = place(*arguments)
        assert said.code == 77
        assert "others can read the key" in said.err
