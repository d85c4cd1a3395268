"""`porter run` on files and pipes: sound in, events out."""

from __future__ import annotations

import pty
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.runtime.process import PORTER, Daemon, Json, configuration, events, porter
from tests.sounds import HIGH, LOW, RATE, s16le, scene, write

TONES = {1.0: LOW, 2.5: HIGH, 4.0: LOW}
SECONDS = 5.0


def heard(found: list[Json]) -> list[tuple[str, float]]:
    """Word and onset of each detection."""
    detections = [event["data"] for event in found if event["type"] == "porter.wake.detected"]
    return [(each["word"], each["onset"]) for each in detections]


def assert_heard(found: list[Json], tones: dict[float, float], within: float = 0.12) -> None:
    names = {LOW: "low", HIGH: "high"}
    assert [word for word, _ in heard(found)] == [names[tone] for tone in tones.values()]
    for (_, onset), start in zip(heard(found), tones):
        assert onset == pytest.approx(start, abs=within)


@pytest.mark.parametrize(
    ("suffix", "rate", "channels"),
    [
        ("wav", 16_000, 1),
        ("wav", 8_000, 1),
        ("flac", 44_100, 2),
        ("ogg", 48_000, 2),
        ("mp3", 48_000, 1),
    ],
)
def test_hears_words_in_any_sound_file(
    environment: dict[str, str], config: Path, tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    sound = write(tmp_path / f"talk.{suffix}", scene(SECONDS, TONES, rate=rate), rate, channels)
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert found[0]["type"] == "porter.started"
    assert found[0]["data"]["words"] == ["low", "high"]
    assert_heard(found, TONES)
    stopped = found[-1]["data"]
    assert stopped["reason"] == "end of input"
    assert stopped["detections"] == {"low": 2, "high": 1}
    assert stopped["audio_seconds"] == pytest.approx(SECONDS, abs=0.1)
    assert stopped["overflows"] == 0
    assert 30 < stopped["peak_memory_mb"] < 120
    assert 0 < stopped["cpu_seconds"] < 20


def test_a_word_at_the_very_end_of_a_file_is_heard(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    sound = write(tmp_path / "end.wav", scene(2.0, {1.8: LOW}))
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    assert_heard(events(done.stdout), {1.8: LOW})


def test_several_models_listen_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    config = configuration(
        tmp_path / "two.yaml", wake={"models": [{"model": "tones"}, {"model": "high"}]}
    )
    sound = write(tmp_path / "talk.wav", scene(3, {1.0: LOW, 2.0: HIGH}))
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    found = events(done.stdout)
    heard = [e["data"] for e in found if e["type"] == "porter.wake.detected"]
    by = sorted((data["model"]["name"], data["word"]) for data in heard)
    assert by == [("high", "high"), ("tones", "high"), ("tones", "low")]


def test_a_paced_file_gives_events_when_a_microphone_would(
    start: Callable[..., Daemon], config: Path, tmp_path: Path
) -> None:
    tones = {0.5: LOW, 3.0: HIGH}
    sound = write(tmp_path / "talk.wav", scene(4, tones))
    daemon = start("--config", config, "--file", sound)
    daemon.wait_for("porter.started")
    began = time.monotonic()
    for tone in tones:
        event = daemon.wait_for("porter.wake.detected")
        # The tone lasts 0.2 s, and the decision takes up to two steps.
        assert tone + 0.1 < time.monotonic() - began < tone + 1.0
        assert -150 < event["data"]["latency_ms"] < 600
        end = datetime.fromisoformat(event["data"]["end_time"])
        elapsed = (datetime.fromisoformat(event["time"]) - end).total_seconds()
        # The event is stamped after its latency is measured; a busy machine may lie between.
        assert -0.1 < elapsed * 1000 - event["data"]["latency_ms"] < 100
    assert daemon.finish() == 0
    assert 4.0 < time.monotonic() - began < 6.5


def test_a_pipe_is_heard_and_its_end_is_a_clean_end(
    environment: dict[str, str], tmp_path: Path
) -> None:
    config = configuration(tmp_path / "pipe.yaml", audio={"source": "pipe"})
    raw = s16le(scene(SECONDS, TONES))
    done = porter("run", "--config", config, environment=environment, stdin=raw)
    assert done.returncode == 0, done.stderr
    found = events(done.stdout)
    assert_heard(found, TONES)
    heard = [each for each in found if each["type"] == "porter.wake.detected"]
    assert all(each["source"].endswith("/pipe") for each in heard)
    assert found[-1]["data"]["reason"] == "end of input"
    assert found[-1]["data"]["audio_seconds"] == pytest.approx(SECONDS, abs=0.001)


def test_a_pipe_may_deliver_in_odd_pieces(start: Callable[..., Daemon], config: Path) -> None:
    daemon = start("--config", config, "--pipe")
    raw = s16le(scene(SECONDS, TONES))
    for begin in range(0, len(raw), 4_097):
        daemon.feed(raw[begin : begin + 4_097])
        time.sleep(0.002)
    assert daemon.process.stdin is not None
    daemon.process.stdin.close()
    assert daemon.finish() == 0
    assert_heard(daemon.seen, TONES)


def test_a_pipe_that_pauses_is_lost_and_restored(
    start: Callable[..., Daemon], tmp_path: Path
) -> None:
    audio = {"source": "pipe", "stall_seconds": 0.5, "reopen_backoff": {"initial": 0.2}}
    daemon = start("--config", configuration(tmp_path / "pipe.yaml", audio=audio))
    daemon.feed(s16le(scene(1.0, {0.4: LOW})))
    daemon.wait_for("porter.wake.detected")
    lost = daemon.wait_for("porter.audio.lost")
    assert "0.5 s" in lost["data"]["reason"]
    time.sleep(1.0)
    daemon.feed(s16le(scene(1.0, {0.4: HIGH})))
    restored = daemon.wait_for("porter.audio.restored")
    assert 0.8 < restored["data"]["seconds_lost"] < 5
    assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "high"
    code, seconds = daemon.stop()
    assert (code, daemon.seen[-1]["data"]["message"]) == (0, "SIGTERM")
    assert seconds < 1


def test_a_terminal_as_pipe_is_explained(environment: dict[str, str], config: Path) -> None:
    _master, slave = pty.openpty()
    done = subprocess.run(
        [*PORTER, "run", "--config", str(config), "--pipe"],
        stdin=slave,
        capture_output=True,
        text=True,
        env=environment,
        timeout=30,
        check=False,
    )
    assert done.returncode == 66
    assert "standard input is a terminal; pipe sound into it: arecord" in done.stderr
    assert done.stdout == ""


def test_overrides_of_the_configuration_decide(environment: dict[str, str], tmp_path: Path) -> None:
    models = [
        {"model": "tones", "words": {"low": {"refractory": 10}, "high": {"threshold": 0.999}}}
    ]
    config = configuration(tmp_path / "strict.yaml", wake={"models": models})
    sound = write(tmp_path / "talk.wav", scene(SECONDS, TONES))
    done = porter("run", "--config", config, "--file", sound, "--fast", environment=environment)
    assert [word for word, _ in heard(events(done.stdout))] == ["low"]


def test_the_second_look_rejects_what_the_first_takes_for_a_word(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The verifier of this model is deaf to tones of a small amplitude."""
    sound = scene(2.5, {0.5: LOW}, amplitude=0.04, noise=0.001)
    sound += scene(2.5, {1.7: LOW}, amplitude=0.4, noise=0.0)
    path = write(tmp_path / "talk.wav", sound)

    def detections(second_look: bool) -> list[Json]:
        wake = {"models": [{"model": "careful"}], "second_look": second_look}
        config = configuration(tmp_path / "careful.yaml", wake=wake)
        done = porter("run", "--config", config, "--file", path, "--fast", environment=environment)
        return [e["data"] for e in events(done.stdout) if e["type"] == "porter.wake.detected"]

    first = detections(second_look=False)
    assert [each["onset"] for each in first] == pytest.approx([0.5, 1.7], abs=0.12)
    assert [each["second_look"] for each in first] == [None, None]
    (second,) = detections(second_look=True)
    assert second["onset"] == pytest.approx(1.7, abs=0.12)
    assert second["threshold"] == 0.4  # the loose one
    assert second["second_look"] > 0.5


@pytest.mark.slow
def test_an_hour_leaves_memory_flat_and_scores_as_they_are(
    start: Callable[..., Daemon], config: Path, tmp_path: Path
) -> None:
    import numpy as np
    import soundfile

    minute = scene(60, {5.0 + 10 * i: (LOW, HIGH)[i % 2] for i in range(6)})
    sound = tmp_path / "hour.flac"
    with soundfile.SoundFile(sound, "w", RATE, 1) as file:
        for _ in range(60):
            file.write(minute)
    daemon = start("--config", config, "--file", sound, "--fast")
    daemon.wait_for("porter.started")
    sizes: list[int] = []
    while daemon.process.poll() is None:
        try:
            status = Path(f"/proc/{daemon.process.pid}/statm").read_text().split()
            sizes.append(int(status[1]) * 4096)
        except (OSError, IndexError):
            break
        time.sleep(0.1)
    assert daemon.finish() == 0
    resident = np.array([size for size in sizes if size])
    settled = resident[len(resident) // 4 :]
    assert settled.max() - settled[0] < 3e6, "memory grows"
    detections = [e["data"] for e in daemon.seen if e["type"] == "porter.wake.detected"]
    assert len(detections) == 360
    # The same minute gives the same onsets in the last as in the first: nothing drifts.
    last = [each["onset"] - 59 * 60 for each in detections[-6:]]
    assert last == pytest.approx([each["onset"] for each in detections[:6]], abs=1e-6)
