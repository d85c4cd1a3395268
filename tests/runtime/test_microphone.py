"""The microphone path through PortAudio: hearing, losing and finding again."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.audio.microphone import Device, MicrophoneSource, find_device
from daemon.errors import SourceError
from tests.runtime.process import PORTER, Daemon, Json, configuration, frozen, porter
from tests.runtime.pulse import Pulse
from tests.sounds import HIGH, LOW, scene, write

audio = pytest.mark.audio


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    # A socket's path must be short, which pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="pulse-") as folder:
        server = Pulse(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def room(environment: dict[str, str], pulse: Pulse) -> dict[str, str]:
    """The environment of a Porter in the room."""
    room = environment | pulse.environment
    listed = porter("devices", "--json", environment=room)
    if '"pulse"' not in listed.stdout:
        pytest.skip(
            "PortAudio does not reach PulseAudio: apt-get install libportaudio2 libasound2-plugins"
        )
    return room


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write(tmp_path / "talk.wav", scene(2.5, {0.7: LOW, 1.7: HIGH}))


def microphone(path: Path, device: str = "pulse", **audio: object) -> Path:
    facts = {"source": "microphone", "device": device, "reopen_backoff": {"initial": 0.2}}
    return configuration(path, audio=facts | audio)


def words(daemon: Daemon) -> list[str]:
    return [e["data"]["word"] for e in daemon.seen if e["type"] == "porter.wake.detected"]


@audio
@pytest.mark.parametrize(
    ("device", "sound"),
    [("PULS", "16000 Hz, channels: 1"), ("default", "44100 Hz, channels: 1")],
)
def test_hears_what_is_said_in_the_room(
    start: Callable[..., Daemon],
    tmp_path: Path,
    room: dict[str, str],
    pulse: Pulse,
    talk: Path,
    device: str,
    sound: str,
) -> None:
    """Through the sound server's own conversion, and at a rate that Porter must convert."""
    daemon = start("--config", microphone(tmp_path / "config.yaml", device), env=room)
    started = daemon.wait_for("porter.started")
    assert sound in started["data"]["audio"]
    time.sleep(0.5)
    pulse.play(talk)
    heard = [daemon.wait_for("porter.wake.detected") for _ in range(2)]
    assert all(event["source"].endswith("/microphone") for event in heard)
    first, second = (event["data"] for event in heard)
    assert (first["word"], second["word"]) == ("low", "high")
    assert second["onset"] - first["onset"] == pytest.approx(1.0, abs=0.17)
    assert -150 < first["latency_ms"] < 600
    code, seconds = daemon.stop()
    assert code == 0
    assert seconds < 1
    stopped = daemon.seen[-1]["data"]
    assert stopped["overflows"] == 0
    assert stopped["audio_seconds"] > 1.5
    assert stopped["peak_memory_mb"] < 120


@audio
def test_a_device_that_goes_away_and_returns(
    start: Callable[..., Daemon], tmp_path: Path, room: dict[str, str], pulse: Pulse, talk: Path
) -> None:
    daemon = start("--config", microphone(tmp_path / "config.yaml"), env=room)
    daemon.wait_for("porter.started")
    pulse.play(talk)
    daemon.wait_for("porter.wake.detected")
    daemon.wait_for("porter.wake.detected")
    killed = time.monotonic()
    pulse.stop()
    lost = daemon.wait_for("porter.audio.lost", 6)
    assert lost["data"]["reason"]
    time.sleep(1.5)
    assert daemon.process.poll() is None
    pulse.start()
    restored = daemon.wait_for("porter.audio.restored", 20)
    gone = time.monotonic() - killed
    assert gone - 3.5 < restored["data"]["seconds_lost"] < gone + 0.1
    assert "pulse" in restored["data"]["audio"]
    pulse.play(talk)
    daemon.wait_for("porter.wake.detected")
    daemon.wait_for("porter.wake.detected")
    assert words(daemon) == ["low", "high"] * 2
    assert daemon.stop()[0] == 0
    kinds = [event["type"] for event in daemon.seen]
    assert kinds.count("porter.audio.lost") == kinds.count("porter.audio.restored") == 1


@audio
def test_a_device_that_falls_silent_is_lost_too(
    start: Callable[..., Daemon], tmp_path: Path, room: dict[str, str], pulse: Pulse, talk: Path
) -> None:
    daemon = start("--config", microphone(tmp_path / "config.yaml", stall_seconds=1.0), env=room)
    daemon.wait_for("porter.started")
    pulse.play(talk)
    daemon.wait_for("porter.wake.detected")
    pulse.suspend(True)
    lost = daemon.wait_for("porter.audio.lost", 6)
    assert "no sound from the device for 1 s" in lost["data"]["reason"]
    time.sleep(1)
    pulse.suspend(False)
    daemon.wait_for("porter.audio.restored", 20)
    pulse.play(talk)
    assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "low"
    assert daemon.stop()[0] == 0


@audio
def test_a_device_may_take_longer_to_give_its_first_sound(
    start: Callable[..., Daemon], tmp_path: Path, room: dict[str, str], pulse: Pulse, talk: Path
) -> None:
    pulse.suspend(True)
    daemon = start("--config", microphone(tmp_path / "config.yaml", stall_seconds=0.7), env=room)
    daemon.wait_for("porter.started")
    time.sleep(1.5)
    pulse.suspend(False)
    time.sleep(2.5)
    pulse.play(talk)
    daemon.wait_for("porter.wake.detected")
    daemon.wait_for("porter.wake.detected")
    assert daemon.stop()[0] == 0
    kinds = [event["type"] for event in daemon.seen]
    assert "porter.audio.lost" not in kinds


