"""Small networks for style transfer, made here: features by chance, and a painter of negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from export.convert import save, save_card, sha256
from export.features.model import FeatureNetwork, random_network
from export.features.recipe import ship

WIDTHS = ((6,), (8,), (10, 10))
Image = npt.NDArray[np.uint8]


def write_features(folder: Path, name: str = "features") -> FeatureNetwork:
    """Write a feature network that has learnt nothing, with its card."""
    network = random_network(WIDTHS, 3)
    ship(network, folder, name, "none", {})
    return network


def write_negative(folder: Path, name: str = "negative") -> Path:
    """Write a painter that gives the negative of a picture; returns its card."""
    sides = [1, 3, "height", "width"]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)
    painting = helper.make_tensor_value_info("painting", TensorProto.FLOAT, sides)
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    node = helper.make_node("Sub", ["one", "image"], ["painting"])
    graph = helper.make_graph([node], "negative", [image], [painting], [one])
    facts = {
        "kind": "style-fast",
        "name": name,
        "version": "1",
        "input": {"channels": "rgb", "multiple": 4},
    }
    path = folder / f"{name}.onnx"
    opset = [helper.make_opsetid("", 20)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=10), path, facts)
    files = {"file": path.name, "sha256": sha256(path), "licence": "none", "summary": "x"}
    return save_card(path, facts | files)


def scene(seed: int, width: int = 96, height: int = 72, grain: int = 8) -> Image:
    """Coloured squares with a little noise: edges to keep, and colours to change."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (-(-height // grain), -(-width // grain), 3))
    whole = np.kron(small, np.ones((grain, grain, 1)))[:height, :width]
    return np.clip(whole + rng.normal(0, 4, whole.shape), 0, 255).astype(np.uint8)
