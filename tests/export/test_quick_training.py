"""A word is trained from nothing but formant voices, by the command, and the result hears it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml

from daemon.audio.features import HOP
from daemon.cards import load_wake_card
from export.data.casting import cast
from export.data.speech import say

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (shutil.which("espeak-ng") and shutil.which("flite")),
        reason="speech engines are missing: apt-get install espeak-ng flite",
    ),
]


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "export.cli", *arguments], capture_output=True, text=True, cwd=ROOT
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quick")
    began = time.monotonic()
    done = export(
        *("wake", "--word", "marmalade", "--quick"),
        *("--out", str(folder / "models"), "--work", str(folder / "work")),
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "marmalade.yaml" in done.stdout
    print(f"quick training took {time.monotonic() - began:.0f} s")
    return folder


def peak(session: onnxruntime.InferenceSession, text: str, voice: int) -> float:
    sound = say(cast(text, "espeak", 30, seed=31)[voice])
    quiet = 1e-4 * np.random.default_rng(voice).standard_normal(32_000 + len(sound))
    clip = quiet.astype(np.float32)
    clip[16_000 : 16_000 + len(sound)] += 0.4 * sound
    clip = clip[: len(clip) // HOP * HOP]
    state = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()[1:]}
    return float(session.run(["probability"], {"pcm": clip[None], **state})[0].max())


def test_a_word_is_learnt(trained: Path) -> None:
    card = load_wake_card(trained / "models" / "marmalade.yaml")
    session = onnxruntime.InferenceSession(str(card.path), providers=["CPUExecutionProvider"])
    said = [peak(session, "marmalade", voice) for voice in range(15)]
    other = [
        peak(session, text, voice)
        for voice, text in enumerate(
            ["kitchen window", "seventeen", "paradise", "camera", "lemonade"] * 3
        )
    ]
    # A voice that was not trained on says the word: the ranks tell, not one threshold.
    wins = np.mean([a > b for a in said for b in other])
    assert wins > 0.85, (said, other)


def test_the_card_tells_what_was_done(trained: Path) -> None:
    card = yaml.safe_load((trained / "models" / "marmalade.yaml").read_text())
    assert card["recipe"]["quick"] is True
    assert card["figures"]["parity"]["onnx_to_torch"] <= 1e-4
    assert card["figures"]["parity"]["hop_to_clip"] <= 1e-4
    assert card["figures"]["calibration"]["miss_rate"] < 0.7
    assert any("espeak" in line for line in card["data"])


def test_a_second_run_takes_up_the_first_and_gives_the_same_model(trained: Path) -> None:
    first = (trained / "models" / "marmalade.yaml").read_text()
    checkpoints = list((trained / "work").rglob("*.pt"))
    assert checkpoints
    done = export(
        *("wake", "--word", "marmalade", "--quick"),
        *("--out", str(trained / "again"), "--work", str(trained / "work")),
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    again = (trained / "again" / "marmalade.yaml").read_text()
    assert yaml.safe_load(again)["sha256"] == yaml.safe_load(first)["sha256"]


def test_a_missing_engine_is_one_line_that_says_how_to_get_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "export.cli",
            "wake",
            "--word",
            "marmalade",
            "--quick",
            "--out",
            str(tmp_path),
            "--work",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.returncode == 69
    assert done.stderr.strip().splitlines()[-1].startswith("porter-export: error: espeak-ng is not")
    assert "apt-get install espeak-ng" in done.stderr
