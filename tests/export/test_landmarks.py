"""Looks that agree, faces cut out with their labels, and the second look learnt by the command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.inference import CPU
from daemon.vision.alignment import similarity
from daemon.vision.detector import open_detector
from daemon.vision.face import COLUMNS
from daemon.vision.landmarks import EYES, SIDE, TEMPLATE
from export.faces.composition import warp
from export.faces.scenes import listed
from export.faces.sketches import Sketch
from export.landmarks.consensus import ENOUGH, agreed
from export.landmarks.examples import cut_out, trusted
from export.landmarks.material import LARGEST, SMALLEST, cut_faces
from export.landmarks.train import NARROWEST, error
from tests.faces import write_face_models

ROOT = Path(__file__).parents[2]
Image = npt.NDArray[np.uint8]
RED, BLUE, GREEN = (0, 0, 255), (255, 0, 0), (0, 255, 0)


class Rough:
    """A detector that finds five coloured dots, each a little off, and at times nothing."""

    def __init__(self, off: float, blind: float = 0.0) -> None:
        self._rng = np.random.default_rng(3)
        self._off, self._blind = off, blind

    def __call__(
        self, image: Image, sides: tuple[int, ...], score: float
    ) -> npt.NDArray[np.float32]:
        if self._rng.random() < self._blind:
            return np.zeros((0, COLUMNS), np.float32)
        # Eyes are red, the nose is green, the mouth is blue; right is on the picture's left.
        points: list[tuple[float, float]] = []
        for channel, count in ((2, 2), (1, 1), (0, 2)):
            others = image[..., [each for each in range(3) if each != channel]].max(-1)
            mask = (image[..., channel] > 120) & (others < 100)
            found = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
            largest = np.argsort(-found[2][1:, cv2.CC_STAT_AREA])[:count] + 1
            points += sorted(map(tuple, found[3][largest]))
        landmarks = np.array(points, np.float32)
        eyes = np.linalg.norm(landmarks[1] - landmarks[0])
        row = np.zeros((1, COLUMNS), np.float32)
        low, high = landmarks.min(0), landmarks.max(0)
        row[0, :2], row[0, 2:4] = (low + high) / 2 - eyes, 2 * eyes
        row[0, 4:14] = (landmarks + self._rng.normal(0, self._off * eyes, (5, 2))).reshape(-1)
        row[0, 14] = 0.9
        return row


def dotted(eyes: float) -> tuple[Image, npt.NDArray[np.float64], tuple[float, ...]]:
    """A picture of five dots, where they are, and the box around them."""
    points = (TEMPLATE - SIDE / 2) * eyes / EYES + (150, 130)
    image = np.full((260, 300, 3), 20, np.uint8)
    for point, colour in zip(points, (RED, RED, GREEN, BLUE, BLUE)):
        cv2.circle(image, tuple(map(round, point)), round(eyes / 9), colour, -1)
    corner = points.mean(0) - eyes
    return image, points.round(), (*corner, 2 * eyes, 2 * eyes)


@pytest.mark.parametrize("eyes", [25.0, 60.0, 100.0])
def test_many_looks_know_better_than_one(eyes: float) -> None:
    image, points, box = dotted(eyes)
    seen = agreed(image, box, Rough(0.08))
    assert seen is not None
    away = np.linalg.norm(seen.landmarks - points, axis=1).mean() / eyes
    assert away < 0.04
    assert 0.06 < seen.spread < 0.14, "which is how far each look is off"


def test_a_face_that_few_looks_see_has_no_landmarks() -> None:
    image, _, box = dotted(60)
    assert agreed(image, box, Rough(0.0, blind=1 - 0.3 * ENOUGH)) is None
    assert agreed(image, box, Rough(0.0, blind=0.2)) is not None


def test_labels_that_looks_disagree_about_weigh_less() -> None:
    assert trusted(0.0) == trusted(0.1) == 1.0
    assert trusted(0.2) == pytest.approx(0.25)


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 10_000), eyes=st.floats(20, 90))
def test_a_cut_has_its_landmarks_where_its_label_says(number: int, eyes: float) -> None:
    """Dots are found in the cut at the places of the label, whatever was done to the picture."""
    image, points, _ = dotted(eyes)
    cut, offsets = cut_out(image, points.astype(np.float32), np.random.default_rng(number))
    assert cut.shape == (SIDE, SIDE, 3)
    assert np.isfinite(offsets).all()
    expected = TEMPLATE + EYES * offsets
    # The similarity that undoes the label's own errors leads back to five points of one shape.
    shape = similarity(points, expected)
    back = points @ shape[:, :2].T + shape[:, 2]
    mirrored = similarity(points[[1, 0, 2, 4, 3]] * (-1, 1), expected)
    other = (points[[1, 0, 2, 4, 3]] * (-1, 1)) @ mirrored[:, :2].T + mirrored[:, 2]
    assert min(np.abs(back - expected).max(), np.abs(other - expected).max()) < 1e-2


def spot(place: npt.NDArray[np.float64], wide: float, shape: tuple[int, int]) -> Image:
    """A white spot with soft edges on black, its middle between pixels if `place` is."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    far = (x - place[0]) ** 2 + (y - place[1]) ** 2
    return np.repeat((255 * np.exp(-far / (2 * wide**2)))[..., None], 3, 2).astype(np.uint8)


