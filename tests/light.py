"""A day-or-night model that goes by brightness, made here, and pictures of day and night."""

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

from tests.models import build_model

Image = npt.NDArray[np.uint8]
SIDE = 16


def write_light_model(
    folder: Path, name: str = "dusk", *, kind: str = "daynight", own: Mapping[str, Any] = {}
) -> Path:
    """Write NAME.onnx and NAME.yaml; night is where the mean level is below 0.3.

    Args:
        kind: what the card says that the model is.
        own: what the file says about itself instead of the truth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = build_model(
        [
            ("ReduceMean", ["image", "axes"], ["level"], {"keepdims": 0}),
            ("Sub", ["middle", "level"], ["dark"], {}),
            ("Mul", ["dark", "slope"], ["logit"], {}),
            ("Sigmoid", ["logit"], ["night"], {}),
        ],
        {"middle": np.array(0.3), "slope": np.array(30.0)},
        {"axes": [1, 2, 3]},
        inputs={"image": ["n", 3, SIDE, SIDE]},
        outputs={"night": ["n"]},
    )
    facts: dict[str, Any] = {
        "kind": "daynight",
        "name": name,
        "version": "1",
        "input": {"channels": "rgb", "side": SIDE},
        "labels": ["day", "night"],
    }
    helper.set_model_props(model, {"porter": json.dumps(facts | dict(own))})
    onnx.checker.check_model(model, full_check=True)
    raw = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(raw)
    card = facts | {
        "kind": kind,
        "file": f"{name}.onnx",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "licence": "MIT",
        "summary": "Goes by brightness; for tests.",
        "threshold": 0.5,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    return path


def scene(night: bool, seed: int, width: int = 160, height: int = 120) -> Image:
    """A drawn landscape: a sky over ground, with clouds by day and lamps at night."""
    rng = np.random.default_rng([int(night), seed])
    sky = rng.uniform((70, 15, 5), (120, 40, 30)) if night else rng.uniform((190, 150, 90), 255)
    ground = rng.uniform(5, 45, 3) if night else rng.uniform(60, 170, 3)
    picture = np.empty((height, width, 3), np.float32)
    horizon = int(height * rng.uniform(0.35, 0.7))
    picture[:horizon], picture[horizon:] = sky, ground
    for _ in range(int(rng.integers(3, 12))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        if night:
            cv2.circle(picture, centre, int(rng.integers(1, 5)), (150, 230, 255), -1)
        else:
            axes = (int(rng.integers(8, 30)), int(rng.integers(4, 9)))
            at = (centre[0], centre[1] * horizon // height)
            cv2.ellipse(picture, at, axes, 0, 0, 360, (250, 245, 240), -1)
    picture += rng.normal(0, 5, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_scenes(folder: Path, count: int, first: int = 0) -> Path:
    """`count` pictures each in `day/` and `night/`."""
    for night, name in enumerate(("day", "night")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            cv2.imwrite(str(folder / name / f"{seed:03d}.png"), scene(bool(night), seed))
    return folder
