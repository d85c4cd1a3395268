"""Smoke tests of training take no place of a model that ships, unless they are told to.

They run in an empty folder: what they need of the models that ship is found from anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from export.cli import cli

RUNS = {
    "daynight": "export.daynight.cli.run",
    "objects": "export.objects.recipe.run_quick",
    "features": "export.features.cli.run",
    "style": "export.style.cli.run",
    "facedetect": "export.faces.cli.run",
    "embed": "export.embedding.cli.gather",
    "wake": "export.wake.cli.run",
    "wordembed": "export.wordembed.cli.run",
    "landmarks": "export.landmarks.cli.run",
}


class Reached(Exception):
    """Training would begin."""


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Calls a command up to where it would train; returns what it trains with, and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("load", "recipe_of", "taught_by"):
        monkeypatch.setattr(f"export.trunk.train.{name}", lambda _: None)

    def call(command: str, *more: object) -> tuple[list[object], str]:
        given: list[object] = []

        def run(*arguments: object, **_: object) -> None:
            given.extend(arguments)
            raise Reached

        monkeypatch.setattr(RUNS[command], run)
        if command == "wake":
            more = ("--word", "marmalade", *more)
        if command == "style":
            (tmp_path / "scene.png").touch()
            more = ("--style", tmp_path / "scene.png", *more)
        found = CliRunner().invoke(cli, [command, "--quick", *map(str, more)])
        assert isinstance(found.exception, Reached), (found.output, found.exception)
        return given, found.stderr

    return call


@pytest.mark.parametrize("command", sorted(RUNS))
def test_without_out_the_models_that_ship_stay(begin: Any, tmp_path: Path, command: str) -> None:
    given, said = begin(command, "--work", tmp_path / "work")
    own = tmp_path / "work/quick-models"
    assert f"smoke test: what is trained goes to {own}\n" in said
    if command == "landmarks":
        assert own / "facedetect.yaml" in given
        assert (own / "facedetect.onnx").is_file()
    elif command != "embed":  # which has not asked for it yet
        assert own in given
    assert Path("models") not in given


@pytest.mark.parametrize("command", ["daynight", "objects", "features", "wake"])
def test_an_out_that_is_given_is_taken(begin: Any, tmp_path: Path, command: str) -> None:
    given, said = begin(command, "--out", tmp_path / "models")
    assert tmp_path / "models" in given
    assert "smoke test" not in said
