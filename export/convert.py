"""From PyTorch to the ONNX file that ships: export, metadata, parity, card."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import multiprocessing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
import yaml
from onnxscript import opset20

from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.cards import METADATA_KEY
from export.wake.model import WakeGraph

TOLERANCE = 1e-4
OPSET = 20
OWN_TERMS = "on the terms of what it was trained on, which are those of who trained it: see data"
"""Licence of a network that learnt from what was given to it alone."""
op: Any = opset20
Audio = npt.NDArray[np.float32]


class ParityError(RuntimeError):
    """The exported graph does not give the numbers of the network that it was made from."""


@dataclass(frozen=True)
class Parity:
    """Largest differences of a probability over a clip."""

    onnx_to_torch: float
    hop_to_clip: float


def export_wake(
    graph: WakeGraph, path: Path, name: str, words: Sequence[str], version: str
) -> None:
    """Write the streaming graph with the dynamo exporter; the file appears whole or not at all."""
    # In a process of its own: torch 2.13 cannot export a second GRU in one process.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        process.submit(_export_wake, graph.cpu().eval(), path, name, list(words), version).result()


def _export_wake(graph: WakeGraph, path: Path, name: str, words: list[str], version: str) -> None:
    state = graph.initial_state()
    names = [f"state_{index:02d}" for index in range(len(state))]
    steps = torch.export.Dim("steps", min=1, max=4096)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (torch.randn(1, HOP * 4), state),
            dynamo=True,
            opset_version=OPSET,
            input_names=["pcm", *names],
            output_names=["probability", "columns", *(f"next_{name}" for name in names)],
            dynamic_shapes=({1: HOP * steps}, [None] * len(state)),
            custom_translation_table={torch.ops.aten.gru.input: _gru},
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # The recurrent layer's translation writes the example's length into the shapes behind it.
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.name == "probability":
            value.type.tensor_type.shape.dim[1].dim_param = "steps"
    described = {
        "kind": "wake",
        "name": name,
        "version": version,
        "words": words,
        "sample_rate": SAMPLE_RATE,
        "hop": HOP,
    }
    save(model, path, described)


def save(model: onnx.ModelProto, path: Path, described: Mapping[str, Any]) -> None:
    """Write a graph with what it says about itself; the file appears whole or not at all."""
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(described)})
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(model)
    partial = path.with_suffix(".tmp")
    onnx.save(model, str(partial))
    partial.replace(path)


def drop_unused(graph: onnx.GraphProto) -> None:
    """Take the constants out that no node of a graph reads."""
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _gru(x: Any, hidden: Any, weights: Sequence[Any], *_settings: Any) -> tuple[Any, Any]:
    """One batch-first layer as ONNX's GRU; the exporter's own way costs a dozen nodes more.

    Args:
        x: (batch, steps, inputs).
        hidden: (1, batch, hidden).
        weights: of the inputs and of the hidden vector, then the biases of both; rows of the gates
            in torch's order: reset, update, new. ONNX's is update, reset, new.
    """
    size = hidden.shape[2]
    rows = [*range(size, 2 * size), *range(size), *range(2 * size, 3 * size)]
    of_input, of_hidden, *biases = [
        op.Gather(each, op.Constant(value_ints=rows), axis=0) for each in weights
    ]
    steps, last = op.GRU(
        op.Transpose(x, perm=[1, 0, 2]),
        op.Unsqueeze(of_input, [0]),
        op.Unsqueeze(of_hidden, [0]),
        op.Unsqueeze(op.Concat(*biases, axis=0), [0]),
        None,
        hidden,
        hidden_size=size,
        linear_before_reset=1,
    )
    return op.Transpose(op.Squeeze(steps, [1]), perm=[1, 0, 2]), last


def check_parity(graph: WakeGraph, path: Path, samples: Audio) -> Parity:
    """Compare the file with the network, and hop by hop with the whole clip.

    Args:
        graph: the network.
        path: the exported file.
        samples: (n,) a clip with speech in it, n a multiple of 1,280.

    Raises:
        ParityError: a difference is above 1e-4.
    """
    with torch.inference_mode():
        expected = graph(torch.from_numpy(samples[None]), graph.initial_state())[0].numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    whole = _run(session, [samples])
    hops = _run(session, list(samples.reshape(-1, HOP)))
    parity = Parity(float(np.abs(whole - expected).max()), float(np.abs(hops - whole).max()))
    if max(parity.onnx_to_torch, parity.hop_to_clip) > TOLERANCE:
        raise ParityError(f"{path}: {parity} is above {TOLERANCE}")
    return parity


def export_look(
    graph: torch.nn.Module, side: int, path: Path, output: str, described: Mapping[str, Any]
) -> float:
    """Write a graph that looks at one find of a detector, and compare it with the network.

    Args:
        graph: takes (1, 3, side, side) of 0 to 255.
        side: of what it looks at, in pixels.
        path: to write to; the file appears whole or not at all.
        output: name of what it gives.
        described: what the file says of itself.

    Returns:
        The largest difference, as a share of the largest number that the network gives.

    Raises:
        ParityError: it is above 1e-4.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (torch.rand(1, 3, side, side),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["face"],
            output_names=[output],
            verbose=False,
        )
    assert program is not None
    save(program.model_proto, path, described)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(8):
        face = rng.integers(0, 256, (1, 3, side, side)).astype(np.float32)
        with torch.inference_mode():
            expected = graph(torch.from_numpy(face)).numpy()
        given = session.run([output], {"face": face})[0]
        largest = max(1.0, float(np.abs(expected).max()))
        worst = max(worst, float(np.abs(given - expected).max()) / largest)
    if worst > TOLERANCE:
        raise ParityError(f"{path}: differs from its network by {worst:.2g}, above {TOLERANCE}")
    return worst


