"""Training of the network that compares words: what it learns tells words apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon.audio.words.likeness import Scale
from export.data.vocabulary import WORDS, kept, learnt

PROJECT = Path(__file__).resolve().parents[2]


def test_the_words_that_are_tested_are_not_in_the_vocabulary_and_its_parts_are_apart() -> None:
    assert not {"computer", "alexa", "activate"} & set(WORDS)
    assert not set(learnt()) & set(kept())
    assert set(learnt()) | set(kept()) == set(WORDS)


@given(st.integers(0, 1_000))
def test_likeness_is_symmetric_and_the_listener_s_statistics_are_those_of_enrolment(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(12, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = Scale(vectors[:8])
    one, other = vectors[8:10], vectors[10:]

    np.testing.assert_allclose(
        scale.likeness(one, other), scale.likeness(other, one).T, rtol=1e-4, atol=1e-4
    )
    mean, deviation = scale.statistics(one)
    assert scale.of(one[0]) == pytest.approx((mean[0], deviation[0]), rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_a_quick_run_gives_a_network_that_puts_a_word_near_itself(tmp_path: Path) -> None:
    out = tmp_path / "models"
    command = [sys.executable, "-m", "export.cli", "wordembed", "--quick"]
    subprocess.run(
        [*command, "--work", str(tmp_path / "work"), "--out", str(out)],
        cwd=PROJECT, check=True, capture_output=True, timeout=280,
    )  # fmt: skip

    card = yaml.safe_load((out / "wordembed.yaml").read_text())
    assert card["figures"]["parity"] < 1e-4
    # The calibrated scale: two takes of one word are farther above the cohort than two words are.
    assert card["unlike"] > 0
    assert card["offset"] > card["unlike"]
    assert card["trunk"] == _fingerprint()
    neighbours = np.load(out / card["neighbours"]["file"])
    assert neighbours.shape == (len(card["neighbours"]["words"]), card["dimension"])
    assert set(card["neighbours"]["words"]) <= set(learnt())


def _fingerprint() -> str:
    from export.trunk import train
    from export.wake.bank import fingerprint

    torch.set_num_threads(1)
    return fingerprint(train.load(PROJECT / "models" / "trunk.pt"))
