"""The daemon tells day from night, as a process of its own; the network goes by brightness."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from tests.faces import draw, write_face_models
from tests.light import scene, write_light_model
from tests.runtime.process import Daemon, Json, base_environment, events, porter
from tests.vision.pictures import Stream, write_video


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_face_models(tmp_path_factory.mktemp("models"))
    write_light_model(folder)
    return folder


@pytest.fixture
def environment(networks: Path, tmp_path: Path) -> dict[str, str]:
    own = base_environment(networks) | {"STATE_DIRECTORY": str(tmp_path / "state")}
    own.pop("XDG_RUNTIME_DIR", None)
    return own


def settings(path: Path, camera: Json, **light: Any) -> Path:
    content = {
        "audio": {"enabled": False},
        "camera": {"enabled": True} | camera,
        "light": {"enabled": True, "model": "dusk", "interval_seconds": 0.5, "hold_seconds": 2.0}
        | light,
    }
    path.write_text(yaml.safe_dump(content))
    return path


def video(path: Path, *spans: tuple[bool, float]) -> Json:
    """A video of still scenes: night or not, and for how many seconds."""
    pictures = [scene(night, 3) for night, seconds in spans for _ in range(round(10 * seconds))]
    return {"source": "file", "path": str(write_video(path, pictures)), "pace": "fast"}


def changes(found: list[Json]) -> list[Json]:
    return [each["data"] for each in found if each["type"] == "porter.light.changed"]


def test_it_gets_dark_once_and_a_headlight_changes_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    camera = video(
        tmp_path / "dusk.avi", (False, 5), (True, 1), (False, 4), (True, 5), (False, 1), (True, 3)
    )
    config = settings(tmp_path / "config.yaml", camera)
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert "dusk" in [each["name"] for each in found[0]["data"]["models"]]
    first, second = changes(found)
    assert (first["light"], first["previous"], first["lasted"]) == ("day", None, None)
    assert (second["light"], second["previous"]) == ("night", "day")
    assert second["lasted"] == pytest.approx(12.0, abs=0.6)
    assert second["probability"] > 0.7
    assert all(
        each["source"].endswith("/camera") for each in found if each["type"].endswith("changed")
    )


def test_black_pictures_are_no_night(environment: dict[str, str], tmp_path: Path) -> None:
    pictures = [scene(False, 1)] * 20 + [np.zeros((120, 160, 3), np.uint8)] * 60
    path = write_video(tmp_path / "covered.avi", pictures)
    camera = {"source": "file", "path": str(path), "pace": "fast"}
    config = settings(tmp_path / "config.yaml", camera)
    done = porter("run", "--config", config, environment=environment)
    assert [each["light"] for each in changes(events(done.stdout))] == ["day"]


def test_without_the_setting_nobody_asks_for_the_light(
    environment: dict[str, str], tmp_path: Path
) -> None:
    camera = video(tmp_path / "v.avi", (True, 2))
    config = settings(tmp_path / "config.yaml", camera, enabled=False, model="missing")
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode == 0, done.stderr
    assert changes(events(done.stdout)) == []


def test_a_command_of_its_own_runs_for_each_light(
    environment: dict[str, str], tmp_path: Path
) -> None:
    def note(name: str) -> list[str]:
        script = (
            "import os, pathlib, sys; "
            "pathlib.Path(sys.argv[1]).write_text(os.environ['PORTER_EVENT'])"
        )
        return [sys.executable, "-c", script, str(tmp_path / name)]

    camera = video(tmp_path / "v.avi", (False, 3), (True, 4))
    lights = {"day": {"run": note("day")}, "night": {"run": {"command": note("night")}}}
    config = settings(tmp_path / "config.yaml", camera, **lights)
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode == 0, done.stderr
    for name in ("day", "night"):
        assert json.loads((tmp_path / name).read_text())["data"]["light"] == name


def test_what_is_set_for_the_night_holds_at_night_only(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The same face is too dark for the usual rule, and good enough for that of the night."""
    face = draw(1)
    height, width = face.shape[:2]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(80):
        picture = np.full((2 * height, 2 * width, 3), 5 if number >= 40 else 220, np.uint8)
        picture[:height, :width] = face
        picture[-8:, -8:] = number  # no picture is the same as the one before
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
    config = settings(
        tmp_path / "config.yaml",
        {"source": "folder", "path": str(folder), "pace": "fast", "motion": {"enabled": False}},
        night={"min_brightness": 0.0, "fmr": 1e-3},
        night_above=0.5,
    )
    rules = yaml.safe_load(config.read_text()) | {"faces": {"quality": {"min_brightness": 0.9}}}
    config.write_text(yaml.safe_dump(rules))
    done = porter("run", "--config", config, environment=environment)
    found = events(done.stdout)
    kinds = [each["type"].removeprefix("porter.") for each in found]
    assert kinds.count("light.changed") == 2, done.stderr
    night = len(kinds) - 1 - kinds[::-1].index("light.changed")
    assert "face.rejected" in kinds[:night]
    assert "face.unknown" not in kinds[:night]
    unknown = found[kinds.index("face.unknown", night)]["data"]
    assert unknown["threshold"] == 0.7, "that of the false match rate at night"


@pytest.mark.parametrize(
    ("light", "code", "said"),
    [
        ({"model": "missing"}, 65, "missing: no such model"),
        ({"model": "facedetect"}, 65, "kind: must be 'daynight' here"),
        ({"night": {"fmr": 0.0333}}, 78, "light.night.fmr: model face has no threshold"),
        ({"day_below": 0.8}, 78, "light.day_below: must be below night_above, which is 0.7"),
        ({"night": {"exposure": 3}}, 78, "light.night.exposure: unknown setting"),
        ({"night": {"run": []}}, 78, "light.night.run"),
        ({"interval_seconds": 0}, 78, "light.interval_seconds: must be greater than"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(
    environment: dict[str, str], tmp_path: Path, light: Json, code: int, said: str
) -> None:
    config = settings(tmp_path / "config.yaml", video(tmp_path / "v.avi", (False, 1)), **light)
    done = porter("run", "--config", config, environment=environment)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_reload_keeps_what_is_known_and_takes_new_rules(
    start: Callable[..., Daemon], environment: dict[str, str], tmp_path: Path
) -> None:
    stream = Stream(fps=10)
    stream.picture = scene(False, 1)
    stream.start()
    camera = {"source": "stream", "url": stream.url}
    config = settings(tmp_path / "config.yaml", camera, hold_seconds=600.0)
    daemon = start("--config", config, env=environment)
    assert daemon.wait_for("porter.light.changed")["data"]["light"] == "day"
    settings(config, camera, hold_seconds=0.5, night={"motion_threshold": 0.5})
    deadline = time.monotonic() + 20
    while "reloaded" not in daemon.errors():  # it does not before its first picture is done with
        assert time.monotonic() < deadline, daemon.errors()
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
    stream.picture = scene(True, 1)
    changed = daemon.wait_for("porter.light.changed")["data"]
    assert (changed["light"], changed["previous"]) == ("night", "day")
    daemon.stop()
    stream.cut()
