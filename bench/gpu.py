"""Whether an NVIDIA GPU gives what the processor gives, and how fast.

    python -m bench.gpu

Every model that ships is run by both on the same input, and so are the commands, as a person would
run them: once with `--provider cpu`, once with `--provider cuda`. Fails where numbers differ by
more than the stated tolerance, where a model's work does not go to the GPU, or without a GPU.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import soundfile
import yaml

from bench.common import ROOT, json_option, machine, plain_errors, show, table
from daemon.errors import ConfigError
from daemon.inference import CUDA, choose_providers, cuda_obstacle, open_session
from daemon.vision.pictures import read_image

TOLERANCE = 1e-3
"""Of each output of a model: norm of the difference, relative to the norm of the output."""
WHOLE_TOLERANCE = 0.05
"""The same of models in whole numbers: a sum that lies between two of them is rounded up by one
provider and down by the other."""
ANSWER_TOLERANCE = 0.02
"""Of the numbers that commands print: probabilities, scores, pixels."""
RUNS = 20
DEMO = ROOT / "assets" / "demo"
PICTURE = DEMO / "enrolled.jpg"
SOUND = DEMO / "activate.flac"
BESIDE = 0.4
"""Seconds of sound before and after a word in a recording of it."""

COMMANDS = {
    "run, sound": ["run", "--file", str(SOUND), "--fast"],
    "run, camera": ["run", "--config", "{look}", "--camera", str(DEMO / "walk-up.mp4"), "--fast"],
    "words, enroll": ["words", "enroll", "open up", "{takes}", "--force", "--json"],
    "words, test": ["words", "test", "{takes}", "--json"],
    "verify": ["verify", "ada", str(PICTURE), "--json"],
    "identify": ["identify", str(PICTURE), "--json"],
    "cluster": ["cluster", str(DEMO), "--json"],
    "detect": ["detect", str(PICTURE), "--json"],
    "daynight": ["daynight", str(PICTURE), "--json"],
    "style, fast": [
        "style",
        "--fast",
        "style-great-wave",
        str(PICTURE),
        "-o",
        "{out}.png",
        "--json",
    ],
}
"""What a person would type; `{look}` is a configuration without a microphone, `{takes}` a folder of
recordings of one word. Style transfer by
optimisation is not among them: rounding grows with every step."""

_CHANGING = {"id", "time", "provider", "captured", "first", "last", "cpu_seconds", "wall_seconds",
             "startup_ms", "created", "latency_ms", "peak_memory_mb", "seconds"}  # fmt: skip
"""Fields that differ from one run to the next anyhow."""

_SIZES = {"height": 480, "width": 640, "rows": 60, "columns": 80}
"""Of dimensions that a model leaves open: a picture, and its map at a stride of 8."""

Feed = dict[str, npt.NDArray[Any]]


@click.command()
@click.option(
    "--models",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=ROOT / "models",
    help="Folder whose models are run. [default: models]",
)
@click.option("--commands/--no-commands", default=True, help="Also run the commands.")
@json_option
def main(models: Path, commands: bool, as_json: bool) -> None:
    """Compare a GPU with the processor: outputs, answers, milliseconds."""
    with plain_errors():
        if obstacle := cuda_obstacle():
            raise ConfigError(f"there is no GPU to measure: {obstacle}")
        compared = [compare_model(path) for path in sorted(models.glob("*.onnx"))]
        answered = list(compare_commands()) if commands else []
    facts = {"machine": machine(), "gpu": gpu(), "models": compared, "commands": answered}
    model_rows = [[each["model"], f"{each['difference']:.1e}", f"{each['on_gpu']:.0%}",
                   f"{each['cpu_ms']:.2f}", f"{each['cuda_ms']:.2f}"]
                  for each in compared]  # fmt: skip
    command_rows = [[each["command"], each["flaw"] or f"{each['difference']:.1e}",
                     f"{each['cpu_s']:.1f}", f"{each['cuda_s']:.1f}"]
                    for each in answered]  # fmt: skip
    text = "\n\n".join(
        (
            f"{facts['machine']}; {facts['gpu']}",
            table(["model", "difference", "nodes on the GPU", "CPU ms", "CUDA ms"], model_rows),
            table(["command", "difference", "CPU s", "CUDA s"], command_rows),
        )
    )
    show(facts, text, as_json)
    apart = [each["model"] for each in compared if each["difference"] > each["tolerance"]]
    idle = [each["model"] for each in compared if not each["on_gpu"]]
    wrong = [each["command"] for each in answered if each["flaw"]]
    if apart or idle or wrong:
        click.echo(f"differ: {apart + wrong}; not on the GPU: {idle}", err=True)
        sys.exit(1)


def gpu() -> str:
    """Name and driver of the GPU."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()


def compare_model(path: Path) -> dict[str, Any]:
    """One model on both: the largest difference, the GPU's share of the nodes, milliseconds."""
    outputs, times = {}, {}
    for provider in ("cpu", "cuda"):
        session = open_session(path, choose_providers(provider))
        given = feed(session)
        outputs[provider] = session.run(None, given)
        spans = []
        for _ in range(RUNS):
            start = time.perf_counter()
            session.run(None, given)
            spans.append(1000 * (time.perf_counter() - start))
        times[provider] = round(median(spans), 3)
    return {
        "model": path.stem,
        "difference": max(map(relative, outputs["cpu"], outputs["cuda"])),
        "tolerance": WHOLE_TOLERANCE if in_whole_numbers(path) else TOLERANCE,
        "on_gpu": share_on_gpu(path, given),
        "cpu_ms": times["cpu"],
        "cuda_ms": times["cuda"],
    }


