"""Cells, suppression, the detector with any picture, and the shipped model on two portraits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from daemon.errors import ModelError
from daemon.inference import CPU
from daemon.paths import shipped_models
from daemon.vision.boxes import inside, overlap, suppress
from daemon.vision.detector import FaceDetector, open_detector
from daemon.vision.face import Face, from_rows, to_rows
from daemon.vision.priors import STRIDES, cells, decode, encode

Image = npt.NDArray[np.uint8]
MODEL = shipped_models() / "facedetect.yaml"
ASTRONAUT = Path(__file__).parents[2] / "assets/demo/enrolled.jpg"

shipped = pytest.mark.skipif(not MODEL.exists(), reason="no face detector ships here")


def boxes(low: int = 0, high: int = 12) -> st.SearchStrategy[npt.NDArray[np.float32]]:
    coordinate = st.floats(0, 100, width=32)
    return st.integers(low, high).flatmap(
        lambda n: arrays.arrays(np.float32, (n, 4), elements=coordinate)
    )


# Cells and codes


@given(rows=st.integers(1, 12), columns=st.integers(1, 12))
def test_cells_tile_the_input_once_for_each_stride(rows: int, columns: int) -> None:
    height, width = 32 * rows, 32 * columns
    grid = cells(height, width)
    for stride in STRIDES:
        own = grid[grid[:, 2] == stride]
        assert len(own) == height * width // stride**2
        assert len(np.unique(own[:, :2], axis=0)) == len(own)
        assert own[:, :2].min() == stride / 2
        assert tuple(own[:, :2].max(0)) == (width - stride / 2, height - stride / 2)
    assert [*np.unique(grid[:, 2])] == list(STRIDES)


@pytest.mark.parametrize(("height", "width"), [(33, 64), (64, 100), (0, 64), (-32, 32)])
def test_other_sizes_have_no_cells(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        cells(height, width)


@given(
    faces=arrays.arrays(np.float32, (5, 14), elements=st.floats(1, 500, width=32)),
    seed=st.integers(0, 1000),
)
def test_what_was_encoded_is_decoded(faces: npt.NDArray[np.float32], seed: int) -> None:
    grid = cells(160, 224)
    at = grid[np.random.default_rng(seed).integers(len(grid), size=len(faces))]
    assert decode(encode(faces, at), at) == pytest.approx(faces, rel=1e-4, abs=1e-2)


def test_a_face_is_coded_from_the_middle_of_its_cell() -> None:
    at = np.array([[20, 12, 8]], np.float32)
    face = np.array([[12, 4, 16, 16, *[20, 12] * 5]], np.float32)
    assert encode(face, at)[0] == pytest.approx([0, 0, np.log(2), np.log(2), *[0] * 10])


def test_a_wild_prediction_stays_finite() -> None:
    wild = np.full((1, 14), 500, np.float32)
    assert np.isfinite(decode(wild, cells(32, 32)[:1])).all()


# Overlap and suppression


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_a_share(
    one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]
) -> None:
    shared = overlap(one, other)
    assert shared.shape == (len(one), len(other))
    assert ((shared >= 0) & (shared <= 1 + 1e-5)).all()
    assert pytest.approx(shared) == overlap(other, one).T


@given(boxes(), st.floats(0.05, 0.95), st.integers(0, 1000))
def test_suppression_keeps_the_best_of_each_place(
    every: npt.NDArray[np.float32], limit: float, seed: int
) -> None:
    every = every + np.array([0, 0, 1, 1], np.float32)  # with an area
    assume((np.abs(overlap(every, every) - limit) > 1e-5).all())  # else rounding would decide
    scores = 1 + np.random.default_rng(seed).permutation(len(every)).astype(np.float32)
    kept = suppress(every, scores, limit)
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    among = overlap(every[kept], every[kept]) - np.eye(len(kept))
    assert (among <= limit).all()
    for gone in set(range(len(every))) - set(kept.tolist()):
        rivals = kept[scores[kept] > scores[gone]]
        assert (overlap(every[[gone]], every[rivals]) > limit).any()
    again = suppress(every[kept], scores[kept], limit)
    assert list(again) == list(range(len(kept)))


def test_of_boxes_without_area_the_best_stays() -> None:
    flat = np.array([[5, 5, 0, 0], [80, 80, 0, 0], [30, 30, 9, 9]], np.float32)
    assert suppress(flat, np.float32([0.5, 0.7, 0.6]), 0.5).tolist() == [1, 2]
    assert suppress(flat[:0], np.float32([]), 0.5).tolist() == []


def test_the_middle_decides_what_is_inside() -> None:
    places = np.array([[0, 0, 10, 10], [50, 50, 10, 10]], np.float32)
    found = np.array([[8, 0, 3, 3], [52, 52, 100, 100], [51, 51, 4, 4]], np.float32)
    assert inside(found, places).tolist() == [True, False, True]
    assert inside(found, places[:0]).tolist() == [False] * 3


# Faces


def test_faces_become_rows_and_back() -> None:
    face = Face(
        np.array([1, 2, 30, 40], np.float32),
        np.array([[10, 15], [22, 15], [16, 24], [11, 31], [21, 31]], np.float32),
        0.5,
    )
    (back,) = from_rows(to_rows([face]))
    assert back.box.tolist() == face.box.tolist()
    assert back.landmarks.tolist() == face.landmarks.tolist()
    assert (back.score, back.centre, back.eye_distance) == (0.5, (16.0, 22.0), 12.0)
    assert back.size == pytest.approx(np.sqrt(1200))
    assert to_rows([]).shape == (0, 15)


# The shipped model


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return open_detector(MODEL, [CPU])


def portrait(name: str) -> tuple[Image, tuple[float, float, float, float]]:
    """A public-domain portrait, BGR, and about where its eyes are: x, y, x, y."""
    if name == "astronaut":
        image = cv2.imread(str(ASTRONAUT))
        assert image is not None
        return np.asarray(image, np.uint8), (143.0, 102.0, 186.0, 103.0)
    cbook = pytest.importorskip("matplotlib.cbook", reason="matplotlib is not installed")
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        coded = np.frombuffer(file.read(), np.uint8)
    image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8), (227.0, 193.0, 308.0, 195.0)


def scaled(image: Image, factor: float) -> Image:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=way), np.uint8)


@shipped
@pytest.mark.parametrize("name", ["astronaut", "hopper"])
@pytest.mark.parametrize("factor", [0.3, 0.4, 0.6, 1.0, 1.25])
@pytest.mark.parametrize("wear", ["plain", "dark", "blurred", "noisy"])
def test_the_portraits_are_found(
    detector: FaceDetector, name: str, factor: float, wear: str
) -> None:
    image, eyes = portrait(name)
    image = scaled(image, factor)
    if wear == "dark":
        image = (image * 0.2).astype(np.uint8)
    elif wear == "blurred":
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.7, 2.5 * factor)), np.uint8)
    elif wear == "noisy":
        noise = np.random.default_rng(0).normal(0, 12, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    found = detector.detect(image)
    assert len(found) == 1, [(each.box, each.score) for each in found]
    (face,) = found
    there = np.array(eyes).reshape(2, 2) * factor
    distance = float(np.linalg.norm(there[1] - there[0]))
    assert np.abs(face.landmarks[:2] - there).max() < 0.25 * distance, face.landmarks
    right, left, nose, right_mouth, left_mouth = face.landmarks
    assert right[0] < left[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right[1], left[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
    x, y = there.mean(0)
    assert inside(np.array([[x, y, 0, 0]], np.float32), face.box[None]).all()


@shipped
def test_a_mirrored_picture_gives_mirrored_faces(detector: FaceDetector) -> None:
    image, _ = portrait("astronaut")
    (face,) = detector.detect(image)
    (other,) = detector.detect(np.ascontiguousarray(image[:, ::-1]))
    width = image.shape[1]
    assert width - other.box[0] - other.box[2] == pytest.approx(face.box[0], abs=6)
    mirrored = other.landmarks[[1, 0, 2, 4, 3]]
    assert width - 1 - mirrored[:, 0] == pytest.approx(face.landmarks[:, 0], abs=5)


@shipped
def test_several_faces_and_the_picture_reduced(detector: FaceDetector) -> None:
    image, _ = portrait("astronaut")
    row = np.concatenate([image, image[:, ::-1], image], axis=1)
    large = np.concatenate([row, np.zeros_like(row)])
    found = detector.detect(large)
    assert len(found) == 3
    side = len(image)
    assert all(face.box[1] < side for face in found)
    assert sorted(round(float(face.centre[0] / side - 0.5)) for face in found) == [0, 1, 2]


@shipped
@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 9))
def test_any_size_is_taken_and_noise_has_no_face(height: int, width: int, seed: int) -> None:
    detector = open_detector(MODEL, [CPU])
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert detector.detect(picture) == []


@shipped
def test_a_size_seen_before_leaves_nothing_behind(detector: FaceDetector) -> None:
    image, _ = portrait("astronaut")
    first = detector.rows(image)
    detector.rows(np.full((500, 500, 3), 255, np.uint8))  # the same padded size, another content
    detector.rows(image[:300])
    assert detector.rows(image) == pytest.approx(first)


@shipped
def test_threads_do_not_change_what_is_found(detector: FaceDetector) -> None:
    image, _ = portrait("astronaut")
    assert open_detector(MODEL, [CPU], 2).rows(image) == pytest.approx(
        detector.rows(image), abs=1e-2
    )


# Wrong files


def copied(folder: Path, **changes: Any) -> Path:
    """The shipped model with fields of its card changed."""
    for file in MODEL.parent.glob("facedetect*.onnx"):
        shutil.copy(file, folder)
    card = yaml.safe_load(MODEL.read_text()) | changes
    path = folder / MODEL.name
    path.write_text(yaml.safe_dump(card))
    return path


@shipped
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "damaged or not the file"),
        ({"version": "99"}, "its version is '1', but its card says '99'"),
        ({"kind": "wake"}, "kind"),
        ({"strides": [8, 16]}, "strides"),
        ({"landmarks": ["nose"] * 5}, "landmarks"),
        ({"threshold": 1.5}, "threshold"),
        ({"input": {"channels": "bgr", "longest_side": 320}}, "its input is"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        open_detector(copied(tmp_path, **changes), [CPU])


@shipped
def test_another_network_under_the_same_card_is_refused(tmp_path: Path) -> None:
    card = yaml.safe_load(MODEL.read_text())
    described = {
        name: card[name] for name in ("kind", "name", "version", "input", "strides", "landmarks")
    }
    value = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 1, 8, 8])
    result = onnx.helper.make_tensor_value_info("cells", onnx.TensorProto.FLOAT, [1, 1, 8, 8])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["image"], ["cells"])], "g", [value], [result]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.helper.set_model_props(model, {"porter": json.dumps(described)})
    path = copied(tmp_path)
    onnx.save(model, str(path.with_suffix(".onnx")))
    from hashlib import sha256

    digest = sha256(path.with_suffix(".onnx").read_bytes()).hexdigest()
    path.write_text(yaml.safe_dump(card | {"sha256": digest}))
    with pytest.raises(ModelError, match="must take image"):
        open_detector(path, [CPU])
