"""The whole way to a painter: gather, learn, export, compare with PyTorch, write the card."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from daemon.vision.pictures import read_image
from export.convert import OPSET, TOLERANCE, ParityError, publishing, save, save_card, sha256
from export.features.graph import read as read_features
from export.features.material import drawn, gather
from export.features.model import Features, equally_loud, random_network
from export.features.recipe import Sources, told_recipe
from export.style.model import MULTIPLE, Painter, Shape
from export.style.train import StyleRecipe, train

VERSION = "1"
SIZES = ((96, 128), (160, 64))
"""Heights and widths at which file and network are compared."""


def quick(seed: int) -> StyleRecipe:
    """A smoke test: under a minute on two cores."""
    shape = Shape((8, 12, 16), 1)
    return StyleRecipe(steps=50, batch=4, crop=64, style_size=64, shape=shape, seed=seed)


def run(
    recipe: StyleRecipe,
    style: Path,
    features: Path | None,
    sources: Sources | None,
    out: Path,
    work: Path,
    name: str,
) -> Path:
    """Train and ship; returns the card.

    Args:
        recipe: how.
        style: the picture whose manner is learnt.
        features: what `porter-export features` wrote; None: a random network, for a smoke test.
        sources: contents; None: drawn pictures.
        out: folder of the model.
        work: folder of weights and logs.
        name: of the model.

    Raises:
        SourceError: a picture cannot be read.
        ModelError: the feature network cannot be read.
    """
    painted = sized(read_image(style), recipe.style_size)
    if sources is None:
        material = drawn(recipe.seed)
        data = ["drawn shapes: a smoke test, not a model"]
    else:
        material = gather(sources.labelled, sources.pictures, sources.side)
        data = [f"the style of {style.stem}", f"{len(material.learning)} pictures", *sources.terms]
    if features is None:
        some = material.learning.images[:16].float() / 255
        network = equally_loud(random_network(((8,), (12,), (16,), (16,)), recipe.seed), some)
    else:
        network = read_features(features)
        data.append(f"through the feature network {features.stem}")
    learning, checking = material.learning, material.checking
    painter, figures = train(recipe, Features(network), painted, learning, checking, work)
    told = {"seed": recipe.seed, "data": data, "recipe": told_recipe(recipe), "figures": figures}
    summary = f"Paints like {style.stem.replace('_', ' ')}"
    with publishing(out) as made:
        return out / ship(painter, made, name, summary, told).name


def sized(image: npt.NDArray[np.uint8], longest: int) -> npt.NDArray[np.float32]:
    """A BGR picture as (3, h, w) RGB of 0 to 1, its longest side so many pixels."""
    factor = longest / max(image.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)
    pixels = scaled[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)
    return np.ascontiguousarray(pixels / np.float32(255))


def ship(painter: Painter, out: Path, name: str, summary: str, told: dict[str, object]) -> Path:
    """Write file and card of a painter, and compare the file with PyTorch."""
    path = out / f"{name}.onnx"
    export(painter, path, name)
    figures = told.pop("figures")
    assert isinstance(figures, dict)
    return save_card(
        path,
        {
            "kind": "style-fast",
            "name": name,
            "version": VERSION,
            "file": path.name,
            "sha256": sha256(path),
            "licence": "MIT",
            "summary": summary,
            "input": {"channels": "rgb", "multiple": MULTIPLE},
            **told,
            "figures": {"parity": float(f"{check_parity(painter, path):.2g}")} | figures,
        },
    )


def export(painter: Painter, path: Path, name: str) -> None:
    """Write the ONNX file; it appears whole or not at all."""
    rows, columns = (torch.export.Dim(each, min=3, max=1024) for each in ("rows", "columns"))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            painter.cpu().eval(),
            (torch.rand(1, 3, 64, 80),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["painting"],
            dynamic_shapes=({2: MULTIPLE * rows, 3: MULTIPLE * columns},),
            verbose=False,
        )
    assert program is not None
    described = {
        "kind": "style-fast",
        "name": name,
        "version": VERSION,
        "input": {"channels": "rgb", "multiple": MULTIPLE},
    }
    save(program.model_proto, path, described)


def check_parity(painter: Painter, path: Path, sizes: Sequence[tuple[int, int]] = SIZES) -> float:
    """The largest difference of file and network, of pixels of 0 to 1.

    Raises:
        ParityError: it is above 1e-4.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng, worst = np.random.default_rng(0), 0.0
    for height, width in sizes:
        image = rng.random((1, 3, height, width), np.float32)
        with torch.inference_mode():
            expected = painter(torch.from_numpy(image)).numpy()
        given = session.run(["painting"], {"image": image})[0]
        worst = max(worst, float(np.abs(given - expected).max()))
    if worst > TOLERANCE:
        raise ParityError(f"{path}: differs from its network by {worst:.2g}, above {TOLERANCE}")
    return worst
