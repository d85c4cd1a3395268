"""A place for commands: small networks, a configuration, a state directory, drawn faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.cli.main import porter
from daemon.errors import PorterError
from tests.faces import draw, write_face_models, write_picture


@dataclass
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@dataclass
class Place:
    """Where commands run."""

    folder: Path

    def __call__(self, *arguments: object, **options: Any) -> Said:
        """Run `porter`, in this process, as `main` would."""
        result = CliRunner().invoke(porter, [str(each) for each in arguments], **options)
        error = result.exception
        if isinstance(error, PorterError):
            return Said(error.exit_code, result.stdout, result.stderr + f"error: {error}\n")
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return Said(result.exit_code, result.stdout, result.stderr)

    def photo(self, name: str, *people: int, **look: Any) -> Path:
        """A picture of people."""
        return write_picture(self.folder / f"{name}.png", draw(*people, **look))

    def configure(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text)

    def enrol(self, name: str, person: int, count: int = 3) -> None:
        photos = [self.photo(f"{name}-{n}", person, noise=12, seed=n) for n in range(count)]
        said = self("enroll", name, *photos)
        assert said.code == 0, said


@pytest.fixture(scope="session")
def face_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_face_models(tmp_path_factory.mktemp("models"))
    return write_face_models(folder, encoder="other", seed=8)


@pytest.fixture
def place(
    tmp_path: Path, face_models: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    monkeypatch.setenv("PORTER_MODELS", str(face_models))
    monkeypatch.setenv("PORTER_CONFIG", str(tmp_path / "config.yaml"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    found = Place(tmp_path)
    found.configure("inference: {provider: cpu}\n")
    return found
