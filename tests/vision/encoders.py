"""A small face encoder, made here: it looks at the mean colour of a coarse grid of the face."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from daemon.vision.alignment import ARCFACE

GRID = 7


def write_encoder(
    folder: Path,
    name: str = "grid",
    *,
    dimension: int = 32,
    size: int = 112,
    seed: int = 0,
    card: Mapping[str, Any] = {},
    metadata: Mapping[str, Any] = {},
) -> Path:
    """Write NAME.onnx and NAME.yaml and return the card's path.

    Args:
        folder: where.
        name: of the model.
        dimension: of its vectors.
        size: side of an aligned face.
        seed: of its random projection.
        card: fields of the card that shall differ from the truth.
        metadata: what the file shall say about itself instead of the truth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    side = size // GRID
    weights = np.random.default_rng(seed).normal(size=(3 * GRID * GRID, dimension))
    nodes = [
        helper.make_node(
            "AveragePool", ["faces"], ["grid"], kernel_shape=[side] * 2, strides=[side] * 2
        ),
        helper.make_node("Flatten", ["grid"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["vectors"]),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 3, size, size])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", dimension])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    facts = {
        "kind": "face-encoder",
        "name": name,
        "version": "1",
        "dimension": dimension,
        "input": {
            "width": size,
            "height": size,
            "channels": "rgb",
            "mean": [127.5, 127.5, 127.5],
            "scale": 1 / 127.5,
            "template": (ARCFACE * size / 112).tolist(),
        },
    }
    helper.set_model_props(model, {"porter": json.dumps(facts | dict(metadata))})
    path = folder / f"{name}.onnx"
    onnx.save(model, str(path))
    fields = facts | {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "MIT",
        "summary": "for tests",
        "operating_points": [
            {"fmr": 0.001, "threshold": 0.5},
            {"fmr": 0.0001, "threshold": None, "reason": "too few faces"},
        ],
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields | dict(card)))
    return folder / f"{name}.yaml"
