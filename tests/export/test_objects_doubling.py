"""Maps of whole numbers are doubled by copies of memory, and stay the very same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from export.objects import quantise as module
from export.objects.doubling import copy_instead_of_resize, doubled
from export.objects.graph import export, graph_of
from export.objects.model import MultiScale, Widths
from export.objects.quantise import quantise, seen
from export.objects.sketches import draw_pictures


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 4, 3, 5), (1, 7, 6, 2)])
def test_every_place_stands_twice_in_rows_and_columns(shape: tuple[int, ...]) -> None:
    nodes, constants = doubled("up", "small", "large", shape[1])
    graph = helper.make_graph(
        nodes,
        "up",
        [helper.make_tensor_value_info("small", TensorProto.UINT8, [1, shape[1], "h", "w"])],
        [helper.make_tensor_value_info("large", TensorProto.UINT8, [1, shape[1], "h2", "w2"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    given = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    (found,) = session.run(None, {"small": given})
    assert (found == given.repeat(2, 2).repeat(2, 3)).all()


def test_a_detector_gives_the_same_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = MultiScale(Widths((8, 8, 16, 16, 16), (1, 1, 1), 16, 8, "plain"))
    pictures = draw_pictures(4, 128, 0)
    sessions = []
    for name in ("copies", "resizes"):
        if name == "resizes":
            monkeypatch.setattr(module, "copy_instead_of_resize", lambda model: None)
        graph, path = graph_of(network, 128), tmp_path / f"{name}.onnx"
        quantise(path, seen(pictures, 32), export(graph, path, name, "1"))
        kinds = [each.op_type for each in onnx.load(path).graph.node]
        assert kinds.count("Resize") == (2 if name == "resizes" else 0)
        sessions.append(onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]))
    rng = np.random.default_rng(1)
    for height, width in [(128, 128), (64, 96), (96, 32)]:
        image = rng.integers(0, 256, (1, 3, height, width)).astype(np.float32)
        copies, resizes = (each.run(None, {"image": image})[0] for each in sessions)
        assert (copies == resizes).all()


def test_a_graph_in_floating_point_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MultiScale(Widths((8, 8, 16, 16, 16), (1, 1, 1), 16, 8, "plain"))
    export(graph_of(network, 128), tmp_path / "small.onnx", "small", "1")
    with pytest.raises(ValueError, match="not between whole numbers"):
        copy_instead_of_resize(onnx.load(tmp_path / "small.onnx"))
