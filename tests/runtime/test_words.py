"""Wake words from three recordings: enrolled, heard by the daemon, refused with a reason."""

from __future__ import annotations

import json
import re
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.audio.words.encoder import open_word_encoder
from daemon.audio.words.enrolled import open_enrolled
from daemon.audio.words.listener import WordListener
from daemon.audio.words.store import Store, Take, Word
from daemon.audio.words.takes import Fault, Recording, check
from daemon.cards import load_wake_card
from daemon.cli import words
from daemon.config import Config, EnrolledConfig
from daemon.errors import ModelError, OutputError
from daemon.inference import CPU, CUDA
from export.data.speech import Utterance, say
from tests.runtime.process import Daemon, base_environment, events, porter
from tests.sounds import RATE, write

Array = npt.NDArray[np.float32]
PROJECT = Path(__file__).resolve().parents[2]
MODELS = PROJECT / "models"
VOICES = [("f2", 1.0), ("m1", 1.0), ("f4", 0.9), ("m3", 1.1)]
"""Of espeak-ng, with their speed; the last is never enrolled."""


def quiet(seconds: float, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 1e-3, round(seconds * RATE)).astype(np.float32)


def spoken(word: str, number: int, before: float = 0.7, after: float = 0.7) -> Array:
    voice, speed = VOICES[number]
    sound = 0.5 * say(Utterance(word, "espeak", voice, speed=speed)).astype(np.float32)
    whole = np.concatenate([np.zeros(round(before * RATE), np.float32), sound])
    whole = np.concatenate([whole, np.zeros(round(after * RATE), np.float32)])
    return whole + quiet(len(whole) / RATE, number)[: len(whole)]


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WORD-0.wav to WORD-3.wav of three words, by four voices."""
    folder = tmp_path_factory.mktemp("takes")
    for word in ("porcupine", "kitchen", "umbrella"):
        for number in range(len(VOICES)):
            write(folder / f"{word}-{number}.wav", spoken(word, number))
    return folder


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a Porter with the models that ship and a state of its own."""
    own = base_environment(MODELS) | {"STATE_DIRECTORY": str(tmp_path / "state")}
    own.pop("XDG_RUNTIME_DIR", None)
    own["PORTER_CONFIG"] = str(write_config(tmp_path / "config.yaml", {}))
    return own


