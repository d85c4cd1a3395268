"""The daemon with objects switched on: it says what comes into view, and the door never hears."""

from __future__ import annotations

from pathlib import Path

from daemon.events import schema
from tests.faces import write_face_models
from tests.objects import street, write_colour_detector, write_video
from tests.runtime.process import Json, configuration, events, porter
from tests.schema import closed


def test_a_dog_and_a_person_are_said_once_each(environment: dict[str, str], tmp_path: Path) -> None:
    import jsonschema

    folder = tmp_path / "models"
    write_face_models(folder)
    write_colour_detector(folder)
    # Nothing for a second, a dog that walks, then a person beside it.
    pictures = [street()] * 10
    pictures += [street(("dog", 1 + tick // 5, 3)) for tick in range(20)]
    pictures += [street(("dog", 5, 3), ("person", 9 - tick // 5, 5)) for tick in range(20)]
    video = write_video(tmp_path / "walk.avi", pictures)
    objects = {"enabled": True, "classes": ["person", "dog"]}
    config = configuration(
        tmp_path / "c.yaml",
        audio={"enabled": False},
        camera={"enabled": True, "source": "file", "path": str(video), "pace": "fast"},
        objects=objects,
        door={"mode": "face"},
    )
    done = porter(
        "run", "--config", config, environment=environment | {"PORTER_MODELS": str(folder)}
    )
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    said = [each for each in found if each["type"] == "porter.object.seen"]
    assert [(each["data"]["object"], each["data"]["count"]) for each in said] == [
        ("dog", 1),
        ("person", 1),
    ]
    validator = jsonschema.Draft202012Validator(closed(schema()))
    for each in said:
        validator.validate(each)
    started: Json = found[0]["data"]
    assert "objects" in [each["name"] for each in started["models"]]
    assert not [each for each in found if each["type"] == "porter.door.unlocked"]


def test_objects_need_a_camera_and_classes_that_are_known(
    environment: dict[str, str], tmp_path: Path
) -> None:
    config = configuration(tmp_path / "c.yaml", objects={"enabled": True})
    done = porter("run", "--config", config, environment=environment)
    assert done.returncode == 78
    assert "c.yaml:2: objects.enabled: needs a camera" in done.stderr


def test_a_camera_on_the_command_line_serves_a_door_and_objects(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    write_face_models(folder)
    write_colour_detector(folder)
    video = write_video(tmp_path / "walk.avi", [street()] * 3)
    config = configuration(
        tmp_path / "c.yaml",
        audio={"enabled": False},
        objects={"enabled": True, "classes": ["person"]},
        door={"mode": "face"},
    )
    done = porter(
        "run", "--config", config, "--camera", video, "--fast",
        environment=environment | {"PORTER_MODELS": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert events(done.stdout)[0]["data"]["camera"].startswith(str(video))
