"""The parts of the face detector's training: pictures, labels, losses, export, evaluation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import ModelError
from daemon.vision.alignment import ARCFACE
from daemon.vision.priors import cells, decode, encode
from export.convert import ParityError
from export.faces import composition, degrade, loss, sketches
from export.faces.composition import Sample, compose, mirror, settle, turn
from export.faces.evaluate import System, comparable, judge, landmark_error, threshold_for
from export.faces.graph import DetectorGraph, check_parity, export
from export.faces.heldout import Shot
from export.faces.model import Detector, Widths
from export.faces.restore import restore
from export.faces.scenes import alike, thumbs
from export.faces.train import collate

SIDE = 128
SMALL = Widths((8, 8), (8, 12, 16), (1, 1, 1), 8)


@pytest.fixture(scope="module")
def material() -> composition.Material:
    return sketches.material(3, faces=40, textures=20)


# Pictures


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_composed_picture_has_its_labels_inside(
    material: composition.Material, seed: int
) -> None:
    sample = compose(material, SIDE, np.random.default_rng(seed))
    assert sample.image.shape == (SIDE, SIDE, 3)
    assert sample.image.dtype == np.uint8
    middle = sample.faces[:, :2] + sample.faces[:, 2:4] / 2
    assert ((middle > 0) & (middle < SIDE)).all()
    assert (sample.faces[:, 2] >= composition.SMALLEST).all()
    points = sample.faces[:, 4:].reshape(-1, 5, 2)
    half = sample.faces[:, 2:4] / 2
    assert (np.abs(points.mean(1) - middle) < half).all(), "landmarks lie in their box"


def test_the_same_seed_composes_the_same_picture(material: composition.Material) -> None:
    one, other = (compose(material, SIDE, np.random.default_rng(5)) for _ in range(2))
    assert (one.image == other.image).all()
    assert (one.faces == other.faces).all()


def test_many_pictures_have_none_and_many_have_several(material: composition.Material) -> None:
    counts = [len(compose(material, SIDE, np.random.default_rng([1, n])).faces) for n in range(150)]
    assert counts.count(0) > 15
    assert sum(count > 1 for count in counts) > 30


def test_a_pasted_eye_is_where_its_label_says(material: composition.Material) -> None:
    """Pasted upright and unworn, the middle of a drawn eye is darker than the skin beside it."""
    darker = []
    for number in range(60):
        sample = composition.pasted(material, 256, np.random.default_rng([9, number]))
        for face in sample.faces[sample.faces[:, 2] > 60]:
            x, y = face[4:6].round().astype(int)
            step = round(0.14 * float(face[2]))
            if 0 <= y < 256 and step <= x < 256 - step:
                row = sample.image[y].astype(int).sum(1)
                darker.append(row[x] < row[x - step] and row[x] < row[x + step])
    assert len(darker) > 10
    assert np.mean(darker) > 0.75


def test_no_paste_covers_a_face_or_lies_upon_one() -> None:
    faces = np.zeros((1, 14), np.float32)
    faces[0, :4] = [40, 40, 20, 20]
    beside, over = np.zeros((100, 100), np.float32), np.zeros((100, 100), np.float32)
    beside[:30, :30] = 1
    over[10:80, 10:80] = 1
    hides = composition._hides
    assert not hides(faces, beside, np.array([5, 5, 20, 20]))
    assert hides(faces, over, np.array([20, 20, 10, 10])), "its surroundings cover the face"
    assert hides(faces, beside, np.array([45, 45, 5, 5])), "a small face upon a large one"
    assert not hides(faces[:0], over, np.array([20, 20, 10, 10]))


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_mirroring_twice_changes_nothing(material: composition.Material, seed: int) -> None:
    sample = compose(material, SIDE, np.random.default_rng(seed))
    twice = mirror(mirror(sample))
    assert (twice.image == sample.image).all()
    assert twice.faces == pytest.approx(sample.faces, abs=1e-3)
    assert twice.open == pytest.approx(sample.open, abs=1e-3)


def test_turning_by_a_right_angle_exchanges_the_sides_of_a_box() -> None:
    face = np.array([[10, 20, 30, 60, *range(10)]], np.float32)
    quarter = np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 7.0]])
    turned = turn(face, quarter)[0]
    assert turned[2:4] == pytest.approx([120, 60], rel=1e-5)
    assert turned[:2] + turned[2:4] / 2 == pytest.approx([-2 * 50 + 5, 2 * 25 + 7])
    assert turned[4:6] == pytest.approx([-2 * 1 + 5, 2 * 0 + 7])


def test_what_cannot_be_learnt_is_left_open() -> None:
    faces = np.zeros((3, 14), np.float32)
    faces[:, :4] = [[10, 10, 20, 20], [90, 10, 50, 50], [40, 40, 4, 4]]
    sample = settle(Sample(np.zeros((100, 100, 3), np.uint8), faces))
    assert sample.faces[:, 0].tolist() == [10]
    assert sample.open[:, 0].tolist() == [90, 40]


@pytest.mark.parametrize(
    "worsen",
    [
        lambda image, rng: degrade.light(image, 0.3, rng),
        degrade.shade,
        lambda image, rng: degrade.blur(image, 2.0, rng),
        lambda image, rng: degrade.coarsen(image, 0.5, rng),
        lambda image, rng: degrade.noise(image, 15.0, rng),
        lambda image, rng: degrade.compress(image, 20, rng),
        lambda image, rng: degrade.degrade(image, 30.0, rng),
    ],
)
def test_degraded_pictures_keep_their_form(worsen) -> None:
    image = sketches.Texture(1).read()
    for seed in range(4):
        worse = worsen(image.copy(), np.random.default_rng(seed))
        assert worse.shape == image.shape
        assert worse.dtype == np.uint8


def test_a_resized_picture_is_known_again() -> None:
    pictures = [sketches.Texture(seed).read() for seed in range(12)]
    smaller = [picture[::2, ::2] for picture in pictures[:4]]
    assert alike(thumbs(pictures), thumbs(smaller), 0.95).tolist() == [True] * 4 + [False] * 8
    assert not alike(thumbs(pictures), thumbs(pictures)[:0], 0.95).any()


# Losses


def labelled(faces: list[list[float]], opened: list[list[float]] | None = None) -> loss.Labels:
    rows = np.zeros((len(faces), 14), np.float32)
    for row, face in zip(rows, faces):
        row[:4] = face
        row[4:] = np.tile([face[0] + face[2] / 2, face[1] + face[3] / 2], 5)
    sample = Sample(
        np.zeros((SIDE, SIDE, 3), np.uint8),
        rows,
        np.array(opened or [], np.float32).reshape(-1, 4),
    )
    return collate([sample])[1]


def perfect(labels: loss.Labels, sure: float) -> torch.Tensor:
    """Predictions that are right in the cell nearest to each face, and empty elsewhere."""
    grid = cells(SIDE, SIDE)
    predicted = np.zeros((1, 15, len(grid)), np.float32)
    predicted[0, 0] = -sure
    for face in labels.faces[0].numpy():
        near = int(np.hypot(*(grid[:, :2] - face[:2] - face[2:4] / 2).T).argmin())
        predicted[0, 0, near] = sure
        predicted[0, 1:, near] = encode(face[None], grid[[near]])[0]
    return torch.from_numpy(predicted)


def test_torch_and_numpy_decode_alike() -> None:
    grid = cells(64, 96)
    codes = np.random.default_rng(0).normal(0, 1, (14, len(grid))).astype(np.float32)
    ours = loss.decode(torch.from_numpy(codes)[None], torch.from_numpy(grid.copy()))[0]
    assert ours.numpy() == pytest.approx(decode(codes.T, grid), rel=1e-4, abs=1e-3)


def test_being_right_costs_less_than_being_wrong() -> None:
    grid = torch.from_numpy(cells(SIDE, SIDE).copy())
    labels = labelled([[20, 20, 40, 50], [80, 70, 24, 24]])
    right = loss.loss(perfect(labels, 8.0), labels, grid, loss.Weights())
    unsure = loss.loss(perfect(labels, 1.0), labels, grid, loss.Weights())
    elsewhere = loss.loss(perfect(labelled([[60, 10, 40, 50]]), 8.0), labels, grid, loss.Weights())
    assert right.box < 1e-3
    assert right.landmarks < 1e-3
    assert float(right.total) < float(unsure.total) < float(elsewhere.total)


@settings(max_examples=30, deadline=None)
@given(x=st.floats(0, 100), y=st.floats(0, 100), side=st.floats(9, 120), seed=st.integers(0, 50))
def test_every_face_has_a_cell_that_learns_it(x: float, y: float, side: float, seed: int) -> None:
    grid = torch.from_numpy(cells(SIDE, SIDE).copy())
    box = [min(x, SIDE - side / 2 - 6), min(y, SIDE - side / 2 - 6), side, side]
    labels = labelled([box])
    torch.manual_seed(seed)
    predicted = torch.randn(1, 15, len(grid)) * 0.1
    quality, chosen = loss.assign(
        predicted[:, 0].sigmoid(), loss.decode(predicted[:, 1:], grid), labels, grid
    )
    assert (quality > 0).any()
    assert (quality <= 1).all()
    assert (chosen[quality > 0] == 0).all()


def test_an_open_place_is_neither_face_nor_background() -> None:
    grid = torch.from_numpy(cells(SIDE, SIDE).copy())
    wrong = perfect(labelled([[60, 10, 40, 50]]), 6.0)
    punished = loss.loss(wrong, labelled([]), grid, loss.Weights())
    excused = loss.loss(wrong, labelled([], [[55, 5, 50, 60]]), grid, loss.Weights())
    assert excused.score < 0.05 * punished.score


def test_a_picture_without_faces_has_no_box_loss() -> None:
    grid = torch.from_numpy(cells(SIDE, SIDE).copy())
    empty = loss.loss(torch.zeros(1, 15, len(grid)), labelled([]), grid, loss.Weights())
    assert (empty.box, empty.landmarks) == (0.0, 0.0)
    assert empty.score > 0


def test_complete_overlap_is_one_for_equal_boxes_only() -> None:
    box = torch.tensor([[10.0, 10.0, 20.0, 30.0]])
    assert float(loss.complete_iou(box, box)) == pytest.approx(1, abs=1e-4)
    moved = box + torch.tensor([[40.0, 0.0, 0.0, 0.0]])
    assert float(loss.complete_iou(moved, box)) < 0


# Export


def lively(detector: Detector) -> Detector:
    """Give batch norms and heads values other than the initial ones, so that none is a no-op."""
    for part in detector.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean = torch.randn_like(part.running_mean) * 0.1
            part.running_var = torch.rand_like(part.running_var) + 0.5
    for head in detector.heads:
        torch.nn.init.normal_(head.weight, std=0.1)
        torch.nn.init.normal_(head.bias, std=0.1)
    return detector.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Detector, Path]:
    torch.manual_seed(4)
    detector = lively(Detector(SMALL))
    path = tmp_path_factory.mktemp("detector") / "tiny.onnx"
    export(DetectorGraph(detector), path, "tiny", "7", 640)
    return detector, path


@settings(max_examples=12, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_the_file_equals_the_network_at_any_size(
    exported: tuple[Detector, Path], rows: int, columns: int
) -> None:
    detector, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(rows).integers(0, 256, (1, 3, 32 * rows, 32 * columns))
    with torch.inference_mode():
        expected = detector(torch.from_numpy(image.astype(np.float32)) / 255).numpy()
    (given_,) = session.run(["cells"], {"image": image.astype(np.float32)})
    assert given_.shape == (1, 15, len(cells(32 * rows, 32 * columns)))
    assert given_ == pytest.approx(expected, abs=1e-4)


def test_the_file_says_what_it_is(exported: tuple[Detector, Path]) -> None:
    _, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    said = json.loads(session.get_modelmeta().custom_metadata_map["porter"])
    assert (said["kind"], said["name"], said["version"]) == ("face-detector", "tiny", "7")
    assert said["input"] == {"channels": "bgr", "longest_side": 640}
    assert [each.name for each in path.parent.iterdir()] == ["tiny.onnx"], "nothing half-written"


def test_another_network_fails_the_parity_check(exported: tuple[Detector, Path]) -> None:
    detector, path = exported
    assert check_parity(DetectorGraph(detector), path) <= 1e-4
    torch.manual_seed(5)
    with pytest.raises(ParityError, match=r"tiny\.onnx"):
        check_parity(DetectorGraph(lively(Detector(SMALL))), path)


def test_a_file_becomes_the_network_again_with_its_norms(
    exported: tuple[Detector, Path],
) -> None:
    _, path = exported
    images = torch.from_numpy(np.random.default_rng(1).random((8, 3, 96, 64), np.float32))
    again = restore(path, SMALL, images)
    assert check_parity(DetectorGraph(again), path) < 1e-5
    with torch.inference_mode():
        settled, learning = again(images), again.train()(images)
    assert torch.allclose(settled, learning, atol=1e-3), "the norms know what they normalise"


def test_a_file_of_another_network_is_not_gone_on_from(exported: tuple[Detector, Path]) -> None:
    with pytest.raises(ModelError, match="not a face detector of these widths"):
        restore(exported[1], Widths(), torch.zeros(1, 3, 64, 64))


def test_the_network_that_ships_is_small() -> None:
    weights = sum(each.numel() for each in Detector().parameters())
    assert 4 * weights < 1_000_000


# Evaluation


def shot(faces: list[list[float]], opened: list[list[float]] | None = None) -> Shot:
    rows = np.zeros((len(faces), 14), np.float32)
    for row, face in zip(rows, faces):
        x, y, w, h = face
        eyes = [x + 0.3 * w, y + 0.4 * h, x + 0.7 * w, y + 0.4 * h]
        row[:] = [*face, *eyes, x + w / 2, y + h / 2, *eyes[:2], *eyes[2:]]
    places = np.array(opened or [], np.float32).reshape(-1, 4)
    return Shot("picture", np.zeros((100, 100, 3), np.uint8), rows, places)


def finds(picture: Shot, *scores: float) -> np.ndarray:
    return np.concatenate([picture.faces, np.array(scores, np.float32)[:, None]], 1)


def test_found_missed_and_made_up_faces_are_counted() -> None:
    truth = shot([[10, 10, 20, 20], [60, 60, 20, 20]], [[40, 0, 20, 20]])
    said = finds(shot([[11, 10, 20, 20], [10, 60, 20, 20], [42, 2, 15, 15]]), 0.9, 0.8, 0.7)
    (measured,) = judge([System("one", lambda _: said, 0.5)], [truth])
    assert (measured.recall(0.5).count, measured.recall(0.5).of) == (1, 2)
    assert measured.recall(0.95).count == 0
    assert measured.false_per_hundred(0.5) == 100
    assert measured.false_per_hundred(0.85) == 0
    assert measured.landmark_error(0.5) == pytest.approx(1 / 8, rel=1e-3)
    assert measured.pictures[0].image is not None


def test_a_second_find_of_one_face_is_false() -> None:
    truth = shot([[10, 10, 40, 40]])
    said = finds(shot([[10, 10, 40, 40], [14, 10, 40, 40]]), 0.9, 0.8)
    (measured,) = judge([System("one", lambda _: said, 0.5)], [truth])
    assert measured.recall(0.5).count == 1
    assert measured.false_per_hundred(0.5) == 100


def test_small_and_large_faces_are_counted_apart() -> None:
    truth = shot([[0, 0, 20, 20], [30, 30, 60, 60]])
    (measured,) = judge([System("one", lambda _: finds(truth, 0.9, 0.9)[:1], 0.5)], [truth])
    assert measured.recall(0.5, 0, 40).value == 1
    assert measured.recall(0.5, 40).value == 0
    assert measured.recall(0.5, 200).of == 0


def portrait(x: float, y: float, size: float) -> list[float]:
    """Of a face that looks into the camera: box and landmarks, for a row of truth."""
    points = (ARCFACE - ARCFACE.mean(0)) * size / 90 + (x + size / 2, y + 0.55 * size)
    return [x, y, size, 1.2 * size, *points.reshape(-1).tolist()]


def test_faces_that_the_door_would_not_compare_are_counted_apart() -> None:
    rows = np.array([portrait(30, 30, 90), portrait(200, 40, 30), portrait(150, 120, 90)])
    rows[2, 8] = rows[2, 4]  # its nose is before one eye: turned far to the side
    image = np.random.default_rng(0).integers(40, 200, (240, 320, 3), np.uint8)
    truth = Shot("picture", image, rows.astype(np.float32), np.zeros((0, 4), np.float32))
    dark = replace(truth, image=image // 20)
    assert comparable(truth).tolist() == [True, False, False]
    assert not comparable(dark).any()

    (measured,) = judge([System("one", lambda _: finds(truth, 0.9, 0.8, 0.3), 0.5)], [truth])
    assert (measured.recall(0.5).count, measured.recall(0.5).of) == (2, 3)
    assert (measured.compared.recall(0.5).count, measured.compared.recall(0.5).of) == (1, 1)
    assert measured.compared.landmark_error(0.5) == 0
    assert measured.compared.false_per_hundred(0.5) == measured.false_per_hundred(0.5)


def test_a_profile_has_no_landmark_error() -> None:
    face = shot([[0, 0, 100, 100]]).faces[0]
    assert landmark_error(face[4:], face) == 0
    face[6] = face[4] + 5
    assert np.isnan(landmark_error(face[4:], face))


@given(st.lists(st.floats(0.05, 0.99), max_size=12), st.floats(0, 60))
def test_the_threshold_allows_so_many_false_faces(scores: list[float], allowed: float) -> None:
    pictures = [shot([])] * 20
    each = iter([*scores, *[0.0] * 20][: len(pictures)])

    def finder(_: np.ndarray) -> np.ndarray:
        score = next(each)
        return finds(shot([[0, 0, 9, 9]]), score)[: int(score > 0)]

    (empty,) = judge([System("one", finder, 0.5)], pictures)
    threshold = threshold_for(empty, allowed)
    assert empty.false_per_hundred(threshold) <= allowed
    lower = [score for score in scores if score < threshold]
    if lower:
        assert empty.false_per_hundred(max(lower) - 1e-6) > allowed