@audio
@pytest.mark.parametrize("after", [0.1, 1.0])
def test_stops_within_a_second_while_the_device_is_away(
    start: Callable[..., Daemon], tmp_path: Path, room: dict[str, str], pulse: Pulse, after: float
) -> None:
    daemon = start("--config", microphone(tmp_path / "config.yaml"), env=room)
    daemon.wait_for("porter.started")
    pulse.stop()
    daemon.wait_for("porter.audio.lost", 6)
    time.sleep(after)
    code, seconds = daemon.stop()
    assert code == 0
    assert seconds < 1
    assert daemon.seen[-1]["data"]["reason"] == "signal"


@audio
def test_sound_that_nobody_took_in_time_is_counted(
    start: Callable[..., Daemon], tmp_path: Path, room: dict[str, str], pulse: Pulse, talk: Path
) -> None:
    config = microphone(tmp_path / "config.yaml", steps_per_wakeup=2)
    daemon = start("--config", config, env=room)
    daemon.wait_for("porter.started")
    pulse.play(talk)
    with frozen(daemon.pipeline_thread()):
        time.sleep(5.5)  # the ring holds four seconds
    log = daemon.wait_for_log("sound was lost")
    assert log.count("sound was lost") == 1
    pulse.play(talk)
    assert daemon.stop()[0] == 0
    assert words(daemon) == ["low", "high"] * 2
    assert daemon.seen[-1]["data"]["overflows"] > 5


@audio
def test_devices_are_listed(room: dict[str, str]) -> None:
    listed = json.loads(porter("devices", "--json", environment=room).stdout)
    by_name: dict[str, Json] = {each["name"]: each for each in listed}
    assert by_name["pulse"]["channels"] >= 1
    assert sum(each["default"] for each in listed) == 1
    text = porter("devices", environment=room).stdout
    for each in listed:
        assert f"{each['index']}  {each['name']}  (ALSA, {each['rate']} Hz" in text


@audio
@pytest.mark.parametrize(
    ("device", "complaint"),
    [
        ("usb", "audio.device: no input device matches 'usb'; choose among 0: "),
        ("99", "audio.device: no input device matches 99; choose among 0: "),
        ("u", "audio.device: several devices match 'u'; choose among 0: "),
    ],
)
def test_a_wrong_device_is_answered_with_the_right_ones(
    room: dict[str, str], config: Path, device: str, complaint: str
) -> None:
    done = porter("run", "--config", config, "--device", device, environment=room)
    assert (done.returncode, done.stdout) == (66, "")
    assert done.stderr.startswith(f"porter: error: {complaint}")
    assert "'pulse'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_microphone_one_line_says_so(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    nothing = environment | {"HOME": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"}
    if json.loads(porter("devices", "--json", environment=nothing).stdout or "[]"):
        pytest.skip("this machine has a sound card")
    done = porter("run", "--config", config, environment=nothing)
    assert (done.returncode, done.stdout) == (66, "")
    assert done.stderr.startswith("porter: error: no device to record from")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", [["run"], ["devices"], ["listen"]])
def test_without_portaudio_its_package_is_named(
    environment: dict[str, str], config: Path, verb: list[str]
) -> None:
    hide = "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
    main = "from daemon.cli.main import main; main()"
    if verb != ["devices"]:
        verb = [*verb, "--config", str(config)]
    done = subprocess.run(
        [PORTER[0], "-c", hide + main, *verb],
        capture_output=True,
        text=True,
        env=environment,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (66, "")
    assert done.stderr.splitlines() == [
        "porter: error: the PortAudio library is missing; "
        "install it: sudo apt-get install libportaudio2"
    ]


class Failing:
    """PortAudio that does not start the first time it is asked to."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        self.starts = 0
        self.running = True

    def _terminate(self) -> None:
        if not self.running:
            raise self.PortAudioError("PortAudio not initialized")
        self.running = False

    def _initialize(self) -> None:
        self.starts += 1
        if self.starts == 1:
            raise self.PortAudioError("Error initializing PortAudio")
        self.running = True


def test_a_microphone_comes_back_though_portaudio_did_not_start_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Failing()
    monkeypatch.setattr("daemon.audio.microphone.portaudio", lambda: library)
    source = MicrophoneSource(None, hops=4, stall_seconds=2.0)
    monkeypatch.setattr(source, "open", lambda: None)
    assert [source.reopen() for _ in range(3)] == [False, True, True]


DEVICES = [
    Device(0, "USB Audio: - (hw:1,0)", "ALSA", 1, 48_000, False),
    Device(2, "Built-in: ALC (hw:0,0)", "ALSA", 2, 44_100, False),
    Device(4, "usb", "ALSA", 1, 16_000, True),
]


@pytest.mark.parametrize(
    ("wanted", "index"), [(None, 4), (2, 2), ("alc", 2), ("USB", 4), ("usb audio", 0), ("hw:1", 0)]
)
def test_a_device_is_found_by_index_or_part_of_its_name(wanted: int | str, index: int) -> None:
    assert find_device(wanted, DEVICES).index == index


@pytest.mark.parametrize(("wanted", "listed"), [("hw", ["0: ", "2: "]), (1, ["0: ", "2: ", "4: "])])
def test_what_is_not_found_lists_what_there_is(wanted: int | str, listed: list[str]) -> None:
    with pytest.raises(SourceError) as raised:
        find_device(wanted, DEVICES)
    assert all(each in str(raised.value) for each in listed)
