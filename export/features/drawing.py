"""The loss of style transfer and its gradient, both as one ONNX graph.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks" (2016). ONNX
Runtime has no gradients on a device, so the backward pass is written out in ordinary operators:

- of a convolution with stride 1 and "same" padding: the convolution with the same weights, turned
  by 180 degrees, and inputs and outputs swapped;
- of a ReLU: nothing where it gave nothing;
- of an average pooling: each value spread evenly over the four that it came from;
- of a squared difference of Gram matrices (their equation 6): the difference, times the features.

The weight of a layer is one over the square of the style's Gram matrix, so that each layer says how
far it is from the style as a share; likewise the content. Weights then mean the same for every
network and every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from daemon.vision.style.cards import CHANNELS, TERMS
from export.convert import OPSET
from export.features.model import FeatureNetwork, Floats

IR_VERSION = 10
"""Of the file format: the newest that ONNX Runtime 1.20 reads."""


class Drawing:
    """An ONNX graph that is being drawn; values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(
        self, value: Any, kind: type[np.generic] = np.float32, name: str | None = None
    ) -> str:
        """Add numbers; returns their name."""
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def rename(self, value: str, name: str) -> None:
        """Give a value a name that people see."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name))


class _Layer:
    """What the backward pass needs of a convolution and its ReLU."""

    def __init__(self, weight: str, output: str) -> None:
        self.weight = weight
        self.output = output
        self.gradients: list[str] = []


def draw(network: FeatureNetwork) -> onnx.ModelProto:
    """The graph of a network; :mod:`daemon.vision.style.gradient` says what goes in and out."""
    graph = Drawing()
    mean = graph.constant(network.mean.reshape(1, 3, 1, 1), name="mean")
    deviation = graph.constant(network.deviation.reshape(1, 3, 1, 1), name="deviation")
    x = graph("Div", graph("Sub", "image", mean), deviation)
    layers: list[_Layer | None] = []
    styles: list[_Layer] = []
    content: _Layer | None = None
    for block, convolutions in enumerate(network.blocks):
        if block:
            x = graph("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
            layers.append(None)
        for place, (weight, bias) in enumerate(convolutions):
            name = f"{block + 1}.{place + 1}"
            kernel = graph.constant(weight, name=f"weight_{name}")
            shift = graph.constant(bias, name=f"bias_{name}")
            x = graph("Relu", graph("Conv", x, kernel, shift, pads=[1, 1, 1, 1]))
            layers.append(layer := _Layer(kernel, x))
            if place == 0:
                styles.append(layer)
            if (block, place) == network.content:
                content = layer
    assert content is not None, "checked by the network"
    ways = [_style(graph, layer, place, len(styles)) for place, layer in enumerate(styles, 1)]
    losses = {"content": _content(graph, content), "style": graph("Sum", *ways)}
    gradient = graph("Div", _backward(graph, layers), deviation)
    losses["variation"], rough = _variation(graph)
    losses["excess"], beyond = _excess(graph)
    graph.rename(graph("Concat", *(losses[each] for each in TERMS), axis=0), "terms")
    graph.rename(graph("Sum", gradient, rough, beyond), "gradient")
    graph.rename(content.output, "content_features")
    block, place = network.content
    widths = network.widths
    return _model(graph, [each[0] for each in widths], widths[block][place])


def _weight(graph: Drawing, term: str) -> str:
    """The weight of a term: a scalar."""
    place = graph.constant(TERMS.index(term), np.int64)
    return graph("Gather", "weights", place)


def _size(graph: Drawing, value: str, start: int = 0) -> str:
    """How many numbers a value has, from dimension `start` on, as a float."""
    count = graph("ReduceProd", graph("Shape", value, start=start), keepdims=0)
    return graph("Cast", count, to=TensorProto.FLOAT)


def _content(graph: Drawing, layer: _Layer) -> str:
    """Squared difference of the features from those of the content, over theirs; (1,)."""
    off = graph("Sub", layer.output, "content")
    whole = graph("ReduceSumSquare", "content", keepdims=0)
    layer.gradients.append(_pull(graph, "content", 2.0, whole, off))
    return _share(graph, off, whole)


def _style(graph: Drawing, layer: _Layer, place: int, count: int) -> str:
    """Squared difference of a layer's Gram matrix from that of the style, over its; (1,)."""
    rows = graph("Reshape", layer.output, graph.constant([0, 0, -1], np.int64))
    area = _size(graph, layer.output, start=2)
    product = graph("MatMul", rows, graph("Transpose", rows, perm=[0, 2, 1]))
    gram = graph("Div", product, area)
    graph.rename(gram, f"gram_{place}")
    off = graph("Sub", gram, f"style_{place}")
    square = graph("ReduceSumSquare", f"style_{place}", keepdims=0)
    # The derivative of the Gram matrix has two equal parts, since the matrix is symmetric.
    pull = _pull(graph, "style", 4.0 / count, graph("Mul", square, area), off)
    back = graph("MatMul", pull, rows)
    layer.gradients.append(graph("Reshape", back, graph("Shape", layer.output)))
    return graph("Div", _share(graph, off, square), graph.constant(float(count)))


