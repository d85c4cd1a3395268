"""One word by different voices comes together, on words that are sequences of tones."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

from daemon.audio.features import HOP, SAMPLE_RATE, STEP_SECONDS
from export.data.mixing import LABEL_STEPS, Databases
from export.data.pools import Pool
from export.data.voices import DIGITS, Voices, recorded_words
from export.trunk.train import load, publish, recipe_of, taught_by
from export.trunk.triplets import END, SAMPLES, Material, ShapingRecipe, heard, shape
from tests.export.small_teacher import sounds, write_teacher

RECIPE = ShapingRecipe(
    steps=30, words=6, voices=3, mixtures=1, weight=10.0, rate=3e-3, workers=0, checked=6, seed=1
)


def words(count: int, voices: int, seed: int) -> dict[str, Voices]:
    """Each word is four sounds in an order of its own, each voice a tuning, a pace and a timbre."""
    said: dict[str, Voices] = {}
    for word in range(count):
        order = list(permutations(range(4)))[5 * word % 24]
        said[str(word)] = Voices()
        for voice in range(voices):
            rng = np.random.default_rng([seed, voice])
            time = np.arange(int(rng.uniform(0.1, 0.16) * SAMPLE_RATE)) / SAMPLE_RATE
            tuning, timbre = rng.uniform(0.8, 1.25), rng.random((4, 4))
            pitches = tuning * np.array([[200, 500], [300, 1_500], [450, 2_600], [900, 1_000]])
            sounds = [
                np.sin(2 * np.pi * np.outer(time, pitches[kind])) @ timbre[kind, :2]
                + 0.3 * timbre[kind, 2] * rng.standard_normal(len(time))
                for kind in order
            ]
            pool = Pool()
            pool.add([0.1 * np.concatenate(sounds).astype(np.float32)])
            kind = said[str(word)].real if voice % 2 else said[str(word)].synthetic
            kind[f"voice {voice}"] = pool
    return said


def test_a_word_comes_nearer_to_itself_and_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    teacher, data = write_teacher(tmp_path / "teacher.onnx"), sounds()
    distilled = Path(__file__).parents[2] / "models/trunk.pt"
    material = Material(data, words(12, 6, seed=0), data, words(12, 6, seed=0))
    before = recipe_of(distilled)
    trunk = shape(RECIPE, load(distilled), before, material, teacher, tmp_path / "work")
    log = [json.loads(line) for line in (tmp_path / "work/trunk.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [0, RECIPE.steps]
    assert log[1]["nearest_is_same_word"] > log[0]["nearest_is_same_word"] + 0.1

    again = shape(RECIPE, load(distilled), before, material, teacher, tmp_path / "work")
    assert len((tmp_path / "work/trunk.jsonl").read_text().splitlines()) == 2
    card = yaml.safe_load(publish(tmp_path / "work", tmp_path / "out", data).read_text())
    assert "triplets" in card["data"]["taught_by"]
    assert card["figures"]["nearest_is_same_word"] == log[1]["nearest_is_same_word"]
    assert "triplets" in taught_by(recipe_of(tmp_path / "out/trunk.pt"))
    for name, tensor in load(tmp_path / "out/trunk.pt").state_dict().items():
        assert tensor.equal(trunk.state_dict()[name])
        assert tensor.equal(again.state_dict()[name])


def test_the_first_step_has_heard_all_of_a_word() -> None:
    assert END + SAMPLE_RATE // 50 + (LABEL_STEPS - 1) * HOP == SAMPLES
    click = np.zeros(8_000, np.float32)
    click[-400:] = np.sin(np.arange(400))
    for seed in range(20):
        levels = heard(click, click, Databases({}, [], []), np.random.default_rng(seed))
        # The frames that the first step hears; in the last of them the click has just ended.
        first = levels[: len(levels) - (LABEL_STEPS - 1) * 8]
        latest = len(first) - round(STEP_SECONDS * 100) - 8
        assert first[latest:].mean(1).max() >= levels[latest + 30 :].mean(1).max()


def test_half_of_the_voices_are_real_where_there_are_both() -> None:
    voices = words(1, 9, seed=0)["0"]
    assert len(voices.real) == 4
    drawn = {sound.tobytes() for sound in voices.draw(9, np.random.default_rng(0))}
    assert len(drawn) == 9
    real = {sound.tobytes() for pool in voices.real.values() for sound in [pool.draw(_rng())]}
    for seed in range(10):
        four = [sound.tobytes() for sound in voices.draw(4, np.random.default_rng(seed))]
        assert len(set(four) & real) == 2
    with pytest.raises(ValueError, match="10 voices"):
        voices.draw(10, np.random.default_rng(0))


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_recorded_digits_are_told_apart_by_their_order_and_tested_words_left_out(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "negative_words"
    folder.mkdir()
    sf.write(folder / "a.wav", np.ones(1_600, np.float32), SAMPLE_RATE)
    rows = ["path,label,source,split"]
    for _ in DIGITS:
        for speaker, split in ("ann", "train"), ("bob", "test"), ("cy", "train"):
            rows += [f"negative_words/a.wav,digits,fsdd_{speaker},{split}"] * 2
    rows += [f"negative_words/a.wav,{name},mycroft,train" for name in ("athena", "hey_computer")]
    (folder / "manifest.csv").write_text("\n".join(rows))
    found = recorded_words(tmp_path)
    assert {word for word, _ in found} == {*DIGITS, "athena"}
    assert [clip.speaker for word, clip in found if word == "three"] == [
        "fsdd_ann",
        "fsdd_ann",
        "fsdd_cy",
        "fsdd_cy",
    ]
