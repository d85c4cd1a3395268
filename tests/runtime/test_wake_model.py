"""The streaming network gives the same numbers however the sound is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.audio.features import HOP
from daemon.audio.wake import WakeModel, open_wake_model
from daemon.cards import load_wake_card
from daemon.errors import ModelError
from daemon.inference import CPU, choose_providers
from tests.models import write_tone_model
from tests.sounds import HIGH, LOW, scene

STEPS = 60
SOUND = scene(STEPS * HOP / 16_000, {0.5: LOW, 1.3: HIGH, 3.1: LOW})


@pytest.fixture(scope="module")
def model(models: Path) -> WakeModel:
    return open_wake_model(load_wake_card(models / "tones.yaml"), [CPU])


@pytest.fixture(scope="module")
def whole(model: WakeModel) -> np.ndarray:
    model.reset()
    return model.process(SOUND).copy()


@given(
    cuts=st.lists(st.integers(1, STEPS - 1), unique=True, max_size=STEPS).map(sorted),
)
@settings(max_examples=60, deadline=None)
def test_any_chunking_gives_the_same_probabilities(
    model: WakeModel, whole: np.ndarray, cuts: list[int]
) -> None:
    model.reset()
    parts = np.split(SOUND, [cut * HOP for cut in cuts])
    streamed = np.concatenate([model.process(part).copy() for part in parts])
    np.testing.assert_allclose(streamed, whole, atol=1e-4)
    assert whole.max() > 0.9  # there was something to be equal about


def test_state_is_carried_from_hop_to_hop(model: WakeModel, whole: np.ndarray) -> None:
    forgetful = []
    for hop in np.split(SOUND, STEPS):
        model.reset()
        forgetful.append(model.process(hop).copy())
    assert np.abs(np.concatenate(forgetful) - whole).max() > 0.1


def test_reset_starts_anew(model: WakeModel, whole: np.ndarray) -> None:
    model.process(scene(0.8, {0.0: LOW}, length=0.8))
    model.reset()
    np.testing.assert_array_equal(model.process(SOUND), whole)


def test_nothing_is_allocated_for_the_result_of_a_hop(model: WakeModel) -> None:
    hop = SOUND[:HOP]
    addresses = {model.process(hop).__array_interface__["data"][0] for _ in range(10)}
    assert len(addresses) == 2


def test_a_model_of_other_words_than_its_card_is_refused(tmp_path: Path) -> None:
    card = write_tone_model(tmp_path, metadata={"words": ["other"]})
    with pytest.raises(ModelError, match=r"tones\.onnx: its words is \['other'\].*belong"):
        open_wake_model(load_wake_card(card), [CPU])


def test_providers_that_a_machine_lacks_are_not_tried() -> None:
    assert choose_providers("cpu") == [CPU]
    assert choose_providers("auto")[-1] == CPU
