"""`porter listen`: the meter, the steps as JSON, and the picture."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.process import PORTER, porter
from tests.sounds import HIGH, LOW, scene, write


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write(tmp_path / "talk.wav", scene(5, {1.0: LOW, 2.5: HIGH}))


def test_paced_and_fast_give_the_same_probabilities(
    environment: dict[str, str], config: Path, sound: Path
) -> None:
    scores = []
    for pace in ([], ["--fast"]):
        done = porter(
            "listen", "--config", config, "--file", sound, "--json", *pace, environment=environment
        )
        assert done.returncode == 0, done.stderr
        steps = [json.loads(line) for line in done.stdout.splitlines()]
        assert [step["time"] for step in steps[:3]] == [0.08, 0.16, 0.24]
        scores.append(np.array([[*step["probability"].values()] for step in steps[:62]]))
        found = {step["time"]: step["detected"] for step in steps if step["detected"]}
        assert list(found.values()) == [["low"], ["high"]]
        assert list(found) == pytest.approx([1.2, 2.7], abs=0.12)
    np.testing.assert_allclose(*scores, atol=1e-4)
    assert scores[0].max() > 0.9


def test_plain_output_has_a_line_for_each_detection(
    environment: dict[str, str], config: Path, sound: Path
) -> None:
    done = porter("listen", "--config", config, "--file", sound, "--fast", environment=environment)
    detected = [line.split() for line in done.stdout.splitlines() if "detected" in line]
    assert [line[2] for line in detected] == ["low:", "high:"]
    assert "\x1b" not in done.stdout


def test_a_terminal_gets_a_meter_that_is_redrawn(
    environment: dict[str, str], config: Path, sound: Path
) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PORTER, "listen", "--config", str(config), "--file", str(sound), "--fast"],
        stdout=slave,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    os.close(slave)
    raw = b""
    try:
        while chunk := os.read(master, 4_096):
            raw += chunk
    except OSError:  # how a terminal ends
        pass
    assert process.wait(20) == 0
    text = raw.decode()
    assert "█" in text
    assert "│" in text
    assert "\x1b[2A" in text
    last = text.rsplit("\x1b[2A", 1)[1]
    assert last.count("heard 1") == 2


def test_the_picture_shows_the_detections(
    environment: dict[str, str], config: Path, sound: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    quiet = write(tmp_path / "quiet.wav", scene(5))
    pictures = []
    for number, path in enumerate((sound, quiet)):
        target = tmp_path / f"{number}.png"
        arguments = ("--config", config, "--file", path, "--fast", "--plot", target)
        done = porter("listen", *arguments, environment=environment)
        assert done.returncode == 0, done.stderr
        pictures.append(imread(target)[..., :3])
    with_tones, without = pictures
    assert with_tones.shape[0] > 500
    assert with_tones.shape[1] > 1_000
    # The line of a detection goes through all three parts of the picture.
    assert 1 <= marked_columns(with_tones) <= 4
    assert marked_columns(without) == 0


def marked_columns(picture: np.ndarray) -> int:
    """Columns of pixels that are nearly all in the colour of the first word."""
    blue = np.array([0x1F, 0x77, 0xB4]) / 255
    alike = np.abs(picture - blue).max(-1) < 0.2
    return int((alike.mean(0) > 0.7).sum())


def test_a_picture_that_cannot_be_written_is_an_output_error(
    environment: dict[str, str], config: Path, sound: Path
) -> None:
    pytest.importorskip("matplotlib")
    arguments = ("--config", config, "--file", sound, "--fast", "--plot", "/no/where.png")
    done = porter("listen", *arguments, environment=environment)
    assert done.returncode == 74
    assert done.stderr.splitlines()[-1] == (
        "porter: error: --plot: /no/where.png: cannot be written: No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("talk.wav", "is one of the recordings"),
        ("door.yaml", "no picture's name"),
        ("noend", "no picture's name"),
    ],
)
def test_a_picture_takes_no_other_file_s_place(
    environment: dict[str, str], config: Path, sound: Path, name: str, told: str
) -> None:
    taken = sound.with_name(name)
    taken.touch()
    before = taken.read_bytes()
    arguments = ("--config", config, "--file", sound, "--fast", "--plot", taken)
    done = porter("listen", *arguments, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"'--plot': {taken}" in done.stderr.replace("\n", " ") or name in done.stderr
    assert taken.read_bytes() == before


def test_without_matplotlib_the_extra_is_named(
    environment: dict[str, str], config: Path, sound: Path, tmp_path: Path
) -> None:
    hide = "import sys; sys.modules['matplotlib'] = None\n"
    main = "from daemon.cli.main import main; main()"
    arguments = ["listen", "--config", str(config), "--file", str(sound), "--plot", "x.png"]
    done = subprocess.run(
        [PORTER[0], "-c", hide + main, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "porter: error: --plot needs matplotlib; in Porter's source folder: "
        "pip install -c constraints.txt '.[plot]'"
    ]


@pytest.mark.parametrize("verb", ["run", "listen", "devices", "events"])
def test_help_shows_examples(environment: dict[str, str], verb: str) -> None:
    done = porter(verb, "--help", environment=environment)
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert f"porter {verb}" in done.stdout.partition("Examples:")[2]
