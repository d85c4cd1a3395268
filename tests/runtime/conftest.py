"""Models and a running daemon for the tests of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models import write_tone_model
from tests.runtime.process import Daemon, base_environment, configuration
from tests.sounds import HIGH, LOW


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: `tones` (words low and high), `high`, and `careful` (a second look)."""
    folder = tmp_path_factory.mktemp("models")
    write_tone_model(folder, "tones", {"low": LOW, "high": HIGH})
    write_tone_model(folder, "high", {"high": HIGH})
    write_tone_model(folder, "careful", {"low": LOW}, verifier=True)
    return folder


@pytest.fixture
def environment(models: Path, tmp_path: Path) -> dict[str, str]:
    """The environment for a Porter that uses these models, with a gallery and socket of its own."""
    own = base_environment(models) | {"STATE_DIRECTORY": str(tmp_path / "state")}
    own.pop("XDG_RUNTIME_DIR", None)
    return own


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that listens with the model `tones`."""
    return configuration(tmp_path / "config.yaml")


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start `porter run` with arguments; it does not outlive the test."""
    running: list[Daemon] = []

    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Daemon:
        log = tmp_path / f"stderr-{len(running)}.txt"
        running.append(Daemon(arguments, environment | (env or {}), log))
        return running[-1]

    yield run
    for daemon in running:
        daemon.kill()
