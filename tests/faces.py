"""Faces that are drawn, and small networks that find and tell them apart.

A drawn face is a random pattern of grey blocks, one pattern for each person, with a coloured square
in its middle that says how the head is turned. The detector is a network that answers to the colour
in cells of 32 pixels; the encoder projects the blocks at random. They follow the contract of real
ones: files, cards, metadata, inputs and outputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import yaml
from onnx import helper

from daemon.vision.alignment import ARCFACE
from daemon.vision.face import LANDMARKS
from daemon.vision.priors import STRIDES
from tests.models import build_model
from tests.vision.heads import landmarks_of

Image = npt.NDArray[np.uint8]

CELL = 32
SIDE = 112
"""Side in pixels of a drawn face's box: what is cut out around one has the same cells again."""
BLOCK = 8
GREY = 114
YAWS = {"straight": 0.0, "left": 22.0, "right": -22.0}
COLOURS = {"straight": (255, 0, 255), "left": (0, 0, 255), "right": (255, 0, 0)}
"""BGR of the square in the middle of a face."""
DIMENSION = 128


def draw(
    *people: int, view: str = "straight", noise: float = 0.0, seed: int = 0, blurred: bool = False
) -> Image:
    """A picture with one face for each person, side by side; the same call gives the same picture.

    Args:
        people: their numbers.
        view: how the heads are turned.
        noise: standard deviation of what differs between pictures of a person, in grey levels.
        seed: of the noise.
        blurred: whether the faces have no detail.
    """
    columns = 3 + 6 * max(1, len(people))
    picture = np.full((8 * CELL, columns * CELL, 3), GREY, np.uint8)
    for place, person in enumerate(people):
        column, row = 4 + 6 * place, 3
        middle = ((column + 0.5) * CELL, (row + 0.5) * CELL)
        face = _pattern(person, noise, seed)
        if blurred:
            face = np.full_like(face, 120)
        left, top = int(middle[0] - SIDE / 2), int(middle[1] - SIDE / 2)
        picture[top : top + SIDE, left : left + SIDE] = face[..., None]
        cell = picture[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        cell[:] = COLOURS[view]
    return picture


def _pattern(person: int, noise: float, seed: int) -> Image:
    blocks = np.random.default_rng(person).uniform(40, 210, (SIDE // BLOCK, SIDE // BLOCK))
    if noise:
        blocks = blocks + np.random.default_rng([person, seed]).normal(0, noise, blocks.shape)
    grown = np.kron(blocks, np.ones((BLOCK, BLOCK)))
    return np.clip(grown, 0, 255).astype(np.uint8)


def write_picture(path: Path, picture: Image) -> Path:
    assert cv2.imwrite(str(path), picture)
    return path


def write_face_models(folder: Path, *, encoder: str = "face", seed: int = 7) -> Path:
    """Write a detector `facedetect` and an encoder into a folder, and give the folder.

    Args:
        folder: to write into.
        encoder: its name.
        seed: of its projection: another one is another encoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_detector(folder)
    _write_encoder(folder, encoder, seed)
    return folder


def _write_detector(folder: Path) -> None:
    facts = {"input": {"channels": "bgr", "longest_side": 960}}
    facts |= {"strides": list(STRIDES), "landmarks": list(LANDMARKS)}
    card = {"threshold": 0.5, "overlap": 0.4}
    model = build_model(
        _detector_nodes(),
        _detector_constants(),
        {"rows": [1, 15, -1]},
        inputs={"image": [1, 3, "height", "width"]},
        outputs={"cells": [1, 15, "n"]},
    )
    _write(folder, "facedetect", "face-detector", model, facts, card)


def _detector_constants() -> dict[str, npt.NDArray[np.floating]]:
    codes = [_codes(view) for view in ("straight", "left", "right")]
    return {
        # Red and blue without green, of 0 to 255: 1 in a cell of that colour.
        "colours": np.array([[0, -1, 1], [1, -1, 0]])[..., None, None] / 255,
        "half": np.array(0.5),
        "steep": np.array(40.0),
        "one": np.array(1.0),
        "weights": np.stack([np.concatenate([[60], code]) for code in codes], 1)[..., None, None],
        "bias": np.concatenate([[-30], np.zeros(14)]),
        "quiet": np.zeros((15, 3, 1, 1)),
        "never": np.concatenate([[-30], np.zeros(14)]),
    }


def _detector_nodes() -> list[Any]:
    def pool(stride: int) -> Any:
        shape = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        return ("AveragePool", ["image"], [f"mean{stride}"], shape)

    nodes = [pool(32), ("Conv", ["mean32", "colours"], ["tint"], {})]
    nodes += [
        ("Sub", ["tint", "half"], ["centred"], {}),
        ("Mul", ["centred", "steep"], ["logit"], {}),
        ("Sigmoid", ["logit"], ["shown"], {}),
        ("Split", ["shown"], ["red", "blue"], {"axis": 1, "num_outputs": 2}),
        ("Sub", ["one", "red"], ["no_red"], {}),
        ("Sub", ["one", "blue"], ["no_blue"], {}),
        ("Mul", ["red", "blue"], ["straight"], {}),
        ("Mul", ["red", "no_blue"], ["left"], {}),
        ("Mul", ["blue", "no_red"], ["right"], {}),
        ("Concat", ["straight", "left", "right"], ["views"], {"axis": 1}),
        ("Conv", ["views", "weights", "bias"], ["cells32"], {}),
    ]
    for stride in (8, 16):
        nodes += [
            pool(stride),
            ("Conv", [f"mean{stride}", "quiet", "never"], [f"cells{stride}"], {}),
        ]
    nodes += [("Reshape", [f"cells{s}", "rows"], [f"flat{s}"], {}) for s in STRIDES]
    nodes.append(("Concat", [f"flat{s}" for s in STRIDES], ["cells"], {"axis": 2}))
    return nodes


def _codes(view: str) -> npt.NDArray[np.float64]:
    """(14,) what a cell says of the face around it: box, then landmarks."""
    points = landmarks_of(yaw=YAWS[view], distance=1e4, focal=1e5)
    points = points - points.mean(0)
    points *= 0.3 * SIDE / np.ptp(points[:, 1])
    return np.concatenate([[0, 0], np.log([SIDE / CELL] * 2), points.ravel() / CELL])


def _write_encoder(folder: Path, name: str, seed: int) -> None:
    pooled = 14 * 14
    projection = np.random.default_rng(seed).normal(0, 1, (pooled, DIMENSION))
    model = build_model(
        [
            ("AveragePool", ["faces"], ["pooled"], {"kernel_shape": [8, 8], "strides": [8, 8]}),
            ("ReduceMean", ["pooled", "channels"], ["grey"], {"keepdims": 0}),
            ("Flatten", ["grey"], ["flat"], {}),
            ("MatMul", ["flat", "projection"], ["vectors"], {}),
        ],
        {"projection": projection},
        {"channels": [1]},
        inputs={"faces": ["n", 3, 112, 112]},
        outputs={"vectors": ["n", DIMENSION]},
    )
    # As the card's reader would write it: the metadata must be the same to the letter.
    prepared = {"width": 112, "height": 112, "channels": "bgr", "mean": [120.0] * 3}
    prepared |= {"scale": 0.01, "template": ARCFACE.tolist()}
    points = [{"fmr": 1e-4, "threshold": 0.6}, {"fmr": 1e-3, "threshold": 0.7}]
    facts = {"dimension": DIMENSION, "input": prepared}
    _write(folder, name, "face-encoder", model, facts, {"operating_points": points})


def _write(
    folder: Path,
    name: str,
    kind: str,
    model: onnx.ModelProto,
    facts: Mapping[str, Any],
    card: Mapping[str, Any],
) -> None:
    own = {"kind": kind, "name": name, "version": "1", **facts}
    helper.set_model_props(model, {"porter": json.dumps(own)})
    onnx.checker.check_model(model, full_check=True)
    raw = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(raw)
    written = {
        **own,
        **card,
        "file": f"{name}.onnx",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "licence": "MIT",
        "summary": "For tests.",
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
