"""Strangers at the door of a running daemon: kept when asked for, and never in the door's way."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import cv2
import pytest

from daemon.vision.video import VideoSource
from tests.runtime.process import Json, events, porter
from tests.runtime.test_doorkeeper import NAME, VIDEO, enrol, of, settings

SHOWN = [*range(40, 46), *range(80, 95), *range(124, 134), *range(160, 180), *range(210, 220)]
"""Pictures of the video, ten a second: nobody, who is enrolled, nobody, the stranger, nobody."""


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Both people, one after the other, in a folder of pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    source = VideoSource(VIDEO, 10, paced=False)
    source.open()
    number = 0
    while (frame := source.read()) is not None:
        if number in SHOWN:
            cv2.imwrite(str(folder / f"{number:03}.png"), frame.image)
        number += 1
    source.close()
    return {"enabled": True, "source": "folder", "path": str(folder), "pace": "fast"}


def run(environment: dict[str, str], config: Path) -> tuple[list[Json], str]:
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode == 0, done.stderr
    return events(done.stdout), done.stderr


def ask(environment: dict[str, str], config: Path, *words: str) -> str:
    done = porter("visitors", *words, "--config", config, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stranger_is_kept_and_who_is_enrolled_is_not(
    environment: dict[str, str], tmp_path: Path, camera: Json
) -> None:
    config = settings(tmp_path / "c.yaml", camera=camera, visitors={"enabled": True})
    enrol(environment, config)
    found, _ = run(environment, config)
    assert {each["person"] for each in of(found, "face.recognized")} == {NAME}
    (stranger,) = json.loads(ask(environment, config, "--json"))["strangers"]
    assert (stranger["number"], stranger["visits"], stranger["person"]) == (1, 1, None)
    assert ask(environment, config).startswith("stranger 1: 1 visit, ")
    # The same pictures once more, later: the same stranger.
    settings(
        config, camera=camera, visitors={"enabled": True, "visit_minutes": 0.0, "keep_days": 1}
    )
    run(environment, config)
    (again,) = json.loads(ask(environment, config, "--json"))["strangers"]
    assert again["visits"] >= 2
    missing = porter("visitors", "forget", "2", "--config", config, environment=environment)
    assert missing.returncode == 67
    assert "no such stranger" in missing.stderr
    assert "erased" in ask(environment, config, "forget", "1")
    assert json.loads(ask(environment, config, "--json")) == {"strangers": []}


def test_switched_off_nothing_is_written(
    environment: dict[str, str], tmp_path: Path, camera: Json
) -> None:
    config = settings(tmp_path / "c.yaml", camera=camera)
    found, _ = run(environment, config)
    assert of(found, "face.unknown")
    assert not list(Path(environment["STATE_DIRECTORY"]).glob("visitors*"))
    done = porter("visitors", "--config", config, environment=environment)
    assert (done.returncode, done.stdout) == (0, "")
    assert "visitors.enabled is false" in done.stderr
    assert ask(environment, config, "forget", "--all") == "nothing was kept\n"


@pytest.mark.parametrize("trouble", ["damaged", "held"])
def test_a_file_in_trouble_costs_a_line_and_the_door_opens(
    environment: dict[str, str], tmp_path: Path, camera: Json, trouble: str
) -> None:
    config = settings(tmp_path / "c.yaml", camera=camera, visitors={"enabled": True})
    enrol(environment, config)
    path = Path(environment["STATE_DIRECTORY"]) / "visitors.db"
    held = None
    if trouble == "held":
        run(environment, config)
        held = sqlite3.connect(path, isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
    else:
        path.write_bytes(b"no visitors" * 1000)
    found, errors = run(environment, config)
    if held is not None:
        held.close()
    assert of(found, "door.unlocked")
    assert of(found, "face.unknown")
    assert "Traceback" not in errors
    if trouble == "damaged":
        assert errors.count("visitors are not kept") == 1
        assert f"{path}: damaged" in errors
