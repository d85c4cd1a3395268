"""The second look at landmarks: what a small graph says of a cut comes back in the picture."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import ModelError
from daemon.inference import CPU, open_session
from daemon.paths import shipped_models
from daemon.vision.alignment import ARCFACE, similarity, transform
from daemon.vision.detector import REFINED, open_detector
from daemon.vision.landmarks import EYES, SIDE, TEMPLATE, LandmarkRefiner, mirrored
from tests.faces import draw, write_face_models
from tests.models import build_model

Points = npt.NDArray[np.float64]
SHIPPED = shipped_models() / "facedetect.yaml"
ASTRONAUT = Path(__file__).parents[2] / "assets/demo/enrolled.jpg"


def write_refiner(path: Path, points: Points) -> Path:
    """A graph that says the same points (5, 2) of every cut."""
    model = build_model(
        [("ReduceMean", ["face"], ["mean"], {"keepdims": 0}),
         ("Mul", ["mean", "nothing"], ["zero"], {}),
         ("Add", ["said", "zero"], ["points"], {})],
        {"nothing": np.array(0.0), "said": points[None]},
        {},
        inputs={"face": [1, 3, SIDE, SIDE]},
        outputs={"points": [1, 5, 2]},
    )  # fmt: skip
    onnx.save(model, str(path))
    return path


def refined_detector(folder: Path, points: Points) -> Path:
    """A detector of drawn faces whose card names such a graph."""
    write_face_models(folder)
    path = write_refiner(folder / "facedetect.landmarks.onnx", points)
    card = yaml.safe_load((folder / "facedetect.yaml").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card["refiner"] = {"file": path.name, "sha256": digest}
    (folder / "facedetect.yaml").write_text(yaml.safe_dump(card))
    return folder / "facedetect.yaml"


@settings(max_examples=60, deadline=None)
@given(
    turn=st.floats(-180, 180),
    scale=st.floats(0.2, 4),
    across=st.floats(-30, 400),
    down=st.floats(-30, 400),
)
def test_points_of_the_cut_come_back_to_where_they_are_in_the_picture(
    turn: float, scale: float, across: float, down: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    moved = TEMPLATE + np.array([2.0, -1.0])  # to one side in the cut, to the other in its mirror
    path = tmp_path_factory.getbasetemp() / "moved.onnx"
    if not path.exists():
        write_refiner(path, moved)
    refiner = LandmarkRefiner(open_session(path, [CPU]))
    matrix = np.asarray(cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), turn, scale), np.float64)
    matrix[:, 2] += (across, down)
    found, expected = transform(matrix, TEMPLATE), transform(matrix, (moved + mirrored(moved)) / 2)
    image = np.zeros((240, 320, 3), np.uint8)
    assert refiner.refine(image, found) == pytest.approx(expected, abs=1e-2 * max(1.0, scale))


def test_the_cut_shows_the_face_upright_with_room_around_it() -> None:
    assert np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]) == pytest.approx(EYES)
    assert similarity(ARCFACE, TEMPLATE)[1, 0] == pytest.approx(0)
    assert TEMPLATE.min() > EYES / 2
    assert TEMPLATE.max() < SIDE - EYES / 2


def test_a_card_with_a_refiner_changes_landmarks_and_nothing_else(tmp_path: Path) -> None:
    plain = open_detector(write_face_models(tmp_path / "plain") / "facedetect.yaml", [CPU])
    better = open_detector(
        refined_detector(tmp_path / "better", TEMPLATE + np.array([0.0, 1.5])), [CPU]
    )
    picture = draw(3, 5)
    before, after = plain.rows(picture), better.rows(picture)
    assert len(before) == 2
    assert after[:, :4] == pytest.approx(before[:, :4])
    assert after[:, 14] == pytest.approx(before[:, 14])
    for row, again in zip(before, after):
        points = row[4:14].reshape(5, 2).astype(np.float64)
        eyes = np.linalg.norm(points[1] - points[0])
        away = again[4:14].reshape(5, 2).mean(0) - points.mean(0)
        assert np.hypot(*away) == pytest.approx(1.5 / EYES * eyes, rel=0.05)


def test_of_a_crowd_only_the_surest_are_looked_at_again(tmp_path: Path) -> None:
    people = range(REFINED + 2)
    plain = open_detector(write_face_models(tmp_path / "plain") / "facedetect.yaml", [CPU])
    better = open_detector(
        refined_detector(tmp_path / "better", TEMPLATE + np.array([0.0, 4.0])), [CPU]
    )
    picture = draw(*people)
    before = plain.rows(picture, longest_side=4096)
    after = better.rows(picture, longest_side=4096)
    assert len(before) == len(people)
    changed = np.abs(after[:, 4:14] - before[:, 4:14]).max(1) > 0.5
    assert changed.sum() == REFINED
    assert changed[:REFINED].all()


@pytest.mark.parametrize(
    ("refiner", "message"),
    [
        ({"file": "facedetect.landmarks.onnx", "sha256": "0" * 64}, "damaged or not the file"),
        ({"file": "gone.onnx", "sha256": "0" * 64}, "gone.onnx: missing"),
        ({"file": "facedetect.landmarks.onnx"}, "sha256"),
    ],
)
def test_a_refiner_that_is_not_as_the_card_says_is_refused(
    refiner: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = refined_detector(tmp_path, TEMPLATE)
    card = yaml.safe_load(path.read_text()) | {"refiner": refiner}
    path.write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match=message):
        open_detector(path, [CPU])


def test_another_graph_in_its_place_is_refused(tmp_path: Path) -> None:
    path = refined_detector(tmp_path, TEMPLATE)
    card = yaml.safe_load(path.read_text())
    card["refiner"] = {"file": card["file"], "sha256": card["sha256"]}
    path.write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match="must take face"):
        open_detector(path, [CPU])


@pytest.mark.skipif(
    not SHIPPED.exists() or "refiner" not in yaml.safe_load(SHIPPED.read_text()),
    reason="no second look ships here",
)
def test_the_shipped_one_agrees_with_itself_on_a_turned_and_a_mirrored_portrait() -> None:
    detector = open_detector(SHIPPED, [CPU])
    portrait = cv2.imread(str(ASTRONAUT))
    (straight,) = detector.detect(portrait)
    height, width = portrait.shape[:2]
    for degrees in (-15.0, 15.0):
        turn = np.asarray(
            cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.9), np.float64
        )
        seen = cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
        (turned,) = detector.detect(np.asarray(seen, np.uint8))
        back = transform(turn, straight.landmarks.astype(np.float64))
        away = np.linalg.norm(turned.landmarks - back, axis=1).mean()
        assert away < 0.06 * turned.eye_distance
    (other,) = detector.detect(np.ascontiguousarray(portrait[:, ::-1]))
    expected = straight.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (width - 1, 0)
    away = np.linalg.norm(other.landmarks - expected, axis=1).mean()
    assert away < 0.06 * straight.eye_distance


@pytest.mark.skipif(
    not SHIPPED.exists() or "refiner" not in yaml.safe_load(SHIPPED.read_text()),
    reason="no second look ships here",
)
def test_a_face_and_its_mirror_image_have_mirrored_landmarks() -> None:
    """However badly it was found: both looks are, but for the template, at the same two cuts."""
    detector = open_detector(SHIPPED, [CPU])
    portrait = cv2.imread(str(ASTRONAUT))
    image = np.ascontiguousarray(portrait[:, ::-1])
    (face,) = detector.detect(portrait)
    refiner = detector._refiner
    assert refiner is not None
    mirror = np.array([portrait.shape[1] - 1, 0])
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = face.landmarks + rng.normal(0, 0.08 * face.eye_distance, (5, 2))
        there = refiner.refine(portrait, found)
        other = refiner.refine(image, found[[1, 0, 2, 4, 3]] * (-1, 1) + mirror)
        back = other[[1, 0, 2, 4, 3]] * (-1, 1) + mirror
        assert np.linalg.norm(back - there, axis=1).max() < 0.012 * face.eye_distance
