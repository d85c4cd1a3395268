"""The file of a feature network: written, read again, and compared with PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from daemon.cards import METADATA_KEY
from daemon.errors import ModelError
from daemon.vision.style.cards import TERMS
from export.convert import TOLERANCE, ParityError, save
from export.features.drawing import draw
from export.features.loss import Target, losses
from export.features.model import FeatureNetwork, Features, Floats, gram


def described(network: FeatureNetwork, name: str, version: str) -> dict[str, Any]:
    """What the file says about itself, and its card as well."""
    block, place = network.content
    return {
        "kind": "style-gradient",
        "name": name,
        "version": version,
        "input": {"channels": "rgb", "multiple": network.multiple},
        "style_widths": [each[0] for each in network.widths],
        "content_width": network.widths[block][place],
        "content_stride": 2**block,
        "content_layer": [block, place],
    }


def write(
    network: FeatureNetwork, path: Path, name: str = "features", version: str = "1"
) -> dict[str, Any]:
    """Write the graph of a network, whole or not at all; returns what it says about itself."""
    facts = described(network, name, version)
    save(draw(network), path, facts)
    return facts


def read(path: Path) -> FeatureNetwork:
    """The network of a file that :func:`write` made.

    Raises:
        ModelError: the file cannot be read, or is another kind of model.
    """
    try:
        model = onnx.load(str(path))
        facts = json.loads(next(e.value for e in model.metadata_props if e.key == METADATA_KEY))
        stored = {each.name: numpy_helper.to_array(each).copy() for each in model.graph.initializer}
        names = [name.split("_")[1].split(".") for name in stored if name.startswith("weight_")]
        blocks: list[list[tuple[Floats, Floats]]] = []
        for block, place in sorted((int(first), int(second)) for first, second in names):
            if place == 1:
                blocks.append([])
            key = f"{block}.{place}"
            blocks[-1].append((stored[f"weight_{key}"], stored[f"bias_{key}"]))
        mean, deviation = stored["mean"].ravel(), stored["deviation"].ravel()
        content = (int(facts["content_layer"][0]), int(facts["content_layer"][1]))
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    # protobuf has many errors for what is no model; what else can fail says that it is another.
    except Exception:
        raise ModelError(f"{path}: not a feature network (porter-export features)") from None
    return FeatureNetwork(tuple(map(tuple, blocks)), mean, deviation, content)


def check_parity(network: FeatureNetwork, path: Path, side: int = 96, seed: int = 0) -> float:
    """Compare the file's gradient with what PyTorch finds by itself.

    Returns:
        Norm of the difference over the norm of the gradient.

    Raises:
        ParityError: it is above 1e-4, or a term of the loss differs by as much.
    """
    rng = np.random.default_rng(seed)
    # Coarse, middling and fine noise: of pictures that are alike, only rounding would be compared.
    image, content, style = (
        np.kron(
            rng.random((1, 3, side // grain, side // grain), np.float32), np.ones((grain, grain))
        ).astype(np.float32)
        for grain in (4, 16, 1)
    )
    image = 1.2 * image - np.float32(0.1)  # some of it darker than black, lighter than white
    weights = rng.uniform(0.5, 2.0, len(TERMS)).astype(np.float32)
    features = Features(network)
    with torch.no_grad():
        wanted = features(torch.from_numpy(content)).content
        grams = [gram(each) for each in features(torch.from_numpy(style)).styles]
    x = torch.from_numpy(image).requires_grad_()
    off = losses(features, x, Target(wanted, grams))
    off.total(*map(float, weights)).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {"image": image, "content": wanted.numpy(), "weights": weights}
    feed |= {f"style_{place}": each.numpy() for place, each in enumerate(grams, 1)}
    terms, gradient = session.run(["terms", "gradient"], feed)
    expected = np.array([float(getattr(off, each).detach()) for each in TERMS])
    worst = max(
        float(np.linalg.norm(gradient - x.grad.numpy()) / x.grad.norm()),
        float(np.max(np.abs(terms - expected) / expected)),
    )
    if worst > TOLERANCE:
        raise ParityError(f"{path}: gradient or loss is off by {worst:.2g}, above {TOLERANCE}")
    return worst
