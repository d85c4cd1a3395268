"""Comparing pictures with one person or with all, from the command line."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cli.face_plot import around
from tests.cli.conftest import Place
from tests.faces import draw, write_picture
from tests.people.people import vector


@pytest.fixture
def known(place: Place) -> Place:
    place.enrol("Ada", 1)
    place.enrol("Bob", 2)
    return place


def test_verifying_the_right_person(known: Place) -> None:
    said = known("verify", "ada", known.photo("probe", 1, noise=8, seed=30))
    assert said.code == 0
    assert "probe.png: match: Ada (Ada 0.0" in said.out
    assert "threshold 0.600, distance 0.0" in said.out
    assert "112 pixels, sharpness 0." in said.out


def test_verifying_somebody_else(known: Place) -> None:
    said = known("verify", "Ada", known.photo("probe", 2))
    assert said.code == 1
    assert "no match (Ada 1." in said.out


def test_nobody_of_this_name(known: Place) -> None:
    said = known("verify", "Eve", known.photo("probe", 1))
    assert said.code == 67
    assert "Eve: nobody of this name is enrolled" in said.err


def test_identifying_everybody_on_several_pictures(known: Place) -> None:
    both, ada = known.photo("both", 1, 2), known.photo("ada", 1)
    said = known("identify", both, ada)
    assert said.code == 0
    lines = said.out.splitlines()
    assert [line.split(" (")[0].partition(".png: ")[2] for line in lines] == [
        "match: Ada",
        "match: Bob",
        "match: Ada",
    ]
    assert ", then Bob 1." in lines[0]


def test_one_stranger_among_many_is_no_match(known: Place) -> None:
    said = known("identify", known.photo("ada", 1), known.photo("stranger", 9))
    assert said.code == 1
    assert "ada.png: match: Ada" in said.out
    assert "stranger.png: no match" in said.out


def test_bad_pictures_are_skipped_and_counted(known: Place) -> None:
    (known.folder / "broken.jpg").write_bytes(b"no")
    photos = [known.folder / "broken.jpg", known.photo("nobody"), known.photo("ada", 1)]
    said = known("identify", *photos)
    assert said.code == 0
    assert "broken.jpg: not a picture" in said.err
    assert "nobody.png: no face was found; skipped" in said.err
    assert "2 of 3 pictures skipped" in said.err
    said = known("verify", "Ada", known.photo("both", 1, 2))
    assert said.code == 66
    assert "both.png: 2 faces" in said.err
    assert "no picture could be used" in said.err


def test_two_people_about_as_near_are_unsure(known: Place) -> None:
    assert known("enroll", "Cleo", known.photo("ada", 1, noise=4), "--force").code == 0
    said = known("identify", known.photo("probe", 1, noise=4, seed=3))
    assert said.code == 1
    assert "unsure, near-tie: " in said.out
    assert said.out.count("Ada") >= 1
    assert said.out.count("Cleo") >= 1


def test_a_face_that_the_door_would_not_compare_is_no_match(known: Place) -> None:
    known.configure("faces: {quality: {max_yaw: 10}}\n")
    said = known("verify", "Ada", known.photo("left", 1, view="left"), "--json")
    assert said.code == 1
    (face,) = json.loads(said.out)["faces"]
    assert (face["decision"], face["reason"], face["person"]) == ("rejected", "turned", None)
    assert "look into the camera" in face["message"]


def test_json_has_everything(known: Place) -> None:
    photo = known.photo("probe", 1, noise=8, seed=30)
    said = known("identify", photo, known.folder / "missing.jpg", "--json")
    facts = json.loads(said.out)
    assert facts["model"].startswith("face 1 (")
    assert facts["fmr"] == 1e-4
    assert facts["skipped"][0]["reason"] == "unreadable"
    (face,) = facts["faces"]
    assert (face["picture"], face["decision"], face["person"]) == (str(photo), "match", "Ada")
    assert face["threshold"] == 0.6
    assert 0 <= face["distance"] <= face["score"] < 0.6
    assert [each["person"] for each in face["ranking"]] == ["Ada", "Bob"]
    assert len(face["nearest"]) == 6
    assert set(face["nearest"][0]) == {"id", "person", "score", "distance"}
    assert len(face["box"]) == 4
    assert len(face["landmarks"]) == 5
    assert set(face["quality"]) == {"size", "sharpness", "brightness", "yaw", "pitch"}


def test_an_empty_gallery_knows_nobody(place: Place) -> None:
    said = place("identify", place.photo("ada", 1))
    assert said.code == 1
    assert "no match (nobody to compare with)" in said.out


def test_looking_needs_no_gallery_and_makes_none(place: Place) -> None:
    photo = place.photo("ada", 1)
    for command in (["people"], ["identify", photo], ["verify", "Ada", photo], ["cluster", photo]):
        assert place(*command).code in (0, 1, 67)
    assert not (place.folder / "state").exists()


@pytest.mark.parametrize("kept", [False, True], ids=["vectors only", "pictures kept"])
def test_the_plot_shows_faces_and_distances(place: Place, kept: bool) -> None:
    pytest.importorskip("matplotlib")
    place.configure(f"gallery: {{keep_pictures: {str(kept).lower()}}}\n")
    place.enrol("Ada", 1)
    place.enrol("Bob", 2)
    out = place.folder / "out.png"
    said = place("identify", place.photo("both", 1, 2), place.photo("x", 5), "--plot", out)
    assert said.code == 1
    drawn = cv2.imread(str(out))
    assert drawn is not None
    assert drawn.shape[0] > 900
    assert drawn.std() > 20
    said = place("identify", place.photo("ada", 1), "--plot", place.folder / "none/out.png")
    assert said.code == 74
    assert "--plot: " in said.err


@given(st.integers(1, 12), st.integers(0, 1000))
@settings(deadline=None)
def test_places_in_the_plane_are_as_far_as_in_truth(count: int, seed: int) -> None:
    probe, others = vector(seed), np.stack([vector(seed, n) for n in range(count)])
    places = around(probe, others)
    assert places.shape == (count, 2)
    distances = ((others - probe) ** 2).sum(1)
    assert np.hypot(*places.T) == pytest.approx(distances, rel=1e-4)
    assert around(probe, probe[None]).tolist() == [[0, 0]]


def test_as_a_program(known: Place) -> None:
    command = [sys.executable, "-m", "daemon.cli.main", "verify", "Ada"]
    done = subprocess.run([*command, known.photo("probe", 2)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    done = subprocess.run([*command, known.folder / "none.png"], capture_output=True, text=True)
    assert done.returncode == 66
    assert done.stderr.splitlines()[-1] == "porter: error: no picture could be used"


@pytest.fixture
def album(known: Place) -> Path:
    """A folder of pictures: of both, of Ada in a folder inside, of a stranger, and broken."""
    folder = known.folder / "album"
    (folder / "inside").mkdir(parents=True)
    write_picture(folder / "both.png", draw(1, 2))
    write_picture(folder / "stranger.png", draw(9))
    write_picture(folder / "inside" / "ada $1.png", draw(1, noise=8, seed=40))
    (folder / "broken.jpg").write_bytes(b"no")
    return folder


def test_every_face_of_a_folder_in_a_table(known: Place, album: Path) -> None:
    said = known("identify", "--folder", album, "--csv", "-")
    assert said.code == 1, said
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [(Path(each["picture"]).name, each["decision"], each["person"]) for each in rows] == [
        ("both.png", "match", "Ada"),
        ("both.png", "match", "Bob"),
        ("stranger.png", "unknown", ""),
    ]
    assert all(float(each["score"]) >= 0 and float(each["width"]) > 60 for each in rows)
    assert "1 of 3 pictures skipped" in said.err
    table = known.folder / "who.csv"
    said = known("identify", "--folder", album, "--recursive", "--csv", table, "--json")
    assert len(json.loads(said.out)["faces"]) == 4
    assert len(table.read_text().splitlines()) == 5


@pytest.mark.parametrize("name", ["sheet.html", "sheet.png"])
def test_a_contact_sheet_of_a_folder(known: Place, album: Path, name: str) -> None:
    sheet = known.folder / name
    said = known("identify", "--folder", album, "--recursive", "--sheet", sheet)
    assert said.code == 1, said
    if sheet.suffix == ".png":
        picture = cv2.imread(str(sheet))
        assert picture is not None
        assert picture.shape[1] > 800
        return
    page = sheet.read_text()
    assert re.findall("<h2>(.*?)</h2>", page) == ["Ada", "Bob", "unknown"]
    assert page.count("data:image/jpeg") == 4
    assert 'href="album/inside/ada%20%241.png"' in page


def test_a_sheet_that_cannot_be_written_is_one_line(known: Place, album: Path) -> None:
    for option in ("--sheet", "--csv"):
        said = known("identify", "--folder", album, option, known.folder / "none" / "x.html")
        assert said.code == 74
        assert "cannot be written" in said.err


@pytest.mark.parametrize(
    "output", [("--sheet", "x.html"), ("--sheet", "x.png"), ("--plot", "x.png")]
)
def test_a_file_in_the_place_of_a_folder_is_one_line(known: Place, output: tuple[str, str]) -> None:
    option, name = output
    photo = known.photo("ada", 1)
    said = known("identify", photo, option, photo / name)
    assert said.code == 74
    assert f"{photo / name}: cannot be written: Not a directory" in said.err


def test_what_may_not_be_read_is_skipped_among_others(
    known: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of root, who runs these tests here and there, everything may be read."""
    secret, photo = known.photo("secret", 2), known.photo("ada", 1)
    allowed, fromfile = os.access, np.fromfile

    def access(path: Any, mode: int, **options: Any) -> bool:
        return Path(path) != secret and allowed(path, mode, **options)

    def read(path: Any, *more: Any) -> Any:
        if path == secret:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return fromfile(path, *more)

    monkeypatch.setattr("os.access", access)
    monkeypatch.setattr("numpy.fromfile", read)
    said = known("identify", photo, secret)
    assert said.code == 0, said
    assert "secret.png: cannot be read: Permission denied" in said.err
    for verb in ("cluster", "daynight", "detect"):
        assert "is not readable" not in known(verb, secret, photo).err
    assert known("enroll", "Cleo", secret, photo, "--force").code == 0


