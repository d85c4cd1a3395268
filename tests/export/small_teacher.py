"""A speech teacher of the real one's shape but small, with weights by chance, and sounds for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from daemon.audio.features import MEL_BANDS, SAMPLE_RATE
from export.data.mixing import Databases
from export.data.pools import Pool
from export.trunk.model import EMBEDDING, RECEPTIVE_FRAMES
from export.trunk.teacher import SpeechTeacher

WIDTH = 6
POOLS = [(2, 2), (1, 2), (2, 2), (1, 2), (2, 2)]
WIDTHS = (4, 5, 5, 5, 5)
"""Of a trunk that learns from it in seconds."""


def write_teacher(path: Path) -> SpeechTeacher:
    """Twenty convolutions, (time, bands) in size, between two reshapes."""
    rng = np.random.default_rng(0)
    nodes, weights, at = [], [], "levels_0"
    shape = numpy_helper.from_array(np.array([1, 1, RECEPTIVE_FRAMES, MEL_BANDS]), "shape")
    flat = numpy_helper.from_array(np.array([1, 1, 1, EMBEDDING]), "flat")
    nodes.append(helper.make_node("Reshape", ["input", "shape"], [at]))

    def convolution(before: int, after: int, time: int, band: int, rectified: bool = True) -> None:
        nonlocal at
        number = len(weights)
        scale = np.sqrt(2 / (before * time * band))
        kernel = (scale * rng.standard_normal((after, before, time, band))).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel_{number}"))
        pads = [0, band // 2, 0, band // 2]
        nodes.append(
            helper.make_node("Conv", [at, f"kernel_{number}"], [f"linear_{number}"], pads=pads)
        )
        at = f"linear_{number}"
        if rectified:
            nodes.append(helper.make_node("LeakyRelu", [at], [f"out_{number}"], alpha=0.2))
            at = f"out_{number}"

    for stage, pool in enumerate(POOLS):
        if stage == 0:
            convolution(1, WIDTH, 3, 3)
        for _ in range(1 if stage == 0 else 2):
            convolution(WIDTH, WIDTH, 1, 3)
            convolution(WIDTH, WIDTH, 3, 1)
        nodes.append(
            helper.make_node("MaxPool", [at], [f"pool_{stage}"], kernel_shape=pool, strides=pool)
        )
        at = f"pool_{stage}"
    convolution(WIDTH, EMBEDDING, 3, 1, rectified=False)
    nodes.append(helper.make_node("Reshape", [at, "flat"], ["output"]))
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("input", 1, [1, RECEPTIVE_FRAMES, MEL_BANDS, 1])],
        [helper.make_tensor_value_info("output", 1, [1, 1, 1, EMBEDDING])],
        [*weights, shape, flat],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return SpeechTeacher(path)


def sounds() -> Databases:
    """Bursts of harmonics, each with a pitch and an envelope of its own."""
    rng, pool = np.random.default_rng(1), Pool()
    for _ in range(40):
        time = np.arange(int(rng.uniform(0.3, 1.0) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = rng.uniform(90, 300) * np.exp(rng.uniform(-0.5, 0.5) * time)
        tones = [np.sin(2 * np.pi * k * pitch * time) * rng.random() for k in range(1, 12)]
        pool.add([(0.05 * np.sum(tones, axis=0)).astype(np.float32)])
    return Databases({}, [(1.0, pool)], [])
