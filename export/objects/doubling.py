"""Maps of whole numbers made twice as large by copies of memory alone.

ONNX Runtime keeps such maps with the channels of a place side by side, and its Resize then looks
every number up one by one. Beside each other, a row with its columns doubled is the row with its
channels doubled, and a map with its rows doubled is two maps row by row: both are a Concat.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.convert import drop_unused


def copy_instead_of_resize(model: onnx.ModelProto) -> None:
    """Replace every Resize between two steps of whole numbers, in place; the results stay.

    Args:
        model: a graph of one picture whose Resizes repeat each place twice, in rows and columns.

    Raises:
        ValueError: a Resize stands between numbers of different steps, or does something else.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    shapes = {
        each.name: [side.dim_value for side in each.type.tensor_type.shape.dim]
        for each in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for node in [each for each in graph.node if each.op_type == "Resize"]:
        below = makers.get(node.input[0])
        above = [each for each in graph.node if node.output[0] in each.input]
        around = [each.op_type for each in (below, *above) if each is not None]
        if below is None or around != ["DequantizeLinear", "QuantizeLinear"]:
            raise ValueError(f"{node.name}: not between whole numbers")
        steps = zip(below.input[1:], above[0].input[1:], strict=True)
        if not all(np.array_equal(values[one], values[other]) for one, other in steps):
            raise ValueError(f"{node.name}: its numbers have other steps afterwards")
        if values[node.input[2]].tolist() != [1, 1, 2, 2] or _mode(node) != "nearest":
            raise ValueError(f"{node.name}: does not repeat each place twice")
        channels = shapes[node.input[0]][1]
        made, constants = doubled(node.name, below.input[0], above[0].output[0], channels)
        place = list(graph.node).index(node)
        graph.node.remove(node)
        graph.node.remove(above[0])
        for each in reversed(made):
            graph.node.insert(place, each)
        graph.initializer.extend(constants)
    drop_unused(graph)


def doubled(
    name: str, source: str, target: str, channels: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes that make (1, channels, 2h, 2w) `target` of (1, channels, h, w) `source`.

    Returns:
        The nodes, whose names begin with `name`, and their constants.
    """
    shapes = {
        "columns": [0, 0, -1, channels],
        "apart": [-1, 1, 0, channels],
        "map": [1, -1, 0, channels],
    }
    rows, wide, columns, apart, high, whole = (
        f"{name}_{each}" for each in ("rows", "wide", "columns", "apart", "high", "map")
    )
    make = helper.make_node
    nodes = [
        make("Transpose", [source], [rows], perm=[0, 2, 3, 1]),
        make("Concat", [rows, rows], [wide], axis=3),
        make("Reshape", [wide, f"{columns}_shape"], [columns]),
        make("Reshape", [columns, f"{apart}_shape"], [apart]),
        make("Concat", [apart, apart], [high], axis=1),
        make("Reshape", [high, f"{whole}_shape"], [whole]),
        make("Transpose", [whole], [target], perm=[0, 3, 1, 2]),
    ]
    for each in nodes:
        each.name = f"{each.output[0]}_made"
    constants = [
        numpy_helper.from_array(np.array(shape, np.int64), f"{name}_{key}_shape")
        for key, shape in shapes.items()
    ]
    return nodes, constants


def _mode(node: onnx.NodeProto) -> str:
    found = next((each.s.decode() for each in node.attribute if each.name == "mode"), "nearest")
    return str(found)
