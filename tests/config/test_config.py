"""What a person sees who writes a configuration: it works, or each mistake is one clear line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from daemon import documents
from daemon.cli.options import override_camera
from daemon.config import (
    AudioConfig,
    CommandHook,
    Config,
    WakeConfig,
    WordOverride,
    load_config,
    load_daemon_config,
)
from daemon.errors import ConfigError
from daemon.paths import default_config

RELAXED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def problems(path: Path) -> list[str]:
    """The lines of the error that a configuration gives."""
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value).splitlines()


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


REPLACED = ("words: {}", "on: {}", "command: null", "gpio: null", "badge: null", "night: null")
"""Settings of the default configuration that an example follows."""


def with_examples(text: str) -> str:
    """The default configuration with its commented examples in force."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.strip() == "# Example:":
            inside = True
        elif not line.strip().startswith("#"):
            inside = False
            if line.strip() not in REPLACED:
                lines.append(line)
        elif inside:
            lines.append(line.replace("# ", "", 1))
    return "\n".join(lines)


def unset(model: BaseModel, path: str = "") -> list[str]:
    """Settings anywhere inside a model that no line of the file gave."""
    missing = [f"{path}{name}" for name in set(type(model).model_fields) - model.model_fields_set]
    for name in model.model_fields_set:
        value = getattr(model, name)
        parts: dict[Any, Any] = {"": value}
        if isinstance(value, dict):
            parts = value
        elif isinstance(value, list):
            parts = dict(enumerate(value))
        for key, part in parts.items():
            if isinstance(part, BaseModel) and not isinstance(part, CommandHook):
                missing += unset(part, f"{path}{name}.{key}".rstrip(".") + ".")
    return missing


def test_the_file_that_ships_is_the_default():
    assert load_config(default_config()) == Config()


def test_an_empty_file_is_the_default(write):
    assert load_config(write("")) == load_config(write("# nothing\n")) == Config()


def test_a_section_whose_settings_are_all_commented_out_is_the_default(write):
    assert load_config(write("".join(f"{name}:\n" for name in Config.model_fields))) == Config()


def test_the_file_that_ships_shows_every_setting(write):
    text = default_config().read_text()
    config = load_config(write(with_examples(text)))
    assert unset(config) == []
    assert config.on["porter.audio.lost"].model_fields_set == set(CommandHook.model_fields)
    assert config.wake.models[0].words["activate"].model_fields_set == set(
        WordOverride.model_fields
    )


def test_every_setting_that_ships_has_a_comment():
    lines = default_config().read_text().splitlines()
    for number, line in enumerate(lines):
        match = re.match(r"( +)(- )?(\w+):", line)
        if match and match[3] not in ("initial", "maximum", "words"):
            assert lines[number - 1].strip().startswith("#") or match[2], line


def test_a_relative_path_is_relative_to_the_file(write, tmp_path):
    config = load_config(
        write(
            "audio: {source: file, path: talk.wav}\n"
            "wake: {models: [{model: my/word.yaml}, {model: activate}]}\n"
            "events: {path: /var/log/porter.jsonl}\n"
        )
    )
    assert config.audio.path == tmp_path / "talk.wav"
    assert [each.model for each in config.wake.models] == [
        str(tmp_path / "my/word.yaml"),
        "activate",
    ]
    assert config.events.path == Path("/var/log/porter.jsonl")