def write_config(path: Path, content: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def enrol(home: dict[str, str], takes: Path, word: str = "porcupine") -> None:
    three = [takes / f"{word}-{number}.wav" for number in range(3)]
    done = porter("words", "enroll", word, *three, environment=home)
    assert done.returncode == 0, done.stderr


def detections(stdout: str) -> list[dict[str, object]]:
    return [e["data"] for e in events(stdout) if e["type"] == "porter.wake.detected"]


def test_a_voice_that_was_not_enrolled_is_heard_and_another_word_is_not(
    home: dict[str, str], takes: Path
) -> None:
    enrol(home, takes)

    heard = porter("run", "--file", takes / "porcupine-3.wav", "--fast", environment=home)
    other = porter("run", "--file", takes / "kitchen-3.wav", "--fast", environment=home)

    (found,) = detections(heard.stdout)
    assert (found["word"], found["enrolled"]) == ("porcupine", True)
    assert found["model"]["name"] == "wordembed"
    assert 0.4 < found["onset"] < found["end"] < 1.9
    assert detections(other.stdout) == []


def test_a_running_daemon_takes_a_new_word_over_when_it_is_told_to_reload(
    home: dict[str, str], takes: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "pipe.yaml", {"audio": {"source": "pipe"}})
    daemon = Daemon(("--config", config), home, tmp_path / "stderr.txt")
    try:
        assert daemon.wait_for("porter.started")["data"]["words"] == ["activate"]
        daemon.feed((quiet(1.0) * 32_767).astype("<i2").tobytes())
        enrol(home, takes)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_log("reloaded")
        sound = np.concatenate([quiet(1.0), spoken("porcupine", 3), quiet(1.0)])
        daemon.feed((sound * 32_767).astype("<i2").tobytes())
        assert daemon.wait_for("porter.wake.detected")["data"]["word"] == "porcupine"
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()


def test_words_are_listed_tested_and_erased(
    home: dict[str, str], takes: Path, tmp_path: Path
) -> None:
    enrol(home, takes)
    listed = json.loads(porter("words", "list", "--json", environment=home).stdout)
    (empty := tmp_path / "empty").mkdir()
    tried = porter(
        "words", "test", takes / "porcupine-3.wav", takes / "kitchen-3.wav", empty, "--json",
        environment=home,
    )  # fmt: skip
    ours, other = (row["words"][0] for row in json.loads(tried.stdout)["recordings"])
    file = tmp_path / "state" / "words" / "porcupine.json"
    mode = stat.S_IMODE(file.stat().st_mode)
    erased = porter("words", "remove", "porcupine", "--yes", "--json", environment=home)
    again = porter("words", "remove", "porcupine", "--yes", environment=home)

    assert [word["name"] for word in listed["words"]] == ["porcupine"]
    assert tried.returncode == 1  # not heard in all of them
    assert len(ours["heard"]) == 1
    assert ours["score"] > 0.5 > other["score"]
    assert mode == 0o600
    (skipped,) = json.loads(tried.stdout)["skipped"]
    assert skipped.startswith(f"{empty}: holds no recordings")
    assert "1 of 3 recordings skipped" in tried.stderr
    assert json.loads(erased.stdout) == {"erased": ["porcupine"]}
    assert not file.exists()
    assert again.returncode == 67
    assert "no word is enrolled" in again.stderr


def test_a_word_keeps_off_a_common_word_that_it_sounds_like(
    home: dict[str, str], takes: Path
) -> None:
    """The network brings "porcupine" along; under another name it is a word too near to it."""
    three = [takes / f"porcupine-{number}.wav" for number in range(3)]
    own = porter("words", "enroll", "porcupine", *three, "--json", environment=home)
    other = porter("words", "enroll", "hedgehog", *three, "--json", environment=home)
    named, foreign = json.loads(own.stdout), json.loads(other.stdout)
    assert named["neighbour"]["word"] != "porcupine"
    assert "sounds like 'porcupine'" not in own.stderr
    assert foreign["neighbour"]["word"] == "porcupine"
    assert foreign["neighbour"]["score"] > 0.5
    assert foreign["threshold"] > named["threshold"]
    assert "sounds like 'porcupine', which may be taken for it" in other.stderr


def test_recordings_are_kept_only_if_that_is_asked_for(
    home: dict[str, str], takes: Path, tmp_path: Path
) -> None:
    enrol(home, takes)
    folder = tmp_path / "state" / "words"
    assert list(folder.rglob("*.wav")) == []

    three = [takes / f"porcupine-{number}.wav" for number in range(3)]
    porter("words", "enroll", "porcupine", *three, "--keep", environment=home)
    assert len(list(folder.rglob("*.wav"))) == 3
    porter("words", "remove", "porcupine", "--yes", environment=home)
    assert list(folder.rglob("*.wav")) == []


def test_bad_takes_are_named_and_too_few_good_ones_are_no_word(
    home: dict[str, str], takes: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound")
    write(tmp_path / "silent.wav", quiet(2.0))
    bad = [tmp_path / f"{name}.wav" for name in ("empty", "text", "silent", "missing")]

    done = porter("words", "enroll", "porcupine", takes / "porcupine-0.wav", *bad, environment=home)

    assert done.returncode == 66
    for path in bad:
        assert path.name in done.stderr
    assert "1 recording accepted, at least 2 are needed" in done.stderr
    assert not (tmp_path / "state" / "words" / "porcupine.json").exists()


def test_a_take_that_is_another_word_is_left_out(home: dict[str, str], takes: Path) -> None:
    given_takes = [takes / f"porcupine-{number}.wav" for number in range(3)]

    done = porter(
        "words", "enroll", "porcupine", *given_takes, takes / "umbrella-0.wav", "--json",
        environment=home,
    )  # fmt: skip

    facts = json.loads(done.stdout)
    assert [each["source"] for each in facts["rejected"]] == ["umbrella-0.wav"]
    assert facts["rejected"][0]["reason"] == "unlike"
    assert len(facts["takes"]) == 3


def test_a_copy_of_a_recording_is_no_other_take(
    home: dict[str, str], takes: Path, tmp_path: Path
) -> None:
    copies = [tmp_path / f"{number}.wav" for number in range(3)]
    for path in copies:
        shutil.copy(takes / "porcupine-0.wav", path)

    done = porter("words", "enroll", "porcupine", *copies, "--force", environment=home)

    assert done.returncode == 66
    assert done.stderr.count("left out: the same recording as 0.wav") == 2
    assert "1 recording accepted, at least 2 are needed" in done.stderr


def at_the_microphone(path: Path, *said: tuple[str, int]) -> Path:
    """A configuration whose microphone is a file: a word in each block of two seconds."""
    blocks = []
    for word, number in said:
        sound = spoken(word, number, before=0.25, after=0.0)
        block = quiet(2.0, 10 + len(blocks))
        block[: len(sound)] += sound
        blocks.append(block)
    write(path.with_suffix(".wav"), np.concatenate(blocks))
    audio = {"source": "file", "path": str(path.with_suffix(".wav")), "pace": "fast"}
    return write_config(path, {"audio": audio})


def test_a_take_at_the_microphone_that_is_another_word_is_asked_for_again(
    home: dict[str, str], tmp_path: Path
) -> None:
    said = [("porcupine", 0), ("porcupine", 1), ("umbrella", 0), ("porcupine", 2)]
    config = at_the_microphone(tmp_path / "said.yaml", *said)

    done = porter(
        "words", "enroll", "porcupine", "--microphone", "--json", "--config", config,
        environment=home,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [(each["source"], each["reason"]) for each in facts["rejected"]] == [
        ("take 3", "unlike")
    ]
    assert [each["source"] for each in facts["takes"]] == ["take 1", "take 2", "take 4"]
    assert done.stderr.count("(3 of 3)") == 2


def test_too_few_takes_at_the_microphone_that_are_alike_are_no_word(
    home: dict[str, str], tmp_path: Path
) -> None:
    said = [("porcupine", 0), ("porcupine", 1), *[("umbrella", 0)] * 7]
    config = at_the_microphone(tmp_path / "said.yaml", *said)
    enroll = ["words", "enroll", "porcupine", "--microphone", "--config", config]

    done = porter(*enroll, environment=home)
    forced = porter(*enroll, "--force", environment=home)

    assert done.returncode == 66
    assert "porcupine: not enrolled: 2 recordings accepted, at least 3 are needed" in done.stderr
    assert "--force" in done.stderr
    assert forced.returncode == 0
    assert "enrolled with 3 takes" in forced.stdout


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("too quiet", lambda s: s * 0.002),
        ("clipped", lambda s: np.clip(s * 40, -1, 1)),
        ("noisy", lambda s: s + 60 * quiet(len(s) / RATE)[: len(s)]),
        ("cut off", lambda s: s[round(0.85 * RATE) :]),
        ("too long", lambda s: np.concatenate([s[round(0.6 * RATE) : round(1.3 * RATE)]] * 4)),
        ("no speech", lambda s: np.zeros(RATE, np.float32)),
    ],
)
def test_each_fault_of_a_take_has_its_reason(reason: str, change: Callable[[Array], Array]) -> None:
    changed = change(spoken("porcupine", 0)).astype(np.float32)
    if reason == "too long":
        changed = np.concatenate([quiet(0.5), changed, quiet(0.5)])

    found = check("take", changed)

    assert isinstance(found, Fault)
    assert found.reason == reason


def test_a_good_take_passes_and_its_word_is_found() -> None:
    found = check("take", spoken("porcupine", 0))

    assert isinstance(found, Recording)
    assert found.speech.start / RATE == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("activate", 67, "is a trained word"),
        ("../../etc", 67, "cannot be a word's name"),
        ("", 67, "cannot be a word's name"),
    ],
)
def test_names_that_cannot_be(
    home: dict[str, str], takes: Path, name: str, code: int, told: str
) -> None:
    done = porter("words", "enroll", name, takes / "porcupine-0.wav", environment=home)

    assert done.returncode == code
    assert told in done.stderr