def in_whole_numbers(path: Path) -> bool:
    """Whether a model computes in whole numbers of eight bits."""
    nodes = onnx.load(path, load_external_data=False).graph.node
    return any(node.op_type == "QuantizeLinear" for node in nodes)


def feed(session: ort.InferenceSession) -> Feed:
    """Inputs that fit a model: a picture where it takes pictures, else noise, states of zeros."""
    rng = np.random.default_rng(0)
    given = {}
    for each in session.get_inputs():
        shape = [size if isinstance(size, int) else _SIZES.get(size) for size in each.shape]
        if each.name.startswith("state_"):
            given[each.name] = np.zeros([size or 1 for size in shape], np.float32)
        elif len(shape) == 4 and shape[1] == 3:
            image = cv2.resize(read_image(PICTURE), (shape[3] or 640, shape[2] or 480))
            given[each.name] = image.transpose(2, 0, 1)[None].astype(np.float32)
        else:
            # Sound: 0.8 seconds, a whole number of hops.
            sizes = [size or (12_800 if at else 1) for at, size in enumerate(shape)]
            given[each.name] = rng.normal(0, 0.1, sizes).astype(np.float32)
    return given


def relative(expected: npt.NDArray[Any], got: npt.NDArray[Any]) -> float:
    """Norm of the difference over the norm of what is expected; infinite where shapes differ.

    Not the largest difference: a gradient through ReLUs jumps where an activation is all but zero,
    at single pixels, for the rounding of a different order of sums.
    """
    if expected.shape != got.shape:
        return math.inf
    difference = np.linalg.norm(got.astype(np.float64).ravel() - expected.ravel())
    return float(difference / max(1e-6, float(np.linalg.norm(expected.ravel()))))


def share_on_gpu(path: Path, given: Feed) -> float:
    """Share of a run's nodes that the CUDA provider computes, by ONNX Runtime's own profile."""
    options = ort.SessionOptions()
    options.enable_profiling = True
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(str(path), options, providers=choose_providers("cuda"))
        session.run(None, given)
        profile = json.loads(Path(session.end_profiling()).read_text())
    ran = [each["args"]["provider"] for each in profile if each.get("args", {}).get("provider")]
    return ran.count(CUDA) / max(1, len(ran))


def compare_commands() -> Iterator[dict[str, Any]]:
    """Each command on both, with what it printed compared."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        own = {"gallery": {"path": str(folder / "gallery.db"), "key": str(folder / "key")},
               "control": {"path": str(folder / "socket")}}  # fmt: skip
        listen, look = folder / "listen.yaml", folder / "look.yaml"
        listen.write_text(yaml.safe_dump(own))
        look.write_text(yaml.safe_dump(own | {"audio": {"enabled": False}}))
        # Nothing of it stays among the people and words of whoever measures.
        os.environ |= {"PORTER_CONFIG": str(listen), "STATE_DIRECTORY": str(folder / "state")}
        answer(["enroll", "ada", str(PICTURE)])
        takes = cut_takes(folder / "takes")
        for name, command in COMMANDS.items():
            places = {"look": look, "takes": takes, "out": folder / "out"}
            words = [word.format(**places) for word in command]
            spans, said = {}, {}
            for provider in ("cpu", "cuda"):
                start = time.perf_counter()
                said[provider] = answer([*words, "--provider", provider])
                spans[provider] = round(time.perf_counter() - start, 2)
            flaw, difference = None, 0.0
            try:
                difference = apart(said["cpu"], said["cuda"])
            except Unlike as unlike:
                flaw = str(unlike)
            yield {"command": name, "difference": difference, "flaw": flaw,
                   "cpu_s": spans["cpu"], "cuda_s": spans["cuda"]}  # fmt: skip


def cut_takes(folder: Path) -> Path:
    """A folder of recordings of the word that the demo's recording says, one each."""
    folder.mkdir()
    events = answer(["run", "--file", str(SOUND), "--fast"])
    samples, rate = soundfile.read(SOUND, dtype="float32")
    for event in events:
        if event["type"] == "porter.wake.detected":
            onset, end = (event["data"][name] for name in ("onset", "end"))
            take = samples[max(0, round((onset - BESIDE) * rate)) : round((end + BESIDE) * rate)]
            soundfile.write(folder / f"{onset:06.2f}.wav", take, rate)
    return folder


def answer(words: list[str]) -> list[Any]:
    """What a command prints, as JSON values: one a line, or a single one."""
    command = [sys.executable, "-m", "daemon.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode not in (0, 1):
        raise ConfigError(f"porter {' '.join(words)}: {done.stderr.strip()}")
    text = done.stdout.strip()
    if words[0] == "enroll":
        return []
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


class Unlike(Exception):
    """Two answers that say different things."""


def apart(one: Any, other: Any, where: str = "") -> float:
    """Largest difference of the numbers in two answers that otherwise say the same.

    Raises:
        Unlike: they do not; the message says where.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        keys = [key for key in one if key not in _CHANGING and not key.endswith("_time")]
        return max((apart(one[key], other[key], f"{where}.{key}") for key in keys), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other))
        return max((apart(*pair, f"{where}[{at}]") for at, pair in pairs), default=0.0)
    if isinstance(one, float) and isinstance(other, float | int):
        difference = abs(one - other) / max(1.0, abs(one))
        if difference <= ANSWER_TOLERANCE:
            return difference
    if one != other:
        raise Unlike(f"{where}: {one} and {other}"[:200])
    return 0.0


if __name__ == "__main__":
    main()