def test_a_hook_is_a_list_or_a_mapping(write):
    config = load_config(
        write(
            "on:\n  porter.started: [logger, hello]\n"
            "  porter.stopped: {command: [logger, bye], timeout: 2}\n"
        )
    )
    assert config.on["porter.started"] == CommandHook(command=["logger", "hello"], timeout=10.0)
    assert config.on["porter.stopped"] == CommandHook(command=["logger", "bye"], timeout=2.0)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("audio:\n  sorce: file\n", 2, "audio.sorce: unknown setting; did you mean 'source'?"),
        ("adio: {}\n", 1, "adio: unknown setting; did you mean 'audio'?"),
        ("log:\n\n  qqq: 1\n", 3, "log.qqq: unknown setting; known here: level"),
        ("log:\n  level: verbose\n", 2, "log.level: must be one of 'debug', 'info', 'warning'"),
        ("log:\n  level: warn\n", 2, "did you mean 'warning'?"),
        ("audio:\n  enabled: yes\n", 2, "audio.enabled: must be true or false, not 'yes'"),
        ("audio: {enabled: 1}\n", 1, "audio.enabled: must be true or false, not 1"),
        ("audio: {device: 1.5}\n", 1, "audio.device: must be a whole number or text, not 1.5"),
        ("audio: {device: ''}\n", 1, "audio.device: must be a whole number or text that is not"),
        ("audio: {device: -1}\n", 1, "audio.device: must be greater than or equal to 0"),
        ("audio: {path: 3}\n", 1, "audio.path: must be a path, not 3"),
        ("audio: {source: file, path: ''}\n", 1, "audio.path: must be a path, and not empty"),
        ("audio: {source: file, path: ~nobody-at-all/a}\n", 1, "audio.path: no home folder for"),
        ("audio: {stall_seconds: soon}\n", 1, "audio.stall_seconds: must be a number, not 'soon'"),
        ("audio: {stall_seconds: .nan}\n", 1, "audio.stall_seconds: must be a finite number"),
        ("audio: {stall_seconds: '2'}\n", 1, "audio.stall_seconds: must be a number, not '2'"),
        ("camera:\n  source: stream\n  url: 'rtsp://[fe80::1/c'\n", 3, "camera.url: not an addr"),
        ("camera:\n  fps: 2\n  stall_seconds: 0.5\n", 3, "stall_seconds: must be above the 0.5 s"),
        ("inference:\n  threads: 0\n", 2, "inference.threads: must be greater than or equal to 1"),
        ("inference:\n  threads: 1e3\n", 2, "inference.threads: must be a whole number, not 1000"),
        ("audio:\n  source: file\n", 1, "audio.path: source is file, so a path is needed"),
        ("audio:\n  path: a.wav\n", 2, "audio.path: used only with source: file"),
        ("audio:\n  source: pipe\n  device: 1\n", 3, "audio.device: used only with source: micro"),
        (
            "audio:\n  reopen_backoff:\n    maximum: 1\n    initial: 2\n",
            4,
            "audio.reopen_backoff.initial: must not be above maximum, which is 1",
        ),
        ("audio: microphone\n", 1, "audio: must be a mapping (name: value), not 'microphone'"),
        ("log:\n  level:\n", 2, "log.level: must be one of 'debug', 'info', 'warning'"),
        ("audio: false\n", 1, "audio: must be a mapping (name: value), not false"),
        ("wake: {models: []}\n", 1, "wake.models: must be a list that is not empty"),
        ("wake:\n  models:\n    - {}\n", 3, "wake.models[0].model: is missing; it has no default"),
        ("wake:\n  models:\n    - activate\n", 3, "wake.models[0]: must be a mapping"),
        (
            "wake:\n  models:\n    - model: a\n    - model: a\n",
            2,
            "wake.models: a is listed twice; keep one",
        ),
        (
            "wake:\n  models:\n  - model: x\n    words:\n      y:\n        threshold: 1\n",
            6,
            "wake.models[0].words.y.threshold: must be less than 1, not 1",
        ),
        (
            "on:\n  porter.wake.heard: [a]\n",
            2,
            "on.porter.wake.heard: no such event type; did you mean 'porter.wake.detected'?",
        ),
        ("on:\n  porter.started:\n    - a\n    - 7\n", 4, "on.porter.started[1]: must be text"),
        ("on:\n  porter.started: []\n", 2, "on.porter.started: must be a list that is not empty"),
        ("on:\n  porter.started: ['']\n", 2, "on.porter.started[0]: must be text that is not emp"),
        ('on: {porter.started: ["a\\0b"]}\n', 1, "porter.started[0]: must not hold a NUL char"),
        ("on:\n\n  5: [a]\n", 3, "on.5: must be text, not 5"),
        ("5: {}\n", 1, "5: names must be text; put the name in quotes"),
        ("log: {}\n\nlog: {}\n", 3, "log: given twice (first in line 1); keep one"),
        ("- a\n- b\n", 1, "must be a mapping (name: value lines), not a list"),
        ("just words\n", 1, "must be a mapping (name: value lines), not 'just words'"),
        ("? [a, b]\n: c\n", 1, "a name must be text, not a list or mapping"),
        ("log:\n\tlevel: info\n", 2, "a tab in the indentation; indent with spaces"),
        ("log: {level: info\n", 1, "not valid YAML"),
        ("log: [}\n", 1, "not valid YAML"),
        ("log: {level: !!python/name:os.system x}\n", 1, "not valid YAML: could not determine"),
        ("log: *other\n", 1, "found undefined alias"),
        ("log: {}\n---\nlog: {}\n", 2, "not valid YAML"),
        ("log: {}\n\x07\n", 2, "control character U+0007"),
        ("log: !!int abc\n", 1, "cannot be read as YAML"),
        ("log: " + "[" * 60 + "]" * 60, 1, "nested deeper than 50 levels"),
        ("[" * 100_000, 1, "nest"),
        ("audio: &a\n  path: *a\n", 2, "audio.path: must be a path, not a mapping"),
        ("inference: {threads: " + "9" * 5000 + "}\n", 1, "cannot be read as YAML"),
        ("audio: {stall_seconds: 1" + "0" * 400 + "}\n", 1, "audio.stall_seconds: must be"),
    ],
)
def test_a_mistake_is_one_line(write, text, line, said):
    path = write(text)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:{line}:")
    assert said in problem
    assert len(problem) < len(str(path)) + 200


