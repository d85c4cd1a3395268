"""The model that ships: it streams exactly, and hears the demo's voices."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.audio.features import HOP
from daemon.audio.wake import WakeModel, open_wake_model
from daemon.cards import load_wake_card
from daemon.inference import CPU
from tests.runtime.process import base_environment, events, porter

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / "assets" / "demo" / "activate.flac"
STEPS = 60


@pytest.fixture(scope="module")
def model() -> WakeModel:
    return open_wake_model(load_wake_card(PROJECT / "models" / "activate.yaml"), [CPU])


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    samples, _ = soundfile.read(DEMO, frames=STEPS * HOP, dtype="float32")
    return samples


@pytest.fixture(scope="module")
def whole(model: WakeModel, sound: np.ndarray) -> np.ndarray:
    model.reset()
    return model.process(sound).copy()


@given(cuts=st.lists(st.integers(1, STEPS - 1), unique=True, max_size=STEPS).map(sorted))
@settings(max_examples=15, deadline=None)
def test_any_chunking_gives_the_same_probabilities(
    model: WakeModel, sound: np.ndarray, whole: np.ndarray, cuts: list[int]
) -> None:
    model.reset()
    parts = np.split(sound, [cut * HOP for cut in cuts])
    streamed = np.concatenate([model.process(part).copy() for part in parts])
    np.testing.assert_allclose(streamed, whole, atol=1e-4)
    assert whole.max() > 0.5  # somebody says the word in it


def test_hears_the_demo(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("{}")
    environment = base_environment(PROJECT / "models")
    done = porter("run", "--config", config, "--file", DEMO, "--fast", environment=environment)
    assert done.returncode == 0, done.stderr
    ends = [e["data"]["end"] for e in events(done.stdout) if e["type"] == "porter.wake.detected"]
    with DEMO.with_suffix(".csv").open() as file:
        said = [float(row["end"]) for row in csv.DictReader(file) if row["word"] == "activate"]
    hits = [end for end in said if any(abs(end - heard) < 0.6 for heard in ends)]
    assert len(hits) >= 0.6 * len(said)
    assert len(ends) <= len(hits) + 1
