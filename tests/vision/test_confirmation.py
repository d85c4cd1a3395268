"""The second opinion: what a small graph says of a cut decides which finds are faces."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import ModelError
from daemon.inference import CPU, open_session
from daemon.vision.alignment import ARCFACE
from daemon.vision.confirmation import EYES, SIDE, FaceConfirmer, template
from daemon.vision.detector import CONFIRMED, FaceDetector, open_detector
from tests.faces import draw, write_face_models
from tests.models import build_model

ASTRONAUT = Path(__file__).parents[2] / "assets/demo/enrolled.jpg"


def write_confirmer(path: Path, *, red: float = 0.0, always: float = 0.0) -> Path:
    """A graph whose evidence is `always`, and `red` times how much redder than blue a cut is."""
    tint = red * np.repeat([-1.0, 0.0, 1.0], SIDE**2)[:, None] / (255 * 3 * SIDE**2)
    model = build_model(
        [("Flatten", ["face"], ["pixels"], {"axis": 1}),
         ("Gemm", ["pixels", "tint", "always"], ["evidence"], {})],
        {"tint": tint, "always": np.array([[always]])},
        {},
        inputs={"face": [1, 3, SIDE, SIDE]},
        outputs={"evidence": [1, 1]},
    )  # fmt: skip
    onnx.save(model, str(path))
    return path


def confirmed_detector(
    folder: Path, *, candidates: float = 0.5, weight: float = 1.0, **says: float
) -> FaceDetector:
    """A detector of drawn faces whose card names such a graph."""
    return open_detector(confirmed_card(folder, candidates, weight, **says), [CPU])


def confirmed_card(
    folder: Path, candidates: float = 0.5, weight: float = 1.0, **says: float
) -> Path:
    write_face_models(folder)
    path = write_confirmer(folder / "facedetect.confirm.onnx", **says)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = yaml.safe_load((folder / "facedetect.yaml").read_text())
    card["confirmer"] = {
        "file": path.name,
        "sha256": digest,
        "candidates": candidates,
        "weight": weight,
    }
    (folder / "facedetect.yaml").write_text(yaml.safe_dump(card))
    return folder / "facedetect.yaml"


def test_the_cut_shows_the_face_upright_in_the_middle_with_its_surroundings() -> None:
    points = template(SIDE)
    assert np.linalg.norm(points[1] - points[0]) == pytest.approx(EYES)
    assert points.mean(0) == pytest.approx([(SIDE - 1) / 2] * 2)
    assert np.diff(points[:, 1])[0] == pytest.approx(np.diff(ARCFACE[:, 1])[0], abs=0.2)
    assert template(SIDE + 10) == pytest.approx(points + 5), "a wider cut shows more around it"


def test_what_looks_like_no_face_is_none(tmp_path: Path) -> None:
    """Two faces, one with a red and one with a blue middle; the second network likes red."""
    picture = np.hstack([draw(3, view="left"), draw(5, view="right")])
    plain = open_detector(write_face_models(tmp_path / "plain") / "facedetect.yaml", [CPU])
    assert len(plain.rows(picture)) == 2
    liked = confirmed_detector(tmp_path / "red", red=4_000)
    disliked = confirmed_detector(tmp_path / "blue", red=-4_000)
    (red,), (blue,) = liked.rows(picture), disliked.rows(picture)
    assert red[0] < picture.shape[1] / 2 < blue[0]
    both = plain.rows(picture)
    for row in (red, blue):
        assert np.abs(both[:, :14] - row[:14]).max(1).min() < 1e-3, "boxes stay as they were"


@settings(max_examples=40, deadline=None)
@given(always=st.floats(-12, 12), weight=st.floats(0, 3))
def test_log_odds_are_added_up_as_the_card_says(
    always: float, weight: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("confirmed")
    picture = draw(3)
    plain = open_detector(write_face_models(folder / "plain") / "facedetect.yaml", [CPU])
    (before,) = plain.rows(picture)
    sure = float(np.clip(before[14], 1e-6, 1 - 1e-6))
    expected = 1 / (1 + np.exp(-(weight * np.log(sure / (1 - sure)) + always)))
    found = confirmed_detector(folder / "more", weight=weight, always=always).rows(picture)
    if abs(expected - 0.5) > 1e-3:
        assert len(found) == (expected > 0.5), "0.5 is the card's threshold"
    if len(found):
        assert found[0, 14] == pytest.approx(expected, abs=1e-4)


def test_the_surest_come_first_by_both_opinions(tmp_path: Path) -> None:
    picture = np.hstack([draw(3, view="right"), draw(5, view="left"), draw(7)])
    detector = confirmed_detector(tmp_path, red=60, weight=0.0)
    found = detector.rows(picture, least=1e-6)
    assert len(found) == 3
    assert (np.diff(found[:, 14]) <= 0).all()
    thirds = (found[:, 0] + found[:, 2] / 2) // (picture.shape[1] / 3)
    assert thirds.tolist() == [1, 2, 0], "red, neither, blue"


def test_what_the_detector_hardly_believes_is_not_looked_at(tmp_path: Path) -> None:
    """Evidence beyond doubt for everything, and yet only candidates become faces."""
    sees_all = confirmed_detector(tmp_path / "all", candidates=1e-14, always=60.0)
    sees_few = confirmed_detector(tmp_path / "few", candidates=0.5, always=60.0)
    picture = draw(3)
    assert len(sees_few.rows(picture)) == 1
    assert len(sees_all.rows(picture)) > 1


def test_a_pattern_full_of_finds_holds_nobody_up(tmp_path: Path) -> None:
    people = range(CONFIRMED + 3)
    picture = np.vstack([draw(*people[first : first + 10]) for first in range(0, 60, 10)])
    picture = np.vstack([picture, draw(*range(60, 70))])
    plain = open_detector(write_face_models(tmp_path / "plain") / "facedetect.yaml", [CPU])
    assert len(plain.rows(picture, longest_side=4096)) == 70
    found = confirmed_detector(tmp_path / "more", always=5.0).rows(picture, longest_side=4096)
    assert len(found) == CONFIRMED


def test_a_picture_without_finds_has_no_faces(tmp_path: Path) -> None:
    detector = confirmed_detector(tmp_path, always=60.0)
    assert detector.detect(np.full((200, 300, 3), 114, np.uint8)) == []


@pytest.mark.parametrize("scale", [0.2, 0.7, 3.0])
def test_a_face_is_cut_out_alike_at_every_size(scale: float, tmp_path: Path) -> None:
    """The evidence of a red patch around the landmarks is the same, however large it is shown."""
    path = write_confirmer(tmp_path / "red.onnx", red=1.0)
    confirmer = FaceConfirmer(open_session(path, [CPU]))
    landmarks = (ARCFACE - ARCFACE.mean(0)) * scale + 300
    picture = np.zeros((600, 600, 3), np.uint8)
    half = round(56 * scale)
    cv2.rectangle(picture, (300 - half, 300 - half), (300 + half, 300 + half), (0, 0, 255), -1)
    seen = (56 * 2 * EYES / np.linalg.norm(ARCFACE[1] - ARCFACE[0]) / SIDE) ** 2
    assert confirmer.evidence(picture, landmarks) == pytest.approx(seen / 3, abs=0.02)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sha256": "0" * 64}, "damaged or not the file"),
        ({"file": "gone.onnx"}, "gone.onnx: missing"),
        ({"candidates": 0}, "candidates"),
        ({"weight": -1}, "weight"),
    ],
)
def test_one_that_is_not_as_the_card_says_is_refused(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = confirmed_card(tmp_path)
    card = yaml.safe_load(path.read_text())
    card["confirmer"] |= changed
    path.write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match=message):
        open_detector(path, [CPU])


def test_another_graph_in_its_place_is_refused(tmp_path: Path) -> None:
    path = confirmed_card(tmp_path)
    card = yaml.safe_load(path.read_text())
    card["confirmer"] |= {"file": card["file"], "sha256": card["sha256"]}
    path.write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match="must take face"):
        open_detector(path, [CPU])
