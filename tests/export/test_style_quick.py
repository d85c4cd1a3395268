"""A feature network and a painter are trained by their commands, quickly, and do learn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from daemon.inference import CPU
from daemon.vision.style.fast import open_painter
from daemon.vision.style.gradient import open_gradient
from tests.vision.painters import scene

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def export(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "export.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def test_features_learn_to_tell_shapes_apart(tmp_path: Path) -> None:
    said = export("features", "--quick", "--out", tmp_path, "--work", tmp_path / "work")
    assert "features.yaml" in said
    card = yaml.safe_load((tmp_path / "features.yaml").read_text())
    assert card["figures"]["accuracy"] > 0.4, "four shapes: chance is a quarter"
    assert card["figures"]["gradient_error"] <= 1e-4
    assert "smoke test" in card["data"][0]
    graph = open_gradient(tmp_path / "features.onnx", [CPU], 1)
    assert len(graph.card.style_widths) == 5


def test_a_painter_comes_nearer_to_its_style(tmp_path: Path) -> None:
    picture = tmp_path / "squares.png"
    cv2.imwrite(str(picture), scene(3, 96, 96, 4))
    arguments = ("--style", picture, "--quick", "--out", tmp_path, "--work", tmp_path / "work")
    said = export("style", *arguments)
    assert "style-squares.yaml" in said
    card = yaml.safe_load((tmp_path / "style-squares.yaml").read_text())
    figures = card["figures"]
    assert figures["parity"] <= 1e-4
    assert figures["style"] < 0.7 * figures["style_before"]
    painter = open_painter(tmp_path / "style-squares.onnx", [CPU], 1)
    image = scene(5, 70, 50)
    painting = painter.paint(image)
    assert painting.shape == image.shape
    assert np.abs(painting.astype(int) - image).mean() > 5
