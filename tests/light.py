"""A day-or-night model that goes by brightness, made here, and pictures to show it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import yaml
from onnx import helper

from tests.models import build_model
from tests.vision.pictures import noise

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


def scene(night: bool, seed: int) -> Image:
    """A picture as dark as night, or as light as day, with the noise of a sensor."""
    return noise(seed, level=25 if night else 190)