def test_every_mistake_is_listed_in_the_order_of_the_file(write):
    path = write("log:\n  level: 3\naudio:\n  sorce: x\n  enabled: no\nwek: {}\n")
    found = [re.match(r".*?:(\d+): ([\w.]+): ", line).groups() for line in problems(path)]
    assert found == [
        ("2", "log.level"),
        ("4", "audio.sorce"),
        ("5", "audio.enabled"),
        ("6", "wek"),
    ]


def test_a_flood_of_mistakes_is_cut_short(write):
    path = write("".join(f"x{number}: 1\n" for number in range(100)))
    lines = problems(path)
    assert len(lines) == 21
    assert lines[-1] == f"{path}: and 80 more problems"


def test_a_merged_mapping_may_be_overridden(write):
    config = load_config(
        write(
            "on:\n  porter.started: &hook {command: [a], timeout: 3}\n"
            "  porter.stopped: {<<: *hook, timeout: 4}\n"
        )
    )
    assert config.on["porter.stopped"] == CommandHook(command=["a"], timeout=4.0)


def test_files_that_are_no_configuration(tmp_path, write):
    missing = tmp_path / "none.yaml"
    assert problems(missing) == [f"{missing}: no such file"]
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]
    assert problems(Path("/dev/zero")) == ["/dev/zero: larger than 1 MiB; is it the right file?"]
    latin = write("log: {}\n# caf\xe9\n".encode("latin-1"))
    assert problems(latin) == [f"{latin}:2: not UTF-8 text; save the file as UTF-8"]


def test_a_file_without_permission(write):
    path = write("log: {}\n")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        assert problems(path) == [f"{path}: cannot be read: Permission denied"]
    finally:
        os.seteuid(user)


def test_a_byte_order_mark_does_no_harm(write):
    assert load_config(write("\ufefflog: {level: debug}\n")).log.level == "debug"


