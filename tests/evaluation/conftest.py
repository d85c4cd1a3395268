"""A model that hears a 1 kHz tone, and little corpora in which it is "said"."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import soundfile as sf
import yaml
from onnx import TensorProto, helper, numpy_helper

from daemon.audio.features import HOP, SAMPLE_RATE

Audio = npt.NDArray[np.float32]


def tone(seconds: float, amplitude: float = 0.5, hertz: float = 1000.0) -> Audio:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def quiet(seconds: float) -> Audio:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def _graph() -> onnx.ModelProto:
    """probability = amplitude of the 1 kHz part of each hop; the state counts hops."""
    angle = 2 * np.pi * 1000 * np.arange(HOP) / SAMPLE_RATE
    basis = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32) * 2 / HOP

    def constant(name: str, value: npt.ArrayLike, kind: type = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(value, kind), name)

    constants = [
        constant("basis", basis), constant("hops", [1, -1, HOP], np.int64),
        constant("axis", [2], np.int64), constant("zero", 0.0), constant("one", 1.0),
        constant("row", np.zeros((2, 96))),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Reshape", ["pcm", "hops"], ["framed"]),
        helper.make_node("MatMul", ["framed", "basis"], ["parts"]),
        helper.make_node("ReduceL2", ["parts", "axis"], ["amplitude"], keepdims=1),
        helper.make_node("Clip", ["amplitude", "zero", "one"], ["probability"]),
        helper.make_node("MatMul", ["parts", "row"], ["columns"]),
        helper.make_node("Add", ["state_count", "one"], ["next_state_count"]),
    ]
    count = helper.make_tensor_value_info("state_count", TensorProto.FLOAT, [1, 1])
    pcm = helper.make_tensor_value_info("pcm", TensorProto.FLOAT, [1, "samples"])
    outputs = [
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, "steps", 1]),
        helper.make_tensor_value_info("columns", TensorProto.FLOAT, [1, "steps", 96]),
        helper.make_tensor_value_info("next_state_count", TensorProto.FLOAT, [1, 1]),
    ]
    graph = helper.make_graph(nodes, "tone", [pcm, count], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="session")
def tone_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with its card beside it; threshold 0.3, smoothing 2, refractory 1 s."""
    folder = tmp_path_factory.mktemp("model")
    model = _graph()
    described = {"kind": "wake", "name": "tone", "version": "1", "words": ["tone"],
                 "sample_rate": SAMPLE_RATE, "hop": HOP}  # fmt: skip
    helper.set_model_props(model, {"porter": json.dumps(described)})
    path = folder / "tone.onnx"
    onnx.save(model, path)
    word = {"word": "tone", "threshold": 0.3, "smoothing": 2, "refractory": 1.0,
            "duration": 0.3, "delay": 0.1}  # fmt: skip
    card = {"kind": "wake", "name": "tone", "version": "1", "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "licence": "MIT",
            "summary": "hears 1 kHz", "input": {"sample_rate": SAMPLE_RATE, "hop": HOP},
            "words": [word]}  # fmt: skip
    path.with_suffix(".yaml").write_text(yaml.safe_dump(card))
    return path


@dataclass
class Corpus:
    """Writes clips and their manifest."""

    folder: Path
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, name: str, samples: Audio, label: str, source: str = "", split: str = "") -> None:
        path = self.folder / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, samples, SAMPLE_RATE)
        self.rows.append({"path": f"{self.folder.name}/{name}.flac", "label": label,
                          "source": source, "split": split})  # fmt: skip

    @property
    def manifest(self) -> str:
        path = self.folder / "manifest.csv"
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, ["path", "label", "source", "split"])
            table.writeheader()
            table.writerows(self.rows)
        return str(path)


@pytest.fixture
def said(tmp_path: Path) -> Corpus:
    """Five tones of falling loudness; the last two are below the card's threshold of 0.3."""
    corpus = Corpus(tmp_path / "said")
    for number, amplitude in enumerate([0.9, 0.7, 0.5, 0.2, 0.1]):
        source = f"speaker_{'a' if number < 3 else 'b'}"
        corpus.add(f"tone{number}", tone(0.8, amplitude), "tone", source)
    return corpus


@pytest.fixture
def unsaid(tmp_path: Path) -> Corpus:
    """Three clips of 2.4 s; one sounds like the word twice, one a little."""
    corpus = Corpus(tmp_path / "unsaid")
    pieces = [tone(0.4, 0.6), quiet(1.2), tone(0.4, 0.4), quiet(0.4)]
    corpus.add("twice", np.concatenate(pieces), "speech", "radio", "test")
    corpus.add("faint", np.concatenate([tone(0.4, 0.15), quiet(2.0)]), "speech", "radio", "train")
    corpus.add("other", tone(2.4, 0.5, hertz=500.0), "music", "radio", "test")
    return corpus
