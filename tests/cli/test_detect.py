"""`porter detect`: objects in pictures and videos, from the command line."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import cv2
import pytest

from tests.cli.conftest import Place
from tests.faces import write_picture
from tests.objects import CELL, street, write_colour_detector, write_video

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def street_place(place: Place) -> Place:
    model = write_colour_detector(place.folder / "models")
    place.configure(f"inference: {{provider: cpu}}\nobjects: {{model: {model}}}\n")
    return place


def test_a_line_for_each_object(street_place: Place) -> None:
    file = write_picture(street_place.folder / "a.png", street(("dog", 2, 3), ("person", 7, 5)))
    said = street_place("detect", file)
    assert said.code == 0
    dog, person = sorted(said.out.splitlines())
    assert dog.startswith(f"{file}: dog 1.00 at {2 * CELL},{3 * CELL} {CELL}x{CELL}")
    assert person.startswith(f"{file}: person")


def test_json_is_coco_and_what_cannot_be_read_is_skipped_and_counted(street_place: Place) -> None:
    folder = street_place.folder / "pictures"
    folder.mkdir()
    write_picture(folder / "a.png", street(("dog", 2, 3)))
    write_picture(folder / "c.png", street())
    (folder / "b.jpg").write_bytes(b"no picture")
    said = street_place("detect", folder, folder / "none.jpg", "--json")
    assert said.code == 0
    assert "b.jpg: not a picture, or damaged" in said.err
    assert "2 of 4 pictures skipped" in said.err
    facts = json.loads(said.out)
    assert [Path(each["file_name"]).name for each in facts["images"]] == ["a.png", "c.png"]
    assert [message.partition(":")[0] for message in facts["skipped"]] == [
        str(folder / "b.jpg"),
        str(folder / "none.jpg"),
    ]
    assert not facts["interrupted"]
    (found,) = facts["annotations"]
    names = {each["id"]: each["name"] for each in facts["categories"]}
    assert names[found["category_id"]] == "dog"
    assert found["image_id"] == facts["images"][0]["id"]
    assert found["bbox"] == pytest.approx([2 * CELL, 3 * CELL, CELL, CELL], abs=1)
    assert found["score"] > 0.9


def test_pictures_are_drawn_and_equal_names_do_not_collide(street_place: Place) -> None:
    out = street_place.folder / "out"
    for name in ("one", "two"):
        (street_place.folder / name).mkdir()
        write_picture(street_place.folder / name / "a.png", street(("dog", 2, 3)))
    said = street_place("detect", street_place.folder / "one", f"{street_place.folder}/t*/*.png",
                        "--out", out)  # fmt: skip
    assert said.code == 0
    assert sorted(each.name for each in out.iterdir()) == ["a-2.jpg", "a.jpg", "objects.json"]
    drawn = cv2.imread(str(out / "a.jpg"))
    assert drawn is not None
    edge = drawn[3 * CELL + CELL // 2, 2 * CELL]
    assert edge.tolist() != pytest.approx([90, 90, 90], abs=20), "a box is drawn there"


def test_a_video_is_looked_at_and_drawn_from_end_to_end(street_place: Place) -> None:
    pictures = [street(("dog", column, 3)) for column in range(6)]
    video = write_video(street_place.folder / "walk.avi", pictures)
    out = street_place.folder / "out"
    said = street_place("detect", video, "--json", "--out", out)
    assert said.code == 0
    facts = json.loads(said.out)
    assert [each["frame"] for each in facts["images"]] == list(range(6))
    assert facts["images"][5]["seconds"] == pytest.approx(0.5)
    left = [each["bbox"][0] for each in facts["annotations"]]
    assert left == pytest.approx([CELL * column for column in range(6)], abs=2)
    drawn = cv2.VideoCapture(str(out / "walk.mp4"))
    assert int(drawn.get(cv2.CAP_PROP_FRAME_COUNT)) == 6


@pytest.mark.parametrize("with_picture", [False, True])
def test_videos_of_a_folder_are_looked_at(street_place: Place, with_picture: bool) -> None:
    folder, out = street_place.folder / "day", street_place.folder / "out"
    folder.mkdir()
    write_video(folder / "walk.avi", [street(("dog", column, 3)) for column in range(3)])
    if with_picture:
        write_picture(folder / "a.png", street(("dog", 2, 3)))
    said = street_place("detect", folder, "--json", "--out", out)
    assert said.code == 0
    assert len(json.loads(said.out)["images"]) == 3 + with_picture
    assert (out / "walk.mp4").is_file()


def test_a_video_that_is_cut_short_is_used_and_not_skipped(street_place: Place) -> None:
    pictures = [street(("dog", number % 6, 3)) for number in range(40)]
    video = write_video(street_place.folder / "half.avi", pictures)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    said = street_place("detect", video, street_place.folder / "none.avi", "--json")
    assert said.code == 0
    assert 0 < len(json.loads(said.out)["images"]) < 36
    assert f"{video}: truncated: " in said.err
    assert "are there; cut short there, what comes before is used" in said.err
    assert "1 of 2 pictures skipped" in said.err


def test_nothing_that_can_be_read_is_an_error(street_place: Place) -> None:
    (street_place.folder / "a.mp4").write_bytes(b"")
    said = street_place("detect", street_place.folder / "a.mp4")
    assert said.code == 66
    assert "the file is empty; skipped" in said.err


def test_a_folder_that_cannot_be_made_is_named(street_place: Place) -> None:
    file = write_picture(street_place.folder / "a.png", street())
    said = street_place("detect", file, "--out", file / "out")
    assert said.code == 74


@pytest.mark.parametrize("given", ["same", "links", "same/*.jpg"])
def test_what_is_looked_at_is_never_written_over(street_place: Place, given: str) -> None:
    same, links = street_place.folder / "same", street_place.folder / "links"
    same.mkdir()
    links.mkdir()
    picture = write_picture(same / "a.jpg", street(("dog", 2, 3)))
    (links / "b.jpg").symlink_to(picture)
    before = picture.read_bytes()
    said = street_place("detect", street_place.folder / given, "--out", f"{links}/../same")
    assert said.code == 2
    assert "choose another folder with --out" in said.err
    assert picture.read_bytes() == before
    assert list(same.iterdir()) == [picture]


@pytest.mark.parametrize("threshold", ["nan", "inf", "0", "1", "-0.5"])
def test_a_threshold_is_a_number_between_0_and_1(street_place: Place, threshold: str) -> None:
    said = street_place("detect", street_place.folder / "a.png", "--threshold", threshold)
    assert said.code == 2
    assert "--threshold" in said.err


def test_an_empty_folder_and_a_pattern_without_a_match_are_skipped(street_place: Place) -> None:
    empty, pattern = street_place.folder / "empty", street_place.folder / "*.webp"
    empty.mkdir()
    file = write_picture(street_place.folder / "a.png", street(("dog", 2, 3)))
    said = street_place("detect", empty, file, pattern)
    assert said.code == 0
    assert said.out.startswith(f"{file}: dog")
    assert f"{empty}: holds no pictures" in said.err
    assert f"{pattern}: no file fits this pattern; skipped" in said.err
    assert "2 of 3 pictures skipped" in said.err
    said = street_place("detect", empty, pattern)
    assert said.code == 66
    assert "2 of 2 pictures skipped" in said.err
    assert "no picture could be used" in said.err
    said = street_place("detect", empty)
    assert said.code == 66
    assert "error: " in said.err
    assert "skipped" not in said.err


def test_an_interruption_keeps_what_was_found_and_lines_stand_apart_from_the_bar(
    street_place: Place,
) -> None:
    video = write_video(street_place.folder / "walk.avi", [street(("dog", 2, 3))] * 2000)
    out = street_place.folder / "out"
    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [
            sys.executable, "-m", "daemon.cli.main", "detect", str(video), "--out", str(out),
            "--config", str(street_place.folder / "config.yaml"),
        ],
        cwd=ROOT, stdout=end, stderr=end, text=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(end)
    shown = b""
    while shown.count(b"walk.avi at ") < 40:
        shown += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    with suppress(OSError):  # EIO is how the end of a terminal reads
        while piece := os.read(terminal, 4096):
            shown += piece
    os.close(terminal)
    assert process.wait(30) == 130
    text = shown.decode()
    assert "Traceback" not in text
    assert text.rstrip().endswith("interrupted")
    assert re.search(r"walk\.avi: +\d+%", text), "the bar is shown"
    for line in re.findall(r"[^\r\n]*walk\.avi at [^\r\n]*", text):
        assert line.startswith(str(video)), "nothing of the bar is left before it"
    facts = json.loads((out / "objects.json").read_text())
    assert facts["interrupted"]
    assert 40 <= len(facts["images"]) < 2000
    drawn = cv2.VideoCapture(str(out / "walk.mp4"))
    assert int(drawn.get(cv2.CAP_PROP_FRAME_COUNT)) == pytest.approx(len(facts["images"]), abs=1)


def test_no_torch_is_needed(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png", street(("dog", 2, 3)))
    model = write_colour_detector(tmp_path / "models")
    program = (
        "import sys\nfrom daemon.cli.main import porter\n"
        f"try: porter(['detect', {str(picture)!r}, '--model', {str(model)!r}])\n"
        "except SystemExit as done: assert not done.code\n"
        "assert 'onnxruntime' in sys.modules and 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ": dog 1.00" in done.stdout