def _run(session: Any, parts: Sequence[Audio]) -> npt.NDArray[np.float32]:
    inputs = session.get_inputs()[1:]
    state = {each.name: np.zeros(each.shape, np.float32) for each in inputs}
    probabilities = []
    for part in parts:
        probability, _, *following = session.run(None, {"pcm": part[None], **state})
        state = dict(zip(state, following, strict=True))
        probabilities.append(probability)
    return np.concatenate(probabilities, axis=1)


def write_card(
    path: Path,
    name: str,
    version: str,
    words: Sequence[Mapping[str, Any]],
    summary: str,
    licence: str,
    **free: Any,
) -> Path:
    """Write the card of an ONNX file beside it; `free` holds data, recipe, seed and figures."""
    return save_card(
        path,
        {
            "kind": "wake",
            "name": name,
            "version": version,
            "file": path.name,
            "sha256": sha256(path),
            "licence": licence,
            "summary": summary,
            "input": {"sample_rate": SAMPLE_RATE, "hop": HOP},
            "words": [dict(word) for word in words],
            **free,
        },
    )


def save_card(path: Path, card: Mapping[str, Any]) -> Path:
    """Write the fields of a card beside its ONNX file, whole or not at all; returns its path."""
    target = path.with_suffix(".yaml")
    partial = target.with_suffix(".tmp")
    partial.write_text(yaml.safe_dump(dict(card), sort_keys=False, allow_unicode=True, width=100))
    partial.replace(target)
    return target


@contextmanager
def publishing(out: Path) -> Iterator[Path]:
    """A folder in which a model is made before it takes the place of the one before.

    What lies in it in the end, a model's files and its card, is moved into `out`, the card last. If
    an error ends the making, or the machine stops, `out` stays as it is.

    Args:
        out: folder of the model; is made if it is not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=out) as folder:
        yield Path(folder)
        for made in sorted(Path(folder).iterdir(), key=lambda each: each.suffix == ".yaml"):
            made.replace(out / made.name)


def plain(value: Any) -> Any:
    """Tuples as lists: YAML has no others."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def sha256(path: Path) -> str:
    """SHA-256 of a file, in lower-case hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parity_figures(parity: Parity) -> dict[str, float]:
    """Parity as a card states it."""
    return {name: float(f"{value:.2g}") for name, value in asdict(parity).items()}
