"""The command as a script sees it: output, one line for each error, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.cli.main import COMMANDS
from daemon.config import Config, load_config
from daemon.inference import cuda_obstacle
from daemon.paths import default_config
from tests.models import write_tone_model

MODELS = Path(__file__).resolve().parents[2] / "models"

CARD = """\
kind: wake
name: hello
version: "1"
file: hello.onnx
sha256: 9af15b336e6a9619928537df30b2e6a2376569fcf9d7e773eccede65606529a0
licence: MIT
summary: a test
input: {sample_rate: 16000, hop: 1280}
words:
  - {word: hello, threshold: 0.5, smoothing: 3, refractory: 1, duration: 0.5, delay: 0.1}
"""
"""Of a model file that holds `0000`, which no ONNX Runtime runs."""


def porter(
    *arguments: str | Path, stdout: Any = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name[:7] != "PORTER_"}
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli.main", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env=inherited | environment,
    )


@pytest.fixture
def models(tmp_path) -> Path:
    (tmp_path / "hello.yaml").write_text(CARD)
    (tmp_path / "hello.onnx").write_bytes(b"0000")
    (tmp_path / "config.yaml").write_text("wake: {models: [{model: hello}]}\n")
    return tmp_path


def test_help_lists_every_command_with_an_example():
    done = porter("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)
    assert "Examples:" in done.stdout
    assert "78  the configuration is wrong" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    done = porter(name, "--help")
    assert done.returncode == 0
    assert f"porter {name}" in done.stdout
    assert "Example" in done.stdout


def test_the_version():
    done = porter("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"porter \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments", [["nope"], ["config", "check", "a", "b"], ["run", "--nope"]])
def test_wrong_usage(arguments):
    done = porter(*arguments)
    assert done.returncode == 2
    usage, _, *rest = done.stderr.splitlines()
    assert usage.startswith("Usage: ")
    assert rest[-1].startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_check_accepts_what_is_right(models):
    done = porter("config", "check", models / "config.yaml", PORTER_MODELS=str(models))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{models}/config.yaml: all right\n"


def test_check_lists_every_problem(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("log: {levle: info}\naudio:\n  enabled: maybe\n")
    done = porter("config", "check", path)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        f"porter: error: {path}:1: log.levle: unknown setting; did you mean 'level'?",
        f"porter: error: {path}:3: audio.enabled: must be true or false, not 'maybe'",
    ]


def test_check_looks_at_the_models(models):
    (models / "hello.onnx").write_bytes(b"cut")
    done = porter("config", "check", models / "config.yaml", PORTER_MODELS=str(models))
    assert (done.returncode, done.stdout) == (65, "")
    assert re.fullmatch(r"porter: error: .*hello\.onnx: damaged or not the file .*\n", done.stderr)


def test_a_folder_of_models_that_is_not_there_is_no_silence(tmp_path):
    for arguments in (["config", "check"], ["listen", "--file", "a.wav"], ["detect", "a.jpg"]):
        done = porter(*arguments, PORTER_MODELS=str(tmp_path / "nope"))
        assert done.returncode == 65
        assert f"PORTER_MODELS: {tmp_path}/nope: no such folder" in done.stderr


SEEING = {"camera": {"enabled": True}}
LIT = {"light": {"enabled": True}} | SEEING


@pytest.mark.parametrize(
    ("sections", "code", "told"),
    [
        ({"wake": {"models": [{"model": "nope"}]}}, 65, "wake.models[0].model: nope: no such"),
        ({"wake": {"enrolled": {"encoder": "nope"}}}, 65, "wake.enrolled.encoder: nope: no such"),
        ({"wake": {"enrolled": {"encoder": "face"}}}, 65, "wake.enrolled.encoder: "),
        (SEEING | {"faces": {"encoder": "nope"}}, 65, "faces.encoder: nope: no such model"),
        (SEEING | {"faces": {"detector": "nope"}}, 65, "faces.detector: nope: no such model"),
        (SEEING | {"faces": {"fmr": 1e-5}}, 78, "faces.fmr: model face has no threshold for 1e-05"),
        (SEEING | {"faces": {"fmr": 1e-6}}, 78, "faces.fmr: model face has no threshold for 1e-06"),
        (
            LIT | {"light": {"enabled": True, "night": {"fmr": 1e-5}}},
            78,
            "light.night.fmr: model face has no threshold for 1e-05",
        ),
        (LIT | {"light": {"enabled": True, "model": "nope"}}, 65, "light.model: nope: no such"),
        (
            SEEING | {"objects": {"enabled": True, "model": "nope"}},
            65,
            "objects.model: nope: no such model",
        ),
        (
            SEEING | {"objects": {"enabled": True, "classes": ["parcel"]}},
            78,
            "objects.classes: model objects does not know 'parcel'",
        ),
    ],
)
def test_check_refuses_what_the_daemon_would_not_start_with(tmp_path, sections, code, told):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(sections))
    done = porter("config", "check", path, PORTER_MODELS=str(MODELS), STATE_DIRECTORY=str(tmp_path))
    assert (done.returncode, done.stdout) == (code, "")
    assert re.match(rf"porter: error: {re.escape(str(path))}:\d+: {re.escape(told)}", done.stderr)


def test_check_names_every_obstacle_and_its_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("camera: {enabled: true}\nfaces:\n  fmr: 1.0e-06\n  detector: nope\n")
    done = porter("config", "check", path, PORTER_MODELS=str(MODELS))
    assert done.returncode == 78
    assert re.findall(r"yaml:(\d): ([\w.]+):", done.stderr) == [
        ("4", "faces.detector"),
        ("3", "faces.fmr"),
    ]


def test_check_leaves_what_is_switched_off(tmp_path):
    path = tmp_path / "config.yaml"
    off = {
        "audio": {"enabled": False},
        "wake": {"models": [{"model": "nope"}]},
        "faces": {"encoder": "nope"},
        "light": {"enabled": True, "model": "nope"},
        "objects": {"model": "nope", "classes": ["parcel"]},
    }
    path.write_text(yaml.safe_dump(off))
    done = porter("config", "check", path, PORTER_MODELS=str(MODELS))
    assert (done.returncode, done.stderr) == (0, "")


def test_show_prints_what_loads_to_the_same(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        'audio: {device: "7", stall_seconds: 3}\non: {porter.started: ["yes", "1e3"]}\n'
    )
    shown = tmp_path / "shown.yaml"
    shown.write_text(porter("config", "show", path).stdout)
    assert load_config(shown) == load_config(path) != Config()
    as_json = json.loads(porter("config", "show", "--json", path).stdout)
    assert Config.model_validate(as_json) == load_config(path)


def test_path_names_the_file_in_use(tmp_path):
    assert porter("config", "path").stdout in (f"{default_config()}\n", "/etc/porter/config.yaml\n")
    done = porter("config", "path", PORTER_CONFIG=str(tmp_path / "a"))
    assert done.stdout == f"{tmp_path}/a\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["config", "show"], ["--help"], ["events", "--schema"]])
def test_a_full_disk_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        done = porter(*arguments, stdout=full)
    assert done.returncode == 74
    assert done.stderr == (
        "porter: error: standard output: no space left on the disk; make room and start again\n"
    )


def test_a_closed_pipe_is_one_line():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = porter("config", "show", stdout=closed)
    assert done.returncode == 74
    assert done.stderr == ("porter: error: standard output: closed by the program that reads it\n")


def test_ctrl_c_while_modules_load_is_one_line():
    program = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from daemon.cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "porter: error: interrupted\n")
    project = tomllib.loads((MODELS.parent / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["porter"] == "daemon.cli.__main__:main"


def test_errors_carry_a_priority_for_the_journal(tmp_path):
    with (tmp_path / "stderr").open("wb") as stderr:
        status = os.fstat(stderr.fileno())
        done = subprocess.run(
            [sys.executable, "-m", "daemon.cli.main", "config", "check", tmp_path / "none"],
            stderr=stderr,
            env=os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"},
        )
    assert done.returncode == 78
    said = (tmp_path / "stderr").read_text()
    assert said == f"<3>porter: error: {tmp_path}/none: no such file\n"


@pytest.mark.skipif(cuda_obstacle() is None, reason="there is a GPU")
@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["words", "enroll", "sesame", "a.wav"],
        ["words", "test", "a.wav"],
        ["detect", "a.jpg"],
    ],
)
def test_a_provider_that_does_not_work_is_blamed_on_who_asked_for_it(tmp_path, arguments):
    path = tmp_path / "config.yaml"
    path.write_text("inference: {provider: cuda}\n")
    configured = porter(*arguments, "--config", path)
    path.write_text("")
    given = porter(*arguments, "--provider", "cuda", "--config", path)
    assert (configured.returncode, given.returncode) == (78, 78)
    assert "error: inference.provider: cuda cannot be used" in configured.stderr
    assert "error: --provider: cuda cannot be used" in given.stderr


def doctor(*arguments: str | Path, **environment: str) -> tuple[int, dict]:
    done = porter("doctor", "--json", *arguments, **environment)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def checks(report: dict, group: str) -> dict[str, dict]:
    return {each["name"]: each for each in report["checks"] if each["group"] == group}


def test_doctor_finds_that_all_is_well(tone_models):
    code, report = doctor("--config", tone_models / "config.yaml", PORTER_MODELS=str(tone_models))
    assert (code, report["ok"]) == (0, True), report
    assert set(checks(report, "versions")) >= {"Python", "Porter", "numpy", "onnxruntime"}
    model = checks(report, "model tones")
    assert [model[name]["ok"] for name in ("card", "checksum", "metadata", "runs")] == [True] * 4
    assert re.match(r"\d+\.\d\d ms for a hop", model["runs"]["detail"])
    assert "largest difference" in model["parity"]["detail"]
    assert checks(report, "inference")["in use"]["detail"].startswith("CPUExecutionProvider")


def test_doctor_says_what_to_do_about_each_failure(models, tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text(
        "wake: {models: [{model: hello}, {model: none}]}\n"
        "audio: {source: file, path: none.wav}\ninference: {provider: cpu}\n"
    )
    code, report = doctor("--config", config, PORTER_MODELS=str(models))
    assert (code, report["ok"]) == (1, False)
    failed = [each for each in report["checks"] if each["ok"] is False]
    assert {each["group"] for each in failed} == {"model hello", "model none", "audio"}
    assert all(each["fix"] for each in failed)
    text = porter("doctor", "--config", config, PORTER_MODELS=str(models))
    assert text.returncode == 1
    assert text.stdout.count("✗") == text.stdout.count("->") == len(failed)


def test_doctor_survives_a_wrong_configuration(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("audio: {sorce: file}\n")
    code, report = doctor("--config", path)
    assert code == 1
    file = checks(report, "configuration")["file"]
    assert "the rest is checked with the defaults" in file["detail"]
    assert any("did you mean 'source'?" in each["detail"] for each in report["checks"])


@pytest.fixture
def tone_models(tmp_path) -> Path:
    card = write_tone_model(tmp_path, verifier=True)
    with card.open("a") as file:
        file.write("figures: {parity: {onnx_to_torch: 1.0e-06, hop_to_clip: 2.0e-06}}\n")
    (tmp_path / "config.yaml").write_text(
        "wake: {models: [{model: tones}]}\naudio: {source: pipe}\ninference: {provider: cpu}\n"
    )
    return tmp_path
