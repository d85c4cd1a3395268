"""Sound that is not: one clear line, an exit code, and nothing half-done."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.runtime.process import configuration, events, porter
from tests.sounds import scene, write

SOUND = scene(3)


def wav_bytes(tmp_path: Path) -> bytes:
    return write(tmp_path / "whole.wav", SOUND).read_bytes()


def missing(path: Path) -> None:
    """Leave no file."""


def folder(path: Path) -> None:
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This is a letter, not a sound.\n" * 50)


def without_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0, np.float32), 16_000, format="WAV")


def cut_wav(path: Path) -> None:
    path.write_bytes(wav_bytes(path.parent)[:50_000])


def header_only(path: Path) -> None:
    path.write_bytes(wav_bytes(path.parent)[:20])


def not_numbers(path: Path) -> None:
    samples = SOUND.copy()
    samples[1_000] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT", format="WAV")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (missing, "cannot be opened: No such file or directory"),
        (folder, "cannot be opened: Is a directory"),
        (empty, "the file is empty"),
        (text, "not a sound file"),
        (without_samples, "holds no sound"),
        (cut_wav, "truncated: 52% of the promised sound is there"),
        (header_only, "not a sound file"),
        (not_numbers, "damaged: holds samples that are not numbers"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(
    spoil, complaint: str, environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    path = tmp_path / "talk.wav"
    spoil(path)
    done = porter("run", "--config", config, "--file", path, "--fast", environment=environment)
    assert done.returncode == 66
    lines = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"porter: error: {path}: {complaint}"), lines[0]
    found = events(done.stdout)  # every line is whole
    if found:
        assert [found[0]["type"], found[-1]["type"]] == ["porter.started", "porter.stopped"]
        assert found[-1]["data"]["reason"] == "error"
        assert complaint in found[-1]["data"]["message"]


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff"])
def test_a_file_that_was_cut_short_is_noticed(
    suffix: str, environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    raw = write(tmp_path / f"whole.{suffix}", scene(8)).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(raw[: len(raw) * 6 // 10])
    done = porter("run", "--config", config, "--file", path, "--fast", environment=environment)
    assert done.returncode == 66, done.stderr
    complaint = done.stderr.splitlines()[-1]
    assert str(path) in complaint
    assert "truncated" in complaint or "damaged" in complaint


def test_a_recording_that_was_written_to_a_pipe_is_whole(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    """Its header cannot know the length, which is no damage."""
    raw = bytearray(wav_bytes(tmp_path))
    raw[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path = tmp_path / "talk.wav"
    path.write_bytes(raw)
    done = porter("run", "--config", config, "--file", path, "--fast", environment=environment)
    assert done.returncode == 0, done.stderr
    assert events(done.stdout)[-1]["data"]["audio_seconds"] == pytest.approx(3.0)


def test_an_empty_pipe_ends_at_once(environment: dict[str, str], config: Path) -> None:
    done = porter("run", "--config", config, "--pipe", environment=environment)
    assert done.returncode == 0
    assert events(done.stdout)[-1]["data"]["audio_seconds"] == 0


def test_half_a_sample_at_the_end_of_a_pipe_is_left_out(
    environment: dict[str, str], config: Path
) -> None:
    done = porter("run", "--config", config, "--pipe", environment=environment, stdin=b"\0" * 3_201)
    assert done.returncode == 0
    assert events(done.stdout)[-1]["data"]["audio_seconds"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--file", "a.wav", "--pipe"], "exclude each other"),
        (["--fast"], "--fast works with files only"),
        (["--fast", "--camera", "walk.mp4"], "the sound comes from the"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(
    arguments: list[str], complaint: str, environment: dict[str, str], config: Path
) -> None:
    done = porter("run", "--config", config, *arguments, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


@pytest.mark.parametrize("damage", ["missing", "cut", "swapped"])
def test_a_bad_model_stops_the_daemon_before_it_says_anything(
    damage: str, environment: dict[str, str], tmp_path: Path
) -> None:
    from tests.models import write_tone_model
    from tests.sounds import HIGH, LOW

    folder = tmp_path / "models"
    write_tone_model(folder, "tones", {"low": LOW})
    write_tone_model(folder, "high", {"high": HIGH})
    model = folder / "tones.onnx"
    if damage == "missing":
        model.unlink()
    elif damage == "cut":
        model.write_bytes(model.read_bytes()[:-100])
    else:
        model.write_bytes((folder / "high.onnx").read_bytes())
    config = configuration(tmp_path / "config.yaml")
    done = porter(
        "run",
        "--config",
        config,
        "--pipe",
        environment=environment | {"PORTER_MODELS": str(folder)},
    )
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.startswith(f"porter: error: {model}: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_name_that_is_no_utf_8_is_a_name(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/t\xe9l\xff.wav"))
    path.write_bytes(wav_bytes(tmp_path))
    done = porter("run", "--config", config, "--file", path, "--fast", environment=environment)
    assert done.returncode == 0, done.stderr
    assert events(done.stdout)[-1]["data"]["audio_seconds"] == pytest.approx(3.0)
