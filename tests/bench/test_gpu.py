import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from bench.gpu import (
    COMMANDS,
    WHOLE_TOLERANCE,
    Unlike,
    answer,
    apart,
    cut_takes,
    feed,
    in_whole_numbers,
    relative,
)
from daemon.inference import CPU, cuda_obstacle, open_session

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.onnx"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_that_ships_gets_an_input_that_it_can_run(path: Path) -> None:
    session = open_session(path, [CPU])

    outputs = session.run(None, feed(session))

    assert all(np.isfinite(each).all() for each in outputs)


def test_whole_numbers_rounded_otherwise_stay_within_their_tolerance() -> None:
    (path,) = filter(in_whole_numbers, MODELS)
    usual = open_session(path, [CPU])
    # Step by step and in floating point in between, as a provider without whole numbers computes.
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    other = ort.InferenceSession(str(path), options, providers=[CPU])

    # Of a single picture both may round every sum alike.
    upright = feed(usual)
    turned = {name: np.rot90(image, axes=(2, 3)).copy() for name, image in upright.items()}

    differences = [
        relative(*pair)
        for given in (upright, turned)
        for pair in zip(usual.run(None, given), other.run(None, given), strict=True)
    ]
    assert 0 < max(differences) < WHOLE_TOLERANCE


def test_answers_differ_by_their_numbers_but_not_by_times_and_ids() -> None:
    one = {"id": "a", "word": "activate", "probability": 0.91, "faces": [{"score": 1.0}]}
    other = {"id": "b", "word": "activate", "probability": 0.90, "faces": [{"score": 1.0}]}

    assert apart(one, other) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "other",
    [
        {"word": "computer", "probability": 0.91},
        {"word": "activate", "probability": 0.5},
        {"word": "activate"},
    ],
)
def test_answers_that_say_something_else_are_unlike(other: dict[str, object]) -> None:
    with pytest.raises(Unlike):
        apart({"word": "activate", "probability": 0.91}, other)


def test_the_demo_s_recording_gives_takes_that_make_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    takes = cut_takes(tmp_path / "takes")
    (enrolled,) = answer([each.format(takes=takes) for each in COMMANDS["words, enroll"]])
    (heard,) = answer([each.format(takes=takes) for each in COMMANDS["words, test"]])
    assert len(enrolled["takes"]) >= 3
    assert all(row["words"][0]["heard"] for row in heard["recordings"])


def test_differences_of_outputs_are_relative_to_their_norm() -> None:
    expected = np.array([30.0, -40.0], np.float32)

    assert relative(expected, np.array([30.0, -40.05])) == pytest.approx(1e-3)
    assert relative(expected, np.zeros(3)) == np.inf


@pytest.mark.skipif(cuda_obstacle() is None, reason="there is a GPU")
def test_without_a_gpu_it_says_why_and_fails() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 78
    assert "there is no GPU to measure" in done.stderr
