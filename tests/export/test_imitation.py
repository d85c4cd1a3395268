"""Learning from a teacher's features: the teacher's numbers, and what is compared with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from daemon.errors import ModelError
from export.objects.augment import Augmentation
from export.objects.imitate import Teacher, difference
from export.objects.model import MultiScale, Widths
from export.objects.sketches import draw_pictures
from export.objects.train import Recipe, train
from export.objects.yolox import Yolox

STEMS = ["stem8", "stem16", "stem32"]


def teacher(path: Path, heads: int = 3) -> Path:
    """A network of YOLOX's form: a focus, a pyramid, heads that part after their stems."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def constant(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(x: str, out: str, inputs: int, outputs: int, size: int = 1, stride: int = 1) -> str:
        kernel = rng.normal(0, 0.3, (outputs, inputs, size, size)).astype(np.float32)
        names = [constant(f"{out}.w", kernel), constant(f"{out}.b", np.ones(outputs, np.float32))]
        pads = [size // 2] * 4
        nodes.append(
            helper.make_node(
                "Conv",
                [x, *names],
                [f"{out}.c"],
                kernel_shape=[size, size],
                strides=[stride, stride],
                pads=pads,
                group=1,
            )
        )
        nodes.append(helper.make_node("Sigmoid", [f"{out}.c"], [f"{out}.s"]))
        nodes.append(helper.make_node("Mul", [f"{out}.c", f"{out}.s"], [out]))
        return out

    for axis in (2, 3):
        for first in (0, 1):
            constant(f"start{axis}{first}", np.array([first]))
        constant(f"end{axis}", np.array([2**40]))
        constant(f"axis{axis}", np.array([axis]))
    constant("two", np.array([2]))
    corners = []
    for row in (0, 1):
        for column in (0, 1):
            row_name, both = f"rows{row}{column}", f"corner{row}{column}"
            steps = [f"start2{row}", "end2", "axis2", "two"]
            nodes.append(helper.make_node("Slice", ["images", *steps], [row_name]))
            steps = [f"start3{column}", "end3", "axis3", "two"]
            nodes.append(helper.make_node("Slice", [row_name, *steps], [both]))
            corners.append(both)
    nodes.append(helper.make_node("Concat", corners, ["focus"], axis=1))
    at8 = conv(conv("focus", "four", 12, 6, 3, 2), "eight", 6, 6, 3, 2)
    at16 = conv(at8, "sixteen", 6, 8, 3, 2)
    at32 = conv(at16, "last", 8, 8, 3, 2)
    nodes.append(
        helper.make_node(
            "MaxPool", [at32], ["pooled"], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4
        )
    )
    nodes.append(helper.make_node("Add", [at32, "pooled"], ["deep"]))
    constant("scales", np.array([1, 1, 2, 2], np.float32))
    nodes.append(
        helper.make_node(
            "Resize",
            ["deep", "", "scales"],
            ["grown"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
    )
    nodes.append(helper.make_node("Concat", ["grown", at16], ["joined"], axis=1))
    levels = [(at8, 6), ("joined", 16), ("deep", 8)]
    constant("shape", np.array([1, 7, -1]))
    rows = []
    for stem, (x, channels) in list(zip(STEMS, levels, strict=True))[:heads]:
        conv(x, stem, channels, 5)
        classes, boxes = conv(stem, f"{stem}c", 5, 4), conv(stem, f"{stem}b", 5, 4)
        for name, source, count in (("box", boxes, 4), ("object", boxes, 1), ("class", classes, 2)):
            conv(source, f"{stem}{name}", 4, count)
        parts = [f"{stem}box", f"{stem}object", f"{stem}class"]
        nodes.append(helper.make_node("Concat", parts, [f"{stem}rows"], axis=1))
        nodes.append(helper.make_node("Reshape", [f"{stem}rows", "shape"], [f"{stem}flat"]))
        rows.append(f"{stem}flat")
    nodes.append(helper.make_node("Concat", rows, ["output"], axis=2))
    graph = helper.make_graph(
        nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 128, 128])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def test_the_teachers_features_are_those_of_its_file(tmp_path: Path) -> None:
    path = teacher(tmp_path / "yolox.onnx")
    model = onnx.load(path)
    for name in STEMS:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    images = np.random.default_rng(1).uniform(0, 255, (1, 3, 128, 128)).astype(np.float32)
    expected = session.run(STEMS, {"images": images})
    with torch.inference_mode():
        features = Yolox(path)(torch.from_numpy(images))
    assert [each.shape[2] for each in features] == [16, 8, 4]
    for ours, theirs in zip(features, expected, strict=True):
        assert ours.numpy() == pytest.approx(theirs, rel=1e-4, abs=1e-3)


def test_what_is_not_a_yolox_is_refused_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"two.onnx: not a YOLOX: 2 heads instead of 3"):
        Yolox(teacher(tmp_path / "two.onnx", heads=2))
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ModelError, match=r"text.onnx: not an ONNX file"):
        Yolox(tmp_path / "text.onnx")


def test_features_are_alike_whatever_their_size_and_their_mean() -> None:
    torch.manual_seed(0)
    teachers = torch.rand(4, 3, 10, 10)
    assert float(difference(5 * teachers - 2, teachers)) < 1e-4
    assert float(difference(-teachers, teachers)) == pytest.approx(2, abs=0.01)
    assert float(difference(torch.rand(4, 3, 10, 10), teachers)) == pytest.approx(1, abs=0.2)
    # A map of another size is compared place by place.
    assert float(difference(teachers[:, :, ::2, ::2], teachers)) < 1.0


def test_a_detector_comes_to_see_what_its_teacher_sees(tmp_path: Path) -> None:
    network = Yolox(teacher(tmp_path / "yolox.onnx"))
    pictures = draw_pictures(24, 128, 0)
    widths = Widths(channels=(8, 8, 12, 16, 16), blocks=(1, 1, 1), pyramid=12, v1=8)
    gentle = Augmentation(mosaic=0.25, smallest=0.8, largest=1.25)
    recipe = Recipe(
        steps=25, batch=8, side=128, rate=6e-3, smoothing=0.9, imitation=20.0, widths=widths,
        augmentation=gentle,
    )  # fmt: skip

    def unexplained(imitated: Yolox | None) -> float:
        """Share of the teacher's variance that no linear map of a network's features gives."""
        learnt = train(recipe, pictures, tmp_path, imitated=imitated)
        assert isinstance(learnt, MultiScale)
        images = pictures.images.float() / 255
        with torch.no_grad():
            # The norms of so short a run know too little of their channels: take the pictures'.
            seen = learnt.train().features(images)
            wanted = Teacher(network, torch.device("cpu"), torch.float32).features(images)
        shares = []
        for own, other in zip(seen, wanted, strict=True):
            resized = torch.nn.functional.interpolate(other, own.shape[2:], mode="bilinear")
            x = torch.cat([own, torch.ones_like(own[:, :1])], 1).transpose(0, 1).flatten(1).T
            y = resized.transpose(0, 1).flatten(1).T
            y = (y - y.mean(0)) / y.std(0)
            shares.append((x @ torch.linalg.lstsq(x, y).solution - y).square().mean())
        return float(torch.stack(shares).mean())

    assert unexplained(network) < 0.93 * unexplained(None)
    assert (tmp_path / "multi.pt").exists()
