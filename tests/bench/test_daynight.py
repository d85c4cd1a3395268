"""The benchmark of day and night, on pictures and with a network of the test's own."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from click.testing import CliRunner

from bench.daynight import main
from tests.light import scene, write_light_model


def test_accuracy_by_class_beside_brightness_and_the_time(tmp_path: Path) -> None:
    model = write_light_model(tmp_path / "models")
    for name in ("day", "night"):
        (tmp_path / name).mkdir()
        for seed in range(4):
            wrong = name == "night" and seed == 3
            picture = scene((name == "night") != wrong, seed)
            cv2.imwrite(str(tmp_path / name / f"{seed}.png"), picture)
    (tmp_path / "day/broken.jpg").write_bytes(b"no picture")
    place = str(tmp_path)
    done = CliRunner().invoke(main, [place, "--learn", place, "--model", str(model), "--json"])
    assert done.exit_code == 0, done.exception
    facts = json.loads(done.stdout)
    for by in ("network", "brightness"):
        found = facts["folders"][place][by]
        assert (found["right"], found["of"]) == (7, 8)
        assert (found["day"], found["night"]) == (1.0, 0.75)
    assert 0 < facts["milliseconds"]["quickest"] <= facts["milliseconds"]["median"] < 100
    assert "broken.jpg: not a picture" in done.stderr