def test_folders_and_patterns_everywhere(known: Place, album: Path) -> None:
    assert known("verify", "Ada", album / "inside").code == 0
    assert known("verify", "Ada", album / "inside" / "*.png", "--provider", "cpu").code == 0
    assert known("identify").code == 2
    assert known("identify", "--folder", album / "none").code == 66
    said = known("enroll", "Cleo", album / "inside", "--force", "--provider", "cpu")
    assert said.code == 0, said


def test_what_stands_for_no_picture_is_skipped_among_others(known: Place) -> None:
    empty, pattern = known.folder / "empty", known.folder / "*.webp"
    empty.mkdir()
    said = known("identify", empty, known.photo("ada", 1), pattern, "--json")
    assert said.code == 0
    facts = json.loads(said.out)
    assert len(facts["faces"]) == 1
    assert [each["picture"] for each in facts["skipped"]] == [str(empty), str(pattern)]
    assert f"{pattern}: no file fits this pattern" in said.err
    assert "2 of 3 pictures skipped" in said.err
    assert known("identify", empty).code == 66
    assert known("verify", "ada", empty, known.photo("ada", 1), pattern, "--json").code == 0


@pytest.mark.parametrize(
    ("option", "name"),
    [("--plot", "keep.csv"), ("--sheet", "keep.txt"), ("--sheet", "noend"), ("--plot", "x.yaml")],
)
def test_a_picture_needs_a_picture_s_name_before_faces_are_compared(
    place: Place, option: str, name: str
) -> None:
    kept = place.folder / name
    kept.write_text("mine")
    said = place("identify", place.photo("ada", 1), option, kept)
    assert (said.code, said.out) == (2, "")
    assert f"{option}: {kept}: no picture's name; use one of .jpg, " in said.err
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("name", ["a.png", "sheet.svg"])
def test_a_picture_that_cannot_be_written_leaves_what_was_there(place: Place, name: str) -> None:
    taken = place.folder / "out" / name
    taken.mkdir(parents=True)
    said = place("identify", place.photo("ada", 1), "--plot", taken / "none" / name)
    assert said.code == 74
    assert list(taken.parent.iterdir()) == [taken]


@pytest.mark.parametrize(
    ("options", "name"),
    [(("--csv", "--sheet"), "same.html"), (("--plot", "--sheet"), "same.png")],
)
def test_two_outputs_are_not_written_into_one_file(
    place: Place, options: tuple[str, str], name: str
) -> None:
    file, first, second = place.folder / name, *options
    beside = place.folder / "state" / ".." / name
    (place.folder / "state").mkdir(exist_ok=True)
    for there in (False, True):
        if there:
            file.write_text("mine")
        said = place("identify", place.photo("ada", 1), first, file, second, beside)
        assert said.code == 2
        assert f"{second}: {beside} is the file of {first}, too; name another file" in said.err
        assert file.exists() == there


@pytest.mark.parametrize("option", ["--plot", "--sheet", "--csv"])
def test_no_answer_is_written_over_a_picture(place: Place, option: str) -> None:
    place.enrol("Ada", 1)
    photo = place.photo("ada", 1)
    link = place.folder / "link.png"
    link.symlink_to(photo)
    before = photo.read_bytes()
    for file in (photo, link):
        said = place("identify", photo, option, file)
        assert said.code == 2
        assert f"{option}: {file} is one of the pictures; name another file" in said.err
    assert photo.read_bytes() == before
