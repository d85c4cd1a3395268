"""The benchmarks of style transfer, as commands, over small networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.vision.painters import scene, write_features, write_negative

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("room")
    write_features(folder)
    write_negative(folder)
    for name in ("contents/louvre", "styles/monet_poppies"):
        file = folder / f"shared/data/style/{name}.jpg"
        file.parent.mkdir(parents=True)
        cv2.imwrite(str(file), scene(len(name), 96, 80))
    return folder


def bench(room: Path, name: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *map(str, arguments), "--shared", room / "shared"],
        cwd=ROOT,
        env=os.environ | {"PORTER_MODELS": str(room)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cost_beside_pytorch(room):
    said = bench(
        room, "style", "--size", "64", "--steps", "12", "--torch-steps", "12",
        "--fast", "negative", "--json",
    )  # fmt: skip
    facts = json.loads(said)
    assert facts["steps"] == 12
    assert facts["style"] < facts["style_start"]
    assert facts["torch_style"] == pytest.approx(facts["style"], rel=0.5)
    a_step = facts["seconds"] / facts["steps"]
    assert facts["ratio"] == pytest.approx(a_step / facts["torch_seconds_a_step"], rel=0.1)
    assert 0 < facts["fast_ms"] < 1000
    assert facts["peak_mib_at_1024"] > 100


def test_a_contact_sheet(room):
    out = room / "sheet.png"
    bench(
        room, "style_sheet", "--features", "one=features", "--features", "features",
        "--pair", "louvre", "monet_poppies", "--size", "64", "--steps", "3", "-o", out,
    )  # fmt: skip
    sheet = cv2.imread(str(out))
    assert sheet.shape[1] == 4 * (320 + 6), "content, style, and a column for each network"