def test_a_word_that_the_model_lacks(write, tmp_path, monkeypatch):
    (tmp_path / "hello.yaml").write_text(
        "kind: wake\nname: hello\nversion: '1'\nfile: hello.onnx\nsha256: " + "ab" * 32 + "\n"
        "licence: MIT\nsummary: a test\ninput: {sample_rate: 16000, hop: 1280}\n"
        "words: [{word: hello, threshold: 0.5, smoothing: 3, refractory: 1, duration: 0.5, "
        "delay: 0.1}]\n"
    )
    monkeypatch.setenv("PORTER_MODELS", str(tmp_path))
    text = "wake:\n  models:\n    - model: hello\n      words:\n        WORD: {threshold: 0.9}\n"
    path = write(text.replace("WORD", "helo"))
    assert problems(path) == [
        f"{path}:5: wake.models[0].words.helo: the model hello has no such word; "
        "did you mean 'hello'?"
    ]
    assert load_config(write(text.replace("WORD", "hello"))).wake.models[0].model == "hello"


def test_which_file_is_used(write, tmp_path, monkeypatch):
    named = tmp_path / "named.yaml"
    named.write_text("log: {level: error}\n")
    monkeypatch.setenv("PORTER_CONFIG", str(named))
    assert load_config().log.level == "error"
    assert load_config(write("log: {level: debug}\n")).log.level == "debug"
    monkeypatch.setenv("PORTER_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="no such file"):
        load_config()
    monkeypatch.delenv("PORTER_CONFIG")
    monkeypatch.setattr("daemon.paths.SYSTEM_CONFIG", named)
    assert load_config().log.level == "error"
    monkeypatch.setattr("daemon.paths.SYSTEM_CONFIG", tmp_path / "none.yaml")
    assert load_config() == Config()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "log: {level: info}\ndoor:\n  mode: face\n",
            "3: door.mode: face needs a camera: set camera.enabled: true, or door.mode: wake",
        ),
        (
            "objects:\n  enabled: true\n",
            "2: objects.enabled: needs a camera: set camera.enabled: true, "
            "or objects.enabled: false",
        ),
        (
            "faces:\n  liveness: {mode: challenge}\ncamera:\n  enabled: true\n  fps: 4\n",
            "5: camera.fps: must be 5 or more with faces.liveness.mode: challenge, not 4: "
            "the turn of a head would be lost between two pictures",
        ),
        (
            "camera: {enabled: true}\nfaces:\n  consensus: {frames: 22}\n",
            "3: faces.consensus: 22 pictures never come within 2 s with camera.fps: 10; "
            "lower frames, or raise seconds",
        ),
        (
            "audio: {enabled: false}\ncamera: {enabled: true}\ndoor: {mode: wake+face}\n",
            "3: door.mode: wake+face needs sound: set audio.enabled: true, or door.mode: face",
        ),
    ],
)
def test_what_a_part_of_the_daemon_needs_of_another(write, text, line):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_daemon_config(path)
    assert str(caught.value) == f"{path}:{line}"


@pytest.mark.parametrize("section", ["door: {mode: face}", "objects: {enabled: true}"])
def test_a_camera_on_the_command_line_is_one_that_the_file_need_not_have(write, section):
    path = write(section + "\n")
    config = load_daemon_config(path, lambda given: override_camera(given, "walk-up.mp4"))
    assert (config.camera.enabled, config.camera.source) == (True, "file")
    assert load_config(path).camera.enabled is False  # porter claim reaches that daemon


def test_settings_that_just_fit_each_other(write):
    text = "camera: {enabled: true, fps: 5}\nfaces: {liveness: {mode: challenge}}\n"
    assert load_daemon_config(write(text)).camera.fps == 5
    text = "camera: {enabled: true}\nfaces: {consensus: {frames: 21}}\n"
    assert load_daemon_config(write(text)).faces.consensus.frames == 21
    text = "faces: {consensus: {frames: 50, seconds: 0.2}}\n"
    assert load_daemon_config(write(text)), "nobody looks"