def _pull(graph: Drawing, term: str, factor: float, whole: str, off: str) -> str:
    """The difference times a term's weight and a factor, over the whole."""
    scale = graph("Div", graph("Mul", _weight(graph, term), graph.constant(factor)), whole)
    return graph("Mul", scale, off)


def _share(graph: Drawing, off: str, whole: str) -> str:
    """Sum of the squared difference over the whole, (1,)."""
    part = graph("Div", graph("ReduceSumSquare", off, keepdims=0), whole)
    return graph("Reshape", part, graph.constant([1], np.int64))


def _backward(graph: Drawing, layers: Sequence[_Layer | None]) -> str:
    """From the gradients at the layers to that at the first convolution's input."""
    gradient: str | None = None
    for layer in reversed(layers):
        if layer is None:
            assert gradient is not None, "every block ends in a layer with a loss behind it"
            gradient = _unpool(graph, gradient)
            continue
        given = [*([gradient] if gradient else []), *layer.gradients]
        if not given:
            continue
        whole = graph("Sum", *given) if len(given) > 1 else given[0]
        active = graph("Mul", whole, graph("HardSigmoid", layer.output, alpha=1e30, beta=0.0))
        gradient = graph("Conv", active, _turned(graph, layer.weight), pads=[1, 1, 1, 1])
    assert gradient is not None, "there is at least one layer"
    return gradient


def _turned(graph: Drawing, weight: str) -> str:
    """Weights (outputs, inputs, 3, 3) of the convolution that goes back; folded at load."""
    ends, axes, steps = ([-(2**31)] * 2, [2, 3], [-1, -1])
    swapped = graph("Transpose", weight, perm=[1, 0, 2, 3])
    slices = [graph.constant(each, np.int64) for each in ([-1, -1], ends, axes, steps)]
    return graph("Slice", swapped, *slices)


def _unpool(graph: Drawing, gradient: str) -> str:
    """Each value on four places, a quarter each."""
    quarter = graph("Mul", gradient, graph.constant(0.25))
    scales = graph.constant([1, 1, 2, 2])
    return graph(
        "Resize",
        quarter,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _variation(graph: Drawing) -> tuple[str, str]:
    """Mean squared difference of neighbours, (1,), and its weighted gradient.

    The sum of the squared differences is x' L x with the graph Laplacian L, whose gradient is 2 L x
    (edges repeated, so that nothing lies beyond them).
    """
    border = graph.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    cross: Floats = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
    kernel = graph.constant(np.broadcast_to(cross, (CHANNELS, 1, 3, 3)))
    padded = graph("Pad", "image", border, mode="edge")
    laplacian = graph("Conv", padded, kernel, group=CHANNELS)
    square = graph("ReduceMean", graph("Mul", "image", laplacian), keepdims=0)
    scale = graph("Div", graph.constant(2.0), _size(graph, "image"))
    pull = graph("Mul", graph("Mul", _weight(graph, "variation"), scale), laplacian)
    return graph("Reshape", square, graph.constant([1], np.int64)), pull


def _excess(graph: Drawing) -> tuple[str, str]:
    """Mean squared distance of pixels from black or white, beyond them, and its gradient."""
    inside = graph("Clip", "image", graph.constant(0.0), graph.constant(1.0))
    beyond = graph("Sub", "image", inside)
    square = graph("ReduceMean", graph("Mul", beyond, beyond), keepdims=0)
    scale = graph("Div", graph.constant(2.0), _size(graph, "image"))
    pull = graph("Mul", graph("Mul", _weight(graph, "excess"), scale), beyond)
    return graph("Reshape", square, graph.constant([1], np.int64)), pull


def _model(graph: Drawing, widths: Sequence[int], content_width: int) -> onnx.ModelProto:
    def value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    picture: list[int | str] = [1, CHANNELS, "height", "width"]
    features: list[int | str] = [1, content_width, "rows", "columns"]
    squares = [[1, width, width] for width in widths]
    inputs = [
        value("image", picture),
        value("content", features),
        *(value(f"style_{place}", each) for place, each in enumerate(squares, 1)),
        value("weights", [len(TERMS)]),
    ]
    outputs = [
        value("terms", [len(TERMS)]),
        value("gradient", picture),
        value("content_features", features),
        *(value(f"gram_{place}", each) for place, each in enumerate(squares, 1)),
    ]
    drawn = helper.make_graph(graph.nodes, "style_gradient", inputs, outputs, graph.constants)
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(drawn, opset_imports=opset, ir_version=IR_VERSION)
