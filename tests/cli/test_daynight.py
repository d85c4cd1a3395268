"""`porter daynight`: pictures in, a line for each out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.conftest import Place
from tests.light import scene, write_light_model


@pytest.fixture
def seeing(place: Place) -> Place:
    """A place with a network, and a picture of day and of night."""
    write_light_model(place.folder / "own", "dusk")
    place.model = place.folder / "own/dusk.yaml"  # type: ignore[attr-defined]
    cv2.imwrite(str(place.folder / "noon.png"), scene(False, 1))
    cv2.imwrite(str(place.folder / "midnight.jpg"), scene(True, 1))
    return place


def lines(text: str) -> list[tuple[str, str, float]]:
    found = [line.split() for line in text.splitlines()]
    return [(Path(path).name, light, float(sure)) for path, light, sure in found]


def test_each_picture_has_a_line(seeing: Place) -> None:
    folder = seeing.folder
    said = seeing("daynight", "--model", seeing.model, folder / "noon.png", folder / "midnight.jpg")
    assert said.code == 0, said
    assert [(name, light) for name, light, _ in lines(said.out)] == [
        ("noon.png", "day"),
        ("midnight.jpg", "night"),
    ]
    assert all(sure > 0.9 for _, _, sure in lines(said.out))


def test_folders_patterns_and_json(seeing: Place) -> None:
    pictures = seeing.folder / "pictures"
    pictures.mkdir()
    for number in range(4):
        cv2.imwrite(str(pictures / f"{number}.png"), scene(number % 2 == 1, number))
    said = seeing("daynight", "--model", seeing.model, pictures)
    assert [light for _, light, _ in lines(said.out)] == ["day", "night"] * 2
    said = seeing("daynight", "--model", seeing.model, "--json", pictures / "[01].png")
    facts = json.loads(said.out)
    assert facts["model"] == "dusk 1"
    assert [(each["light"], each["night"] > 0.5) for each in facts["pictures"]] == [
        ("day", False),
        ("night", True),
    ]
    assert facts["skipped"] == []


def test_what_cannot_be_read_is_skipped_and_counted(seeing: Place) -> None:
    broken, empty = seeing.folder / "broken.jpg", seeing.folder / "empty.png"
    data = (seeing.folder / "midnight.jpg").read_bytes()
    broken.write_bytes(data[:40])
    empty.write_bytes(b"")
    good = seeing.folder / "noon.png"
    said = seeing("daynight", "--model", seeing.model, broken, good, empty)
    assert said.code == 0
    assert [name for name, _, _ in lines(said.out)] == ["noon.png"]
    assert "broken.jpg: not a picture, or damaged" in said.err
    assert "empty.png: the file is empty; skipped" in said.err
    assert "2 of 3 pictures skipped" in said.err
    said = seeing("daynight", "--model", seeing.model, broken)
    assert said.code == 66
    assert said.out == ""
    assert "no picture could be used" in said.err


def test_models_that_cannot_be_used_are_named(seeing: Place) -> None:
    picture = seeing.folder / "noon.png"
    said = seeing("daynight", "--model", "dawn", picture)
    assert said.code == 65
    assert "dawn: no such model" in said.err
    said = seeing("daynight", "--model", "facedetect", picture)
    assert said.code == 65
    assert "kind: must be 'daynight' here, not 'face-detector'" in said.err
    model = seeing.folder / "own/dusk.onnx"
    model.write_bytes(b"")
    said = seeing("daynight", "--model", seeing.model, picture)
    assert said.code == 65
    assert "dusk.onnx: empty; copy the model again" in said.err


def test_the_model_that_ships_knows_a_grey_noon_from_a_black_night(tmp_path: Path) -> None:
    """As a person would run it, in a process of its own, without PyTorch."""
    shades = np.linspace(235, 120, 120)[:, None, None] * np.array([1.0, 0.95, 0.9])
    day = np.repeat(shades, 160, 1).astype(np.uint8)
    night = np.full((120, 160, 3), 12, np.uint8)
    for x in range(20, 150, 30):
        cv2.circle(night, (x, 80), 3, (120, 220, 255), -1)
    cv2.imwrite(str(tmp_path / "day.png"), day)
    cv2.imwrite(str(tmp_path / "night.png"), night)
    program = (
        "import sys\nfrom daemon.cli.main import main\n"
        f"sys.argv[1:] = ['daynight', {str(tmp_path / 'day.png')!r}, "
        f"{str(tmp_path / 'night.png')!r}]\n"
        "try: main()\nexcept SystemExit as done: assert not done.code\n"
        "assert not {'torch', 'onnx', 'export'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [light for _, light, _ in lines(done.stdout)] == ["day", "night"]


def test_an_empty_folder_and_a_pattern_without_a_match_are_skipped(seeing: Place) -> None:
    empty, pattern = seeing.folder / "empty", seeing.folder / "*.webp"
    empty.mkdir()
    said = seeing("daynight", "--model", seeing.model, empty, seeing.folder / "noon.png", pattern)
    assert said.code == 0
    assert [light for _, light, _ in lines(said.out)] == ["day"]
    assert f"{pattern}: no file fits this pattern; skipped" in said.err
    assert "2 of 3 pictures skipped" in said.err