def test_an_address_on_the_command_line_that_cannot_be_one(write):
    with pytest.raises(click.UsageError, match="not an address"):
        override_camera(Config(), "rtsp://[fe80::1/cam")


def setting_names(model: type[BaseModel]) -> set[str]:
    return set(re.findall(r"'(\w+)': \{", str(model.model_json_schema()["properties"])))


NAMES = sorted(
    {"initial", "threshold", "porter.started", "porter.wake.detected", "activate", "<<", "on"}
    | setting_names(Config)
    | setting_names(AudioConfig)
    | setting_names(WakeConfig)
    | set(CommandHook.model_fields)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.sampled_from(["file", "pipe", "yes", "~", "~x", "1e3", "2024-01-01", "0x1f", "microphone"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | TEXT | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
FILES = st.dictionaries(st.sampled_from(list(Config.model_fields)) | TEXT, VALUES, max_size=4)


def check_any(path: Path, content: bytes) -> None:
    """Whatever is in the file: a configuration, or lines that point into it."""
    path.write_bytes(content)
    try:
        config = load_config(path)
    except ConfigError as error:
        lines = str(error).split("\n")
    else:
        lines = []
        assert isinstance(config, Config)
    last = max(1, len(content.decode("utf-8", "replace").splitlines()))
    for line in lines:
        assert line.splitlines() == [line]
        if "more problems" not in line:
            where = re.match(rf"{re.escape(str(path))}:(\d+):(\d+:)? \S", line)
            assert where, line
            assert 1 <= int(where[1]) <= last, line


@RELAXED
@given(data=FILES)
def test_any_yaml_is_read_or_refused_in_lines(tmp_path, data):
    check_any(tmp_path / "config.yaml", documents.dump(data).encode())


@RELAXED
@given(
    content=st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "ignore"))
)
@example(content=b"\xe2\x80\xa8a: [\n")
@example(content=b'"a\\nb": 1\n"a\\nb": 2\n')
@example(content=b"a: !!float x\n")
@example(content=b"a: !!binary \xc3\xa9\n")
@example(content=b"a: !!timestamp 2024-13-45\n")
@example(content=b"a: !!bool maybe\n")
@example(content=b"!!set {a, b}\n")
@example(content=b"!!omap [a: 1]\n")
@example(content=b"<<: 3\n")
@example(content=b"&a [*a]\n")
@example(content=b"audio: &a {reopen_backoff: *a}\n")
@example(content=b"on: &a {porter.started: {command: *a}}\n")
def test_any_bytes_are_read_or_refused_in_lines(tmp_path, content):
    check_any(tmp_path / "config.yaml", content)


@RELAXED
@given(at=st.integers(0, 5000), junk=st.sampled_from([*":-[]{}&*!|>'\"%@`#\t\n ?,", "\x00", "é"]))
def test_a_slip_of_the_keyboard_is_refused_in_lines(tmp_path, at, junk):
    text = default_config().read_text()
    at %= len(text)
    check_any(tmp_path / "config.yaml", (text[:at] + junk + text[at:]).encode())


@RELAXED
@given(
    device=st.integers(0, 99) | TEXT.filter(lambda text: text and "\0" not in text) | st.none(),
    command=st.lists(TEXT.filter(lambda text: text and "\0" not in text), min_size=1, max_size=3),
    seconds=st.floats(0.2, 60),
)
def test_what_show_prints_loads_again(tmp_path, device, command, seconds):
    config = Config(
        audio=AudioConfig(device=device, stall_seconds=seconds),
        on={"porter.started": CommandHook(command=command)},
    )
    path = tmp_path / "config.yaml"
    path.write_text(documents.dump(config.model_dump(mode="json")), encoding="utf-8")
    assert load_config(path) == config
