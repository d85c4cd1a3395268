"""A wheel holds all that the daemon needs, and finds it without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from daemon.config import Config, load_config
from daemon.paths import default_config, shipped_models

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("porter-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def porter(installed: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name[:7] != "PORTER_"}
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli.main", *map(str, arguments)],
        cwd=installed.parent,
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )


def test_the_wheel_has_the_default_configuration(installed):
    share = installed / "daemon/share"
    done = porter(installed, "config", "path")
    assert done.stdout in (f"{share}/config.yaml\n", "/etc/porter/config.yaml\n"), done.stderr
    assert (share / "config.yaml").read_bytes() == default_config().read_bytes()
    assert load_config(share / "config.yaml") == Config()


def test_the_wheel_has_every_model_that_ships(installed):
    share = installed / "daemon/share"
    cards = "".join(path.read_text() for path in shipped_models().glob("*.yaml"))
    for path in shipped_models().glob("*.*"):
        assert (share / "models" / path.name).read_bytes() == path.read_bytes()
        assert path.suffix != ".onnx" or f"file: {path.name}\n" in cards
    done = porter(installed, "config", "check", share / "config.yaml")
    assert done.returncode == 0, done.stderr


def test_the_wheel_has_nothing_else(installed):
    tops = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"daemon", "export"}
    assert not list(installed.rglob("test_*"))
    assert not list(installed.rglob("__pycache__"))
