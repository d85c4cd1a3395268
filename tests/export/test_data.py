"""Clips, labels and casts are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.errors import SourceError
from export.data import augment
from export.data.casting import cast, neighbours, pronunciation
from export.data.databases import Recordings, containing
from export.data.mixing import CLIP, CLIP_STEPS, LABEL_STEPS, Databases, mix
from export.data.pools import Pool, said_by
from export.data.sentences import sentence
from export.data.speech import trim


def tone(hertz: float, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.fixture(scope="module")
def databases() -> Databases:
    word, other = Pool(), Pool()
    word.add([tone(1_000, 0.5)])
    other.add([tone(300, 0.7), tone(500, 1.2)])
    return Databases({"ping": word}, [(1.0, other)], [])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_labels_are_runs_after_words_and_never_touch(databases: Databases, seed: int) -> None:
    clip = mix(databases, np.random.default_rng(seed), positives=4)
    assert clip.samples.shape == (CLIP,)
    assert clip.labels.shape == (CLIP_STEPS, 1)
    assert np.abs(clip.samples).max() <= 1
    marks = np.concatenate([[0], clip.labels[:, 0] == 1, [0]]).astype(int)
    starts, stops = np.flatnonzero(np.diff(marks) == 1), np.flatnonzero(np.diff(marks) == -1)
    for start, stop in zip(starts, stops, strict=True):
        assert stop - start <= LABEL_STEPS or stop == CLIP_STEPS
        assert start * HOP > 0.4 * SAMPLE_RATE, "a word of half a second cannot end before"


def test_equal_seeds_mix_equal_clips(databases: Databases) -> None:
    one, two = (mix(databases, np.random.default_rng(7), positives=4) for _ in range(2))
    assert np.array_equal(one.samples, two.samples)
    assert np.array_equal(one.labels, two.labels)


def test_the_label_starts_when_the_whole_word_was_heard(databases: Databases) -> None:
    """In clips with one clean word, the 1 kHz tone has stopped just before the first mark."""
    checked = 0
    for seed in range(200):
        clip = mix(databases, np.random.default_rng(seed), positives=1)
        marks = np.flatnonzero(clip.labels[:, 0] == 1)
        if not len(marks) or marks[0] < 15:
            continue
        end = (marks[0] + 1) * HOP
        assert end >= 0.5 * SAMPLE_RATE
        checked += 1
    assert checked > 20


def test_casts_repeat_and_differ_by_seed() -> None:
    assert cast("activate", "espeak", 20, 1) == cast("activate", "espeak", 20, 1)
    assert cast("activate", "espeak", 20, 1) != cast("activate", "espeak", 20, 2)
    assert cast("activate", "espeak", 5, 1) == cast("activate", "espeak", 20, 1)[:5]
    keys = {utterance.key() for utterance in cast("activate", "espeak", 200, 1)}
    assert len(keys) > 190


def test_neighbours_sound_alike_and_leave_the_word_out() -> None:
    near = neighbours("computer", 40)
    assert near[0] == "commuter"
    assert "compute" in near
    assert not {"computer", "computers", "minicomputer"} & set(near)
    assert pronunciation("computer") == ("K", "AH", "M", "P", "Y", "UW", "T", "ER")


def test_half_a_phrase_is_a_rival_and_unknown_words_are_no_error() -> None:
    assert {"ok", "porter"} <= set(neighbours("ok porter", 20))
    assert neighbours("zxqv", 20) == []


def test_sentences_do_not_say_a_wake_word() -> None:
    said = " ".join(sentence(np.random.default_rng(i)) for i in range(300)).lower()
    assert not any(word in said.split() for word in ("activate", "computer", "alexa"))


def test_trim_cuts_silence_but_not_the_word() -> None:
    padded = np.concatenate([np.zeros(4_000), tone(500, 0.5), np.zeros(6_000)]).astype(np.float32)
    assert len(trim(padded)) == pytest.approx(8_000, abs=320)


def test_rooms_keep_the_direct_sound_in_place() -> None:
    click = np.zeros(8_000, np.float32)
    click[2_000] = 1.0
    for seed in range(10):
        wet = augment.reverberate(click, np.random.default_rng(seed))
        assert abs(int(np.abs(wet[:3_000]).argmax()) - 2_000) < 160


def test_formants_and_pitch_move_apart() -> None:
    rng = np.random.default_rng(0)
    pulses = np.zeros(16_000, np.float32)
    pulses[::133] = 0.5  # about 120 Hz
    higher = augment.shift_voice(
        pulses + 1e-3 * rng.standard_normal(16_000).astype(np.float32), pitch=1.5, formants=1.0
    )
    spectrum = np.abs(np.fft.rfft(higher * np.hanning(len(higher))))
    hertz = np.fft.rfftfreq(len(higher), 1 / SAMPLE_RATE)
    strongest = hertz[(hertz > 60) & (hertz < 250)][spectrum[(hertz > 60) & (hertz < 250)].argmax()]
    assert strongest == pytest.approx(180, rel=0.06)


def manifest(folder: Path, header: str, *rows: str) -> Path:
    """A folder with a manifest and a second of noise for each row, whose first column is a name."""
    folder.mkdir(parents=True)
    for row in rows:
        name = row.split(",")[0]
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
        sf.write(folder / name, 0.1 * noise, SAMPLE_RATE)
    listed = [f"{folder.name}/{row}" for row in rows]
    (folder / "manifest.csv").write_text("\n".join([header, *listed]))
    return folder


def test_who_is_held_out_is_not_learnt_from_nor_is_the_test_split(tmp_path: Path) -> None:
    spoken = manifest(
        tmp_path / "porter",
        "path,label,source,split",
        "a.wav,porter,speaker_A,train",
        "b.wav,porter,speaker_B,train",
        "c.wav,porter,speaker_A,test",
    )
    by_word = {"porter": spoken}
    assert [clip.path.name for clip in said_by(by_word, "speaker_B")["porter"]] == ["a.wav"]
    assert [clip.path.name for clip in said_by(by_word, None)["porter"]] == ["a.wav", "b.wav"]
    with pytest.raises(SourceError, match=r"speaker_C: not among .*: speaker_A, speaker_B$"):
        said_by(by_word, "speaker_C")
    (tmp_path / "bare").mkdir()
    with pytest.raises(SourceError, match="no recordings to learn from"):
        said_by({"porter": tmp_path / "bare"}, None)
    sf.write(tmp_path / "bare/a.wav", np.ones(800, np.float32), SAMPLE_RATE)
    assert len(said_by({"porter": tmp_path / "bare"}, None)["porter"]) == 1
    with pytest.raises(SourceError, match=r"no manifest\.csv"):
        said_by({"porter": tmp_path / "bare"}, "speaker_A")


def test_a_manifest_without_sources_is_read(tmp_path: Path) -> None:
    spoken = manifest(tmp_path / "porter", "path,label", "a.wav,porter")
    assert len(said_by({"porter": spoken}, None)["porter"]) == 1


def test_recordings_of_the_wanted_phrase_are_no_negatives() -> None:
    assert "hey_computer" in containing(["hey computer"])
    assert "hey_computer" in containing(["computer"])
    assert "hello_porter" in containing(["Hello Porter"])
    assert "hey_computer" not in containing(["compute", "put"])


@pytest.mark.parametrize("header", ["path,label,source", "path,label,source,split"])
def test_recordings_without_a_split_to_learn_from_are_one_error(
    tmp_path: Path, header: str
) -> None:
    manifest(tmp_path / "speech", header, "a.wav,talk,ann,test")
    with pytest.raises(
        SourceError, match=r"speech/manifest\.csv: no recording has the split train"
    ):
        Recordings(tmp_path).negatives()


def test_one_recording_of_noise_is_kept_to_calibrate_on(tmp_path: Path) -> None:
    manifest(tmp_path / "noise", "path,label,split", "street.wav,street,train")
    kept = Recordings(tmp_path, calibration=True).backgrounds(0, 0.0)
    assert [pool.seconds for _, pool in kept] == [1.0]
    assert Recordings(tmp_path, calibration=False).backgrounds(0, 0.0) == []
