"""The commands from end to end on drawn faces: training learns, and what it writes is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from daemon.cards import check_files, read_card
from daemon.inference import CPU
from daemon.people.normalisation import load_cohort
from daemon.vision.cards import EncoderCard
from daemon.vision.encoder import open_encoder
from tests.export.drawn_faces import draw, write_set
from tests.vision.encoders import write_encoder

ROOT = Path(__file__).parents[2]
STRANGERS = range(1000, 1024)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def export(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "export.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quick")
    write_set(folder / "data", "drawn", range(90), 6)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    return Path(
        export(
            folder,
            *("embed", "--quick", "--data", str(folder / "data"), "--set", "drawn"),
            *("--work", str(folder / "work"), "--out", str(folder / "models")),
            *("--terms", "drawn by the tests: no terms", "--processes", "1"),
        ).splitlines()[-1]
    )


def of_strangers(encoder) -> tuple[np.ndarray, np.ndarray]:
    """Distances between pictures of one person and of two, drawn for this alone."""
    pictures = [[draw(person, number) for number in range(2)] for person in STRANGERS]
    vectors = np.array([[encoder.embed(*one) for one in both] for both in pictures])
    same = ((vectors[:, 0] - vectors[:, 1]) ** 2).sum(1)
    other = ((vectors[:, None, 0] - vectors[None, :, 1]) ** 2).sum(2)
    return same, other[~np.eye(len(STRANGERS), dtype=bool)]


def test_a_quick_training_tells_strangers_apart(trained):
    same, other = of_strangers(open_encoder(trained, [CPU]))
    assert np.mean(same[:, None] < other[None]) > 0.93


def test_the_card_says_where_it_comes_from_and_what_it_can(trained):
    card = read_card(trained, EncoderCard)
    check_files(card)
    assert card.data["terms"] == ["drawn by the tests: no terms"]
    assert "pictures you have rights to" in card.licence
    assert card.recipe["variant"] == "triplet"
    assert card.recipe["steps"] == 60
    assert card.figures["parity"]["onnx_to_torch"] < 1e-4
    assert [point.fmr for point in card.operating_points] == [1e-2, 1e-3, 1e-4, 1e-5]
    assert card.operating_points[0].threshold is not None
    assert card.operating_points[-1].reason is not None
    cohort = load_cohort(card.beside(card.cohort.file))
    assert cohort.shape[1] == card.dimension
    counted = [card.data[part]["named_people"] for part in ("train", "calibration", "test")]
    assert sum(counted) == 90
    assert min(counted) > 4


def test_the_same_seed_gives_the_same_network_and_a_finished_run_is_not_repeated(folder, trained):
    (log,) = (folder / "work").glob("triplet-*/encoder.jsonl")
    before = log.read_text()
    export(
        folder,
        *("embed", "--quick", "--data", str(folder / "data"), "--set", "drawn"),
        *("--work", str(folder / "work"), "--out", str(folder / "again"), "--processes", "1"),
    )
    assert log.read_text() == before
    first, second = (
        yaml.safe_load((p / "face.yaml").read_text()) for p in (trained.parent, folder / "again")
    )
    assert first["operating_points"] == second["operating_points"]


def test_distillation_and_what_follows_it(folder):
    teacher = write_encoder(folder / "teacher", dimension=128).with_suffix(".onnx")
    out = export(
        folder,
        *("embed", "--quick", "--data", str(folder / "data"), "--set", "drawn"),
        *("--teacher", str(teacher), "--work", str(folder / "distil"), "--processes", "1"),
        *("--out", str(folder / "distilled")),
    )
    card = read_card(Path(out.splitlines()[-1]), EncoderCard)
    assert set(card.figures["variants_and_teachers"]) == {"grid, mirrored", "distilled", "margin"}
    same, other = of_strangers(open_encoder(card.path, [CPU]))
    assert np.mean(same[:, None] < other[None]) > 0.85
    (log,) = (folder / "distil").glob("distilled-*/encoder.jsonl")
    logged = log.read_text().splitlines()
    assert set(json.loads(logged[-1])) == {"step", "distillation", "relation"}


def test_the_encoder_is_measured(folder, trained):
    out = export(
        folder,
        *("evaluate", "faces", "--model", str(trained), "--data", str(folder / "data")),
        *("--set", "drawn:test", "--out", str(folder / "report"), "--json"),
        *("--errors", str(folder / "errors"), "--worst", "5"),
    )
    held = json.loads(out)["systems"]["face"]["held_out"]
    assert held["genuine_pairs"] > 50
    assert {group["kind"] for group in held["groups"]} == {"gender", "age", "ethnicity"}
    assert held["fnmr_at_fmr"]["0.01"] < 0.9
    assert (folder / "report" / "det.png").stat().st_size > 5_000
    lines = (folder / "report" / "det.csv").read_text().splitlines()
    assert lines[0] == "curve,threshold,false_match_rate,false_non_match_rate"
    assert len(lines) == 201
    page = (folder / "errors" / "face" / "held-out" / "index.html").read_text()
    assert page.count("<img") == 10
    assert len(list((folder / "errors" / "face" / "held-out").glob("*.jpg"))) == 10


def test_an_option_that_does_not_fit_is_one_line(folder):
    done = subprocess.run(
        [sys.executable, "-m", "export.cli", "embed", "--set", "drawn", "--quick"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "porter-export: error: --set needs --data, the folder of prepared sets"
    )
