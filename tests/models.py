"""A small wake model that hears tones, made here so that the daemon is tested without training.

It follows the contract of a real one: raw sound in, state in and out, a probability per step. A
word is "said" by 0.2 s of a sine of its frequency: its share of the power in the last 105 ms goes
through a leaky integrator (an RNN cell with fixed weights) and a sigmoid.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

RATE, HOP, TAIL = 16_000, 1_280, 400
WINDOW = TAIL + HOP
WIDTH = 96

Array = npt.NDArray[np.float32]


def write_tone_model(
    folder: Path,
    name: str = "tones",
    words: Mapping[str, float] = {"low": 500.0},
    *,
    verifier: bool = False,
    threshold: float = 0.6,
    refractory: float = 1.0,
    metadata: Mapping[str, Any] = {},
) -> Path:
    """Write NAME.onnx and NAME.yaml for words that are tones, and return the card's path.

    Args:
        words: frequency in hertz of each word.
        verifier: add a second look, which rejects tones of an amplitude below about 0.1.
        metadata: what the file shall say about itself instead of the truth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = _tone_graph(list(words.values()))
    facts = {
        "kind": "wake",
        "name": name,
        "version": "1",
        "words": list(words),
        "sample_rate": RATE,
        "hop": HOP,
    } | dict(metadata)
    helper.set_model_props(model, {"porter": json.dumps(facts)})
    onnx.checker.check_model(model, full_check=True)
    entries = [
        {
            "word": word,
            "threshold": threshold,
            "smoothing": 2,
            "refractory": refractory,
            "duration": 0.2,
            "delay": 0.0,
        }
        for word in words
    ]
    if verifier:
        sha256 = _write(folder / f"{name}.verify.onnx", _loudness_graph())
        second = {"file": f"{name}.verify.onnx", "sha256": sha256}
        for entry in entries:
            entry["verifier"] = {**second, "loose_threshold": 0.4, "threshold": 0.5}
    card = {
        "kind": "wake",
        "name": name,
        "version": "1",
        "file": f"{name}.onnx",
        "sha256": _write(folder / f"{name}.onnx", model),
        "licence": "MIT",
        "summary": "Hears tones; for tests.",
        "input": {"sample_rate": RATE, "hop": HOP},
        "words": entries,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    return path


def _write(path: Path, model: onnx.ModelProto) -> str:
    raw = model.SerializeToString()
    path.write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def _tone_graph(frequencies: list[float]) -> onnx.ModelProto:
    words = len(frequencies)
    angle = 2 * np.pi * np.array(frequencies)[:, None] * np.arange(WINDOW) / RATE
    scale = np.sqrt(2.0) / WINDOW  # the power of a sine of amplitude a becomes a² / 2
    constants = {
        "filters": np.concatenate([np.cos(angle), np.sin(angle)])[:, None] * scale,
        "mean": np.full((1, 1, WINDOW), 1 / WINDOW),
        "floor": np.array(1e-6),
        "input_weight": 0.5 * np.eye(words)[None],
        "memory_weight": 0.5 * np.eye(words)[None],
        "gain": np.array(12.0),
        "centre": np.array(0.45),
        "spread": np.ones((words, WIDTH)),
    }
    integers = {
        "from_tail": [-TAIL],
        "to_end": [2**31 - 1],
        "last_axis": [2],
        "first": [0],
        "pcm_axis": [1],
        "direction_axis": [1],
        "halves": [words, words],
    }
    nodes = [
        ("Unsqueeze", ["pcm", "pcm_axis"], ["pcm3"], {}),
        ("Concat", ["state_tail", "pcm3"], ["sound"], {"axis": 2}),
        ("Slice", ["sound", "from_tail", "to_end", "last_axis"], ["next_state_tail"], {}),
        ("Conv", ["sound", "filters"], ["parts"], {"strides": [HOP]}),
        ("Mul", ["parts", "parts"], ["squares"], {}),
        ("Split", ["squares", "halves"], ["cosine", "sine"], {"axis": 1}),
        ("Add", ["cosine", "sine"], ["tone"], {}),
        ("Mul", ["sound", "sound"], ["energy"], {}),
        ("Conv", ["energy", "mean"], ["power"], {"strides": [HOP]}),
        ("Add", ["power", "floor"], ["floored"], {}),
        ("Div", ["tone", "floored"], ["share"], {}),
        ("Transpose", ["share"], ["sequence"], {"perm": [2, 0, 1]}),
        (
            "RNN",
            ["sequence", "input_weight", "memory_weight", "", "", "state_level"],
            ["levels4", "next_state_level"],
            {"hidden_size": words, "activations": ["Relu"]},
        ),
        ("Squeeze", ["levels4", "direction_axis"], ["levels"], {}),
        ("Transpose", ["levels"], ["by_step"], {"perm": [1, 0, 2]}),
        ("Sub", ["by_step", "centre"], ["centred"], {}),
        ("Mul", ["centred", "gain"], ["logit"], {}),
        ("Sigmoid", ["logit"], ["probability"], {}),
        ("MatMul", ["by_step", "spread"], ["columns"], {}),
    ]
    return build_model(
        nodes,
        constants,
        integers,
        inputs={
            "pcm": [1, "samples"],
            "state_tail": [1, 1, TAIL],
            "state_level": [1, 1, words],
        },
        outputs={
            "probability": [1, "steps", words],
            "columns": [1, "steps", WIDTH],
            "next_state_tail": [1, 1, TAIL],
            "next_state_level": [1, 1, words],
        },
    )


def _loudness_graph() -> onnx.ModelProto:
    return build_model(
        [
            ("Slice", ["pcm", "start", "end", "axis"], ["ending"], {}),
            ("Mul", ["ending", "ending"], ["energy"], {}),
            ("ReduceMean", ["energy", "axis"], ["power"], {"keepdims": 0}),
            ("Sqrt", ["power"], ["level"], {}),
            ("Sub", ["level", "centre"], ["centred"], {}),
            ("Mul", ["centred", "gain"], ["logit"], {}),
            ("Sigmoid", ["logit"], ["probability"], {}),
        ],
        {"centre": np.array(0.07), "gain": np.array(200.0)},
        {"start": [-HOP], "end": [2**31 - 1], "axis": [1]},
        inputs={"pcm": [1, 2 * RATE]},
        outputs={"probability": [1]},
    )


def build_model(
    nodes: Sequence[Any],
    constants: Mapping[str, npt.NDArray[np.floating]],
    integers: Mapping[str, list[int]],
    inputs: Mapping[str, list[int | str]],
    outputs: Mapping[str, list[int | str]],
) -> onnx.ModelProto:
    """A graph of operators, by hand: (kind, inputs, outputs, attributes) each."""

    def describe(shapes: Mapping[str, list[int | str]]) -> list[onnx.ValueInfoProto]:
        kind = TensorProto.FLOAT
        return [helper.make_tensor_value_info(n, kind, shape) for n, shape in shapes.items()]

    initial = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in constants.items()]
    initial += [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in integers.items()]
    graph = helper.make_graph(
        [helper.make_node(kind, i, o, **attributes) for kind, i, o, attributes in nodes],
        "test",
        describe(inputs),
        describe(outputs),
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model
