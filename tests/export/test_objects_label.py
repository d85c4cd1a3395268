"""Sets of labelled pictures: how `porter-export label` makes them, and how they are read."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from daemon.errors import SourceError
from daemon.inference import CPU
from daemon.vision.objects.detector import open_object_detector
from daemon.vision.objects.names import CLASSES
from export.cli import cli
from export.objects.evaluate import read_marked
from export.objects.label import Storage, label, merge
from export.objects.material import read
from tests.faces import write_picture
from tests.objects import COLOURS, street, write_colour_detector


def test_two_looks_are_merged() -> None:
    one = np.float32([[0, 0, 10, 10, 0.8, 0], [50, 50, 10, 10, 0.6, 1]])
    two = np.float32([[0, 0, 10, 12, 0.4, 0], [50, 50, 10, 10, 0.6, 2]])
    rows = merge(one, two)
    assert rows[:, 4].tolist() == pytest.approx([0.6, 0.3, 0.3])
    assert rows[0, 3] == pytest.approx(10 + 2 / 3)


def test_labelled_pictures_are_read_as_they_were_written(tmp_path: Path) -> None:
    # Cameras number their pictures anew every day: names say nothing.
    days = [tmp_path / day / "images" for day in ("monday", "tuesday", "friday")]
    for day in days:
        day.mkdir(parents=True)
    pictures = [
        write_picture(day / "0001.png", street(("dog", n + 1, 3))) for n, day in enumerate(days)
    ]
    (tmp_path / "bad.jpg").write_bytes(b"")
    detector = open_object_detector(write_colour_detector(tmp_path / "m"), [CPU])
    storage = Storage(side=160, quality=90)
    counts = label([*pictures, tmp_path / "bad.jpg"], detector, tmp_path / "set.tar", storage)
    assert counts["dog"] == 3
    found = read([tmp_path / "set.tar"], 160)
    assert len(found) == 3
    assert found.sizes.tolist() == [[160, 128]] * 3
    for number in range(3):
        assert found.labels[number, 0] == CLASSES.index("dog")
        assert found.scores[number].gt(0).sum() == 1
        expected = [16 * (number + 1), 48, 16 * (number + 2), 64]
        assert found.boxes[number, 0].tolist() == pytest.approx(expected, abs=1)
        assert found.images[number, :, 56, 16 * (number + 1) + 8].tolist() == pytest.approx(
            COLOURS["dog"], abs=25
        )
    some = read([tmp_path / "set.tar"], 160, 2)
    assert (some.images == found.images[::2]).all()


def test_a_picture_that_cannot_be_decoded_is_left_out(tmp_path: Path) -> None:
    names = ["0.png", "1.png", "2.png"]
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for number, name in enumerate(names):
            picture = write_picture(tmp_path / name, np.full((40, 60, 3), 80 * number, np.uint8))
            if number == 1:
                picture.write_bytes(b"no picture")
            tar.add(picture, name)
    described = {
        "images": [
            {"id": n, "file_name": name, "width": 60, "height": 40} for n, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"image_id": n, "category_id": 1, "bbox": [n, 0, 9, 9]} for n in range(3)],
    }
    (tmp_path / "set.json").write_text(json.dumps(described))
    found = read([tmp_path / "set.tar"], 64)
    assert found.images[:, 0, 20, 30].tolist() == [0, 160]
    assert found.boxes[:, 0, 0].tolist() == [0, 2]


@pytest.mark.parametrize("damage", ["no json", "bad json", "cut tar"])
def test_a_damaged_set_is_named(tmp_path: Path, damage: str) -> None:
    with tarfile.open(tmp_path / "set.tar", "w"):
        pass
    empty = '{"images": [], "annotations": [], "categories": []}'
    if damage != "no json":
        (tmp_path / "set.json").write_text("{" if damage == "bad json" else empty)
    if damage == "cut tar":
        (tmp_path / "set.tar").write_bytes(b"x" * 100)
    for reader in (lambda: read([tmp_path / "set.tar"], 64),
                   lambda: read_marked(tmp_path / "set.tar")):  # fmt: skip
        with pytest.raises(SourceError, match=r"set\.tar"):
            reader()


def boxes_of(path: Path) -> list[tuple[str, list[float], float]]:
    described = json.loads(path.with_suffix(".json").read_text())
    return [
        (CLASSES[each["category_id"] - 1], each["bbox"], each["score"])
        for each in described["annotations"]
    ]


@pytest.mark.parametrize("layout", ["train/images", "images/train"])
def test_what_people_drew_counts_instead_of_what_the_teacher_finds(
    tmp_path: Path, layout: str
) -> None:
    picture = street(("dog", 1, 3), ("person", 5, 3), ("person", 8, 3))
    path = tmp_path / layout / "door.png"
    path.parent.mkdir(parents=True)
    write_picture(path, picture)
    file = tmp_path / layout.replace("images", "labels") / "door.txt"
    file.parent.mkdir(parents=True)
    # The dog is a backpack to them; another number; an outline of three points.
    file.write_text("0 0.15 0.4375 0.1 0.125\n7 0.5 0.5 0.1 0.1\n0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    card = write_colour_detector(tmp_path / "m")
    target = tmp_path / "set.tar"
    arguments = ["label", str(path), "--teacher", str(card), "--out", str(target)]
    done = CliRunner().invoke(cli, [*arguments, "--drawn", "0=backpack"])
    assert done.exit_code == 0, done.output
    found = boxes_of(target)
    assert [name for name, *_ in found] == ["backpack", "person", "person"]
    assert found[0][1:] == ([32.0, 96.0, 32.0, 32.0], 1.0)
    done = CliRunner().invoke(cli, [*arguments, "--drawn", "7=person"])
    assert done.exit_code == 0, done.output
    # They marked all people that there are for them; of dogs they said nothing.
    assert [name for name, *_ in boxes_of(target)] == ["person", "dog"]
    file.write_text("0 a b c d\n")
    done = CliRunner().invoke(cli, [*arguments, "--drawn", "0=backpack"])
    assert "door.txt: no boxes in YOLO's layout" in done.output
    assert "; skipped" in done.output
    assert boxes_of(target) == []


def test_a_class_that_people_cannot_have_drawn_is_refused(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "door.png", street())
    arguments = ["label", str(picture), "--teacher", "x", "--out", str(tmp_path / "set.tar")]
    done = CliRunner().invoke(cli, [*arguments, "--drawn", "0=wallet"])
    assert done.exit_code == 2
    assert "'0=wallet' is not NUMBER=CLASS; classes are person, bicycle" in done.output