def test_a_word_keeps_its_letters_in_messages_and_pictures(
    home: dict[str, str], takes: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    three, picture = [takes / f"porcupine-{number}.wav" for number in range(3)], tmp_path / "p.png"
    assert porter("words", "enroll", "Grüße 你", *three, environment=home).returncode == 0
    unknown = porter("words", "remove", "nope", "--yes", environment=home)
    assert unknown.stderr == ("porter: error: nope: no such enrolled word; there is Grüße 你\n")
    sound = ("--file", takes / "porcupine-3.wav", "--fast")
    drawn = porter("listen", *sound, "--plot", picture, environment=home)
    assert (drawn.returncode, picture.exists()) == (0, True)
    assert drawn.stderr in (
        "",
        f"--plot: {picture}: letters that its font does not have are drawn as boxes\n",
    )


def test_bad_files_leave_the_good_words(home: dict[str, str], takes: Path, tmp_path: Path) -> None:
    enrol(home, takes)
    folder = tmp_path / "state" / "words"
    whole = (folder / "porcupine.json").read_bytes()
    (folder / "cut.json").write_bytes(whole[:200])
    (folder / "empty.json").touch()
    (folder / "dd.json").mkdir()
    (folder / "copy.json").write_bytes(whole)
    (folder / "b!d.json").touch()
    content = json.loads(whole) | {"name": "short", "templates": "AACAPw=="}
    (folder / "short.json").write_text(json.dumps(content))
    bad = ["cut", "empty", "dd", "copy", "b!d"]

    run = porter("run", "--file", takes / "porcupine-3.wav", "--fast", environment=home)
    listed = porter("words", "list", environment=home)
    as_json = json.loads(porter("words", "--json", environment=home).stdout)
    tried = porter("words", "test", takes / "porcupine-3.wav", environment=home)

    assert run.returncode == 0
    assert [each["word"] for each in detections(run.stdout)] == ["porcupine"]
    for name in bad:
        assert run.stderr.count(f"{folder / name}.json: ") == 1
        assert re.search(rf"^{name}  damaged: .*{name}.json: ", listed.stdout, re.MULTILINE)
    assert "empty; enrol the word again, or remove the file; it is not listened for" in run.stderr
    assert "short: its templates are damaged; enrol it again" in run.stderr
    assert listed.returncode == 0
    assert "porcupine  3 takes" in listed.stdout
    assert sorted(each["name"] for each in as_json["damaged"]) == sorted(bad)
    assert tried.returncode == 0, tried.stderr
    assert "porcupine: heard at" in tried.stdout


def test_a_damaged_word_can_be_removed(home: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "state" / "words"
    folder.mkdir(parents=True)
    (folder / "cut.json").write_text("{")

    removed = porter("words", "remove", "cut", "--yes", environment=home)

    assert removed.returncode == 0
    assert list(folder.iterdir()) == []


def test_a_folder_in_the_place_of_a_word_is_left_alone(
    home: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "state" / "words" / "dd.json"
    folder.mkdir(parents=True)

    done = porter("words", "remove", "dd", "--yes", environment=home)

    assert done.returncode == 67
    assert f"{folder}: a folder, which Porter did not make; remove it by hand" in done.stderr
    assert folder.is_dir()


def test_a_word_that_is_not_there_is_not_asked_about(home: dict[str, str]) -> None:
    done = porter("words", "remove", "nope", environment=home)

    assert done.returncode == 67
    assert done.stderr == "porter: error: nope: no word is enrolled\n"


def test_an_encoder_of_another_trunk_is_refused(
    home: dict[str, str], takes: Path, tmp_path: Path
) -> None:
    enrol(home, takes)
    models = tmp_path / "models"
    shutil.copytree(MODELS, models, ignore=shutil.ignore_patterns("bench", "face*", "style*"))
    card = models / "activate.yaml"
    own = str(yaml.safe_load((models / "wordembed.yaml").read_text())["trunk"])
    card.write_text(card.read_text().replace(f"trunk: {own}", "trunk: 0123456789ab"))

    done = porter(
        "run", "--file", takes / "porcupine-3.wav", "--fast",
        environment=home | {"PORTER_MODELS": str(models)},
    )  # fmt: skip

    assert done.returncode == 65
    assert f"compares words on trunk {own}, but activate has 0123456789ab" in done.stderr


@given(cuts=st.lists(st.integers(1, 39), unique=True, max_size=39).map(sorted))
@settings(max_examples=15, deadline=None)
def test_any_chunking_gives_the_same_scores(cuts: list[int]) -> None:
    encoder = open_word_encoder("wordembed", [CPU])
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 1, (40, encoder.column.shape[1])).astype(np.float32)
    window = sound[5 : 5 + encoder.card.window]
    word = Word(
        name="sesame",
        encoder=encoder.card.id,
        created="2026-01-01T00:00:00Z",
        takes=[Take(source="one.wav", seconds=0.6, likeness=3.0)],
        templates=encoder.embed(window)[0],
        threshold=0.5,
        duration=0.6,
    )
    listener = WordListener(encoder, [word])
    whole, parts = np.zeros((40, 1), np.float32), np.zeros((40, 1), np.float32)

    listener.hear(sound, whole)
    listener.reset()
    for first, last in zip([0, *cuts], [*cuts, 40]):
        listener.hear(sound[first:last], parts[first:last])

    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert whole.argmax() == 5 + encoder.card.window - 1
    assert whole.max() > 0.9


def a_word() -> Word:
    encoder = open_word_encoder("wordembed", [CPU])
    columns = np.ones((encoder.card.window + 1, encoder.column.shape[1]), np.float32)
    vectors = encoder.embed(columns)
    return Word(
        name="hello porter",
        encoder=encoder.card.id,
        created="2026-01-01T00:00:00Z",
        takes=[Take(source="one.wav", seconds=0.6, likeness=3.0)],
        templates=vectors.ravel(),
        threshold=0.5,
        duration=0.6,
    )


def test_a_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    word, store = a_word(), Store(tmp_path / "words")

    store.put(word)

    assert store.names() == ["hello porter"]
    np.testing.assert_array_equal(store.get("Hello  Porter").templates, word.templates)


def test_the_recordings_of_a_word_are_kept_until_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "words")
    word = a_word()
    store.put(word, [b"one", b"two"])

    def full(path: Path, *_: object, **__: object) -> None:
        raise OutputError(f"{path}: cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("daemon.audio.words.store.publish", full)
        with pytest.raises(OutputError, match="No space left"):
            store.put(word, [b"three"])

    def kept() -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in store.recordings(word.name).iterdir()}

    assert kept() == {"1.wav": b"one", "2.wav": b"two"}
    store.put(word, [b"three"])
    assert kept() == {"1.wav": b"three"}
    store.put(word)
    assert [each.name for each in store.folder.iterdir()] == [store.path(word.name).name]


def test_the_encoder_runs_where_the_other_models_do(
    home: dict[str, str], takes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(home, takes)
    asked: list[tuple[list[str], int]] = []

    def refuse(path: Path, providers: list[str], threads: int) -> None:
        asked.append((providers, threads))
        raise ModelError(str(path))

    monkeypatch.setattr("daemon.audio.words.encoder.open_session", refuse)
    monkeypatch.setattr("daemon.inference.choose_providers", lambda _: [CUDA, CPU])
    monkeypatch.setenv("STATE_DIRECTORY", home["STATE_DIRECTORY"])
    with pytest.raises(ModelError):
        open_enrolled(EnrolledConfig(), [load_wake_card("activate")], [CUDA, CPU], 2)
    with pytest.raises(ModelError):
        words._enroller(Config())

    assert asked == [([CUDA, CPU], 2), ([CUDA, CPU], 1)]
