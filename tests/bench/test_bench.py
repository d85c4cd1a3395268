"""The benchmarks, as commands, over a model that hears tones."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from tests.models import write_tone_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tone_model(folder, "activate", {"activate": 500.0})
    return folder


def bench(name: str, *arguments: str | Path, models: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *map(str, arguments)],
        cwd=ROOT, env=os.environ | {"PORTER_MODELS": str(models)},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def facts(name: str, *arguments: str | Path, models: Path) -> dict[str, Any]:
    result = bench(name, "--json", *arguments, models=models)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_absent_recordings_are_one_clear_line(models: Path, tmp_path: Path) -> None:
    result = bench("wake_accuracy", "--shared", tmp_path / "none", models=models)
    assert result.returncode == 66
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "pass --shared FOLDER or set PORTER_SHARED" in result.stderr


@pytest.mark.slow
def test_latency_is_from_the_end_of_the_word(models: Path, tmp_path: Path) -> None:
    """The tone is heard while it lasts, so its events come before its end, at most its length."""
    sound = np.zeros(16_000 * 6, np.float32)
    spans = [(1.0, 1.6), (4.0, 4.6)]
    for onset, end in spans:
        span = np.arange(round(onset * 16_000), round(end * 16_000))
        sound[span] = 0.3 * np.sin(2 * np.pi * 500 * span / 16_000)
    sf.write(tmp_path / "tones.wav", sound, 16_000)
    with (tmp_path / "tones.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["onset", "end", "word", "voice"])
        table.writerows([onset, end, "activate", "sine"] for onset, end in spans)
    measured = facts("wake_latency", "--recording", tmp_path / "tones.wav", "--repeat", "1",
                     models=models)  # fmt: skip
    assert measured["words"] == 2
    assert measured["missed"] == 0
    assert all(-600 <= each <= 500 for each in measured["milliseconds"])


@pytest.mark.slow
def test_cost_of_the_whole_daemon(models: Path) -> None:
    measured = facts("wake_cost", "--seconds", "10", "--no-peer", models=models)
    daemon = measured["daemon"]
    assert measured["graph"]["flat_out_core_percent"] > 0
    assert 0 < daemon["core_percent"] < 50
    assert 20 < daemon["peak_memory_mb"] < 500
    assert 0 < daemon["startup_seconds"] < 30
    assert measured["model_bytes"]["activate.onnx"] == (models / "activate.onnx").stat().st_size
