"""`porter cluster` over piles of drawn faces: folders, page, JSON, and what it must not do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Place
from tests.faces import draw, write_picture


@pytest.fixture
def pile(place: Place) -> Place:
    """Pictures of three people, one of two together, one of nobody and one that is none."""
    folder = place.folder / "pile"
    folder.mkdir()
    for person, count in ((1, 4), (2, 3), (3, 1)):
        for view in range(count):
            picture = draw(person, noise=12, seed=view + 10)
            write_picture(folder / f"p{person}-{view}.png", picture)
    write_picture(folder / "together.png", draw(1, 2, noise=12, seed=99))
    write_picture(folder / "nobody.png", draw())
    (folder / "broken.jpg").write_bytes(b"no picture")
    return place


def names(folder: Path) -> dict[str, list[str]]:
    return {
        each.name: sorted(inner.name for inner in each.iterdir())
        for each in sorted(folder.iterdir())
        if each.is_dir()
    }


ONE = [*(f"p1-{view}.png" for view in range(4)), "together.png"]
TWO = [*(f"p2-{view}.png" for view in range(3)), "together.png"]


def test_a_folder_for_each_person(pile: Place) -> None:
    out = pile.folder / "out"
    said = pile("cluster", pile.folder / "pile", "--out", out)
    assert said.code == 0, said
    assert names(out) == {"person-01": ONE, "person-02": TWO, "person-03": ["p3-0.png"]}
    assert "person-01: 5 faces in 5 pictures" in said.out
    assert "broken.jpg: not a picture" in said.err
    assert "nobody.png: no face was found; skipped" in said.err
    assert "2 of 11 pictures skipped" in said.err
    assert "2 of 11 pictures skipped" in (out / "index.html").read_text()
    assert "3 people (graph)" in said.err
    link = out / "person-01/p1-0.png"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == pile.folder / "pile/p1-0.png"
    assert (out / "elbow.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_opens_alone_and_names_are_escaped(pile: Place) -> None:
    evil = "<img src=x onerror=alert(1)>"
    pile.enrol(evil, 1)
    out = pile.folder / "out"
    assert pile("cluster", pile.folder / "pile", "--out", out).code == 0
    page = (out / "index.html").read_text()
    assert evil not in page
    assert "&lt;img src=x onerror=alert(1)&gt;: 5 faces, 5 match" in page
    sources = re.findall(r'src="([^"]{11})', page)
    assert len(sources) == 10 + 1
    assert set(sources) == {"data:image/"}
    for target in re.findall(r'href="([^"]*)"', page):
        assert (out / target.replace("%20", " ")).exists() or "%3C" in target


@pytest.mark.parametrize("name", ["../../away", "/etc", "..", "clusters.json", "person-01"])
def test_the_name_of_a_person_leads_nowhere_else(pile: Place, name: str) -> None:
    pile.enrol(name, 1)
    before = {each for each in pile.folder.rglob("*") if "out" not in each.parts}
    out = pile.folder / "out"
    said = pile("cluster", pile.folder / "pile", "--out", out)
    assert said.code == 0, said
    after = {each for each in pile.folder.rglob("*") if "out" not in each.parts}
    assert {each for each in after - before if "state" not in each.parts} == set()
    found = names(out)
    assert sorted(found.values(), key=len) == [["p3-0.png"], TWO, ONE]
    assert {each.resolve().parent for each in out.iterdir()} == {out}


def test_who_is_known_has_their_name_and_two_parts_of_them_are_one(pile: Place) -> None:
    pile.enrol("Bob", 2)
    said = pile("cluster", pile.folder / "pile", "--json")
    assert said.code == 0, said
    facts = json.loads(said.out)
    assert [(each["name"], each["person"]) for each in facts["clusters"]] == [
        ("person-01", None),
        ("Bob", "Bob"),
        ("person-02", None),
    ]
    assert facts["clusters"][1]["matching"] == 4
    assert (facts["pictures"], facts["faces"], facts["method"]) == (11, 10, "graph")
    broken, faceless = facts["skipped"]
    assert "broken.jpg: not a picture, or damaged" in broken
    assert faceless.endswith("nobody.png: no face was found")
    face = facts["clusters"][1]["faces"][0]
    assert Path(face["picture"]).name in TWO
    assert len(face["box"]) == 4
    # More groups than people: those of Bob are one all the same.
    said = pile("cluster", pile.folder / "pile", "--k", "8", "--json")
    found = json.loads(said.out)["clusters"]
    assert [each["person"] for each in found].count("Bob") == 1
    assert f"8 groups were made; those of one known person are joined: {len(found)}" in said.err
    said = pile("cluster", pile.folder / "pile", "--k", "700")
    assert "--k 700: 10 faces make 10 groups at most" in said.err


@pytest.mark.parametrize(
    "options", [("--k", "3"), ("--method", "xmeans"), ("--method", "density"), ("--k", "AUTO")]
)
def test_every_way_to_group(pile: Place, options: tuple[str, ...]) -> None:
    for view in range(4, 8):
        picture = draw(3, noise=12, seed=view + 10)
        write_picture(pile.folder / f"pile/p3-{view}.png", picture)
    facts = json.loads(pile("cluster", pile.folder / "pile", "--json", *options).out)
    grouped = [{Path(f["picture"]).name for f in each["faces"]} for each in facts["clusters"]]
    assert set(TWO) in grouped
    assert set(ONE) in grouped


def test_a_second_run_puts_away_its_own_and_nothing_else(pile: Place) -> None:
    out = pile.folder / "out"
    assert pile("cluster", pile.folder / "pile", "--out", out).code == 0
    (out / "person-03/note.txt").write_text("mine")
    pile.enrol("Ada", 1)
    assert pile("cluster", pile.folder / "pile", "--out", out).code == 0
    assert names(out) == {
        "Ada": ONE,
        "person-01": TWO,
        "person-02": ["p3-0.png"],
        "person-03": ["note.txt"],
    }
    assert "person-03" not in (out / "index.html").read_text()


def test_a_folder_of_somebody_else_is_left_alone(pile: Place) -> None:
    out = pile.folder / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    said = pile("cluster", pile.folder / "pile", "--out", out)
    assert said.code == 2
    assert "is not empty, and was not made by porter cluster" in said.err
    assert [each.name for each in out.iterdir()] == ["thesis.txt"]
    assert pile("cluster", pile.folder / "pile", "--out", out, "--force").code == 0
    assert (out / "thesis.txt").read_text() == "years of work"
    assert "person-01" in names(out)


@pytest.mark.parametrize("name", ["index.html", "elbow.png", "clusters.json"])
def test_no_file_of_somebody_else_is_written_over(pile: Place, name: str) -> None:
    out = pile.folder / "out"
    out.mkdir()
    (out / name).write_text("mine")
    said = pile("cluster", pile.folder / "pile", "--out", out, "--force")
    assert said.code == 2
    assert f"--out: {out / name}: was not made by porter cluster" in said.err
    assert {each.name: each.read_text() for each in out.iterdir()} == {name: "mine"}


def test_what_an_earlier_run_wrote_cannot_point_elsewhere(pile: Place) -> None:
    victim = pile.folder / "victim"
    victim.mkdir()
    (victim / "a.txt").write_text("keep")
    out = pile.folder / "out"
    out.mkdir()
    (out / "link").symlink_to(victim)
    paths = ["../victim/a.txt", str(victim / "a.txt"), "link/a.txt", "link", "a/../../victim/a.txt"]
    facts: dict[str, Any] = {"made_by": "porter cluster", "written": paths}
    (out / "clusters.json").write_text(json.dumps(facts))
    (out / "person-01").symlink_to(victim)
    said = pile("cluster", pile.folder / "pile", "--out", out)
    assert said.code == 74
    assert "person-01: is there already, and no folder" in said.err
    assert [each.name for each in victim.iterdir()] == ["a.txt"]


def test_copies_and_equal_names(pile: Place) -> None:
    other = pile.folder / "other"
    other.mkdir()
    write_picture(other / "p1-0.png", draw(1, noise=12, seed=50))
    (other / "again.png").symlink_to(pile.folder / "pile/p1-1.png")
    out = pile.folder / "out"
    said = pile("cluster", pile.folder / "pile", other, "--out", out, "--copy")
    assert said.code == 0, said
    found = names(out)["person-01"]
    assert found == sorted([*ONE, "p1-0-2.png"]), "a link to a picture is no further one"
    assert not any(each.is_symlink() for each in (out / "person-01").iterdir())


def test_an_output_folder_inside_the_pile_is_no_part_of_it(pile: Place) -> None:
    folder = pile.folder / "pile"
    for _ in range(2):
        said = pile("cluster", folder, "--recursive", "--out", folder / "people", "--copy")
        assert said.code == 0, said
        assert names(folder / "people")["person-01"] == ONE


def test_faces_that_are_too_poor_are_listed_and_left_out(pile: Place) -> None:
    pile.configure("faces: {quality: {max_yaw: 10}}\n")
    aside = pile.photo("aside", 4, view="left")
    out = pile.folder / "out"
    said = pile("cluster", pile.folder / "pile", aside, "--out", out)
    assert said.code == 0, said
    assert re.search(r"aside\.png: left out: turned: ", said.err)
    facts = json.loads((out / "clusters.json").read_text())
    assert [each["reason"] for each in facts["left_out"]] == ["turned"]
    assert "not good enough to be compared" in (out / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 66, "cannot be read"),
        (["pile/nobody.png"], 66, "nobody.png: no face was found; skipped"),
        (["pile/broken.jpg"], 66, "no picture could be used"),
        (["pile", "--k", "0"], 2, "neither auto nor a number"),
        (["pile", "--k", "3", "--method", "xmeans"], 2, "finds out how many"),
        (["pile", "--copy"], 2, "need --out"),
        (["pile", "--out", "pile/broken.jpg"], 2, "is no folder"),
        (["pile", "--provider", "gpu"], 2, "--provider"),
    ],
)
def test_what_is_wrong_is_one_line(
    pile: Place, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(pile.folder)
    said = pile("cluster", *arguments)
    assert said.code == code, said
    assert message in said.err


def test_without_the_extra_one_line_says_how_to_install_it(
    pile: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    import daemon.cli.figures  # noqa: F401  (it must not bind what is put in the place)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = pile("cluster", pile.folder / "pile")
    assert said.code == 1
    assert (
        "porter cluster needs sklearn, scipy, matplotlib; in Porter's source folder: pip"
        in said.err
    )


def test_it_runs_without_what_training_needs(pile: Place) -> None:
    program = (
        "import sys\nfrom daemon.cli.main import main\n"
        f"sys.argv[1:] = ['cluster', {str(pile.folder / 'pile')!r}, '--json']\n"
        "try: main()\nexcept SystemExit as done: assert not done.code\n"
        "assert not {'torch', 'onnx', 'export'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["faces"] == 10


def test_an_empty_folder_and_a_pattern_without_a_match_are_skipped(pile: Place) -> None:
    empty, pattern = pile.folder / "empty", pile.folder / "*.webp"
    empty.mkdir()
    said = pile("cluster", empty, pile.folder / "pile", pattern, "--json")
    assert said.code == 0
    assert len(json.loads(said.out)["clusters"]) == 3
    assert f"{pattern}: no file fits this pattern; skipped" in said.err
    assert "4 of 13 pictures skipped" in said.err