def middle(image: Image) -> npt.NDArray[np.float64]:
    """Where the spot is: the mean place of its light."""
    light = image[..., 0].astype(np.float64)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


def test_resizing_on_the_way_to_a_cut_shifts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras' pixels of every size: the nose is in the cut where the label says."""
    monkeypatch.setattr("export.landmarks.examples.degrade", lambda image, *_: image)
    monkeypatch.setattr("export.landmarks.examples._hide", lambda *_: None)
    monkeypatch.setattr("export.landmarks.examples.BORDERS", (cv2.BORDER_REPLICATE,))
    off = []
    for seed in range(60):
        eyes = 30.0 + 2 * seed
        points = (TEMPLATE - SIDE / 2) * eyes / EYES + (200.3, 190.8)
        cut, offsets = cut_out(
            spot(points[2], eyes / 8, (400, 420)), points, np.random.default_rng(seed)
        )
        nose = (TEMPLATE + EYES * offsets)[2]
        off.append(middle(cut) - nose)
    assert np.abs(off).max() < 0.2
    assert np.abs(np.mean(off, 0)).max() < 0.05


@pytest.mark.parametrize("factor", [0.17, 0.33, 0.5, 0.69, 1.0, 1.7])
def test_a_picture_is_where_the_map_of_its_warp_says(factor: float) -> None:
    place = np.array([151.3, 122.6])
    seen, matrix = warp(
        spot(place, 9.0, (300, 333)), (140, 130), factor, 20.0, (100.0, 90.0), (200, 180),
        cv2.BORDER_REPLICATE,
    )  # fmt: skip
    told = matrix[:, :2] @ place + matrix[:, 2]
    assert np.abs(middle(seen) - told).max() < 0.1


@pytest.mark.parametrize("wide", [40.0, 300.0])
def test_faces_of_whole_pictures_are_cut_out_with_room_around(tmp_path: Path, wide: float) -> None:
    """Two faces of a picture: a box at the edge, and one that is too small to learn from."""
    image, points, box = dotted(100)
    image = cv2.resize(image, None, fx=wide / 200, fy=wide / 200, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "street.png"), image)
    scaled = np.array(box) * wide / 200
    rows = np.zeros((2, COLUMNS), np.float32)
    rows[:, :4], rows[:, 14] = [scaled, (5, 5, SMALLEST - 1, SMALLEST)], 0.9
    street = replace(listed(tmp_path)[0], finds=rows)
    (face,) = cut_faces([street], tmp_path / "cut")
    assert face.part == street.part
    assert face.box[2] == pytest.approx(min(wide, LARGEST))
    seen = agreed(face.read(), face.box, Rough(0.0))
    assert seen is not None
    shape = similarity(seen.landmarks, points)
    assert np.abs(seen.landmarks @ shape[:, :2].T + shape[:, 2] - points).max() < 3
    kept = face.file.stat().st_mtime_ns
    assert [each.file.stat().st_mtime_ns for each in cut_faces([street], tmp_path / "cut")] == [
        kept
    ]


def test_an_error_is_measured_in_the_eye_distance_of_its_own_face() -> None:
    straight, turned = torch.zeros(5, 2), torch.zeros(5, 2)
    turned[1, 0] = -0.5  # eyes half as far apart as the template's
    placed = torch.stack([straight, turned]) + torch.tensor([0.1, 0.0])
    off = error(placed, torch.stack([straight, turned]))
    assert off.tolist() == pytest.approx([0.1, 0.2])
    turned[1, 0] = -0.99  # in profile
    assert float(error(turned[None] + 0.1, turned[None])) == pytest.approx(0.1414 / NARROWEST, 1e-3)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_adds_a_second_look_that_has_learnt(tmp_path: Path) -> None:
    write_face_models(tmp_path)
    card = tmp_path / "facedetect.yaml"
    before = yaml.safe_load(card.read_text())
    command = [sys.executable, "-m", "export.cli", "landmarks", "--quick"]
    command += ["--detector", str(card), "--work", str(tmp_path / "work"), "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert str(card) in done.stdout
    after = yaml.safe_load(card.read_text())
    assert {name: after[name] for name in before if name != "figures"} == before
    figures = after["figures"]["landmarks"]
    assert figures["error"] < 0.75 * figures["error_before"]
    assert figures["parity"] < 1e-4
    detector = open_detector(card, [CPU])
    sketch = Sketch(5)
    refined = detector._refiner.refine(sketch.read(), sketch.landmarks + np.array([2, -2]))
    eyes = np.linalg.norm(sketch.landmarks[1] - sketch.landmarks[0])
    assert np.linalg.norm(refined - sketch.landmarks, axis=1).mean() < 2.4 / 26 * eyes


def test_without_faces_or_teacher_the_command_says_what_to_give(tmp_path: Path) -> None:
    write_face_models(tmp_path)
    command = [sys.executable, "-m", "export.cli", "landmarks"]
    command += ["--detector", str(tmp_path / "facedetect.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "give --teacher, and --data, --more-faces or --scenes" in done.stderr
