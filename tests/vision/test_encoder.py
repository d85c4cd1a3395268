"""The encoder prepares faces as its card says, and refuses what does not fit its card."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.cards import read_card
from daemon.errors import ConfigError, ModelError
from daemon.inference import CPU
from daemon.people.normalisation import load_cohort
from daemon.vision.alignment import ARCFACE, align
from daemon.vision.cards import EncoderCard
from daemon.vision.encoder import open_encoder
from tests.vision.encoders import write_encoder


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)


def landmarks(count: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.stack([ARCFACE * rng.uniform(0.5, 1.5) + rng.uniform(0, 90, 2) for _ in range(count)])


def test_vectors_have_length_one_and_tell_faces_apart(tmp_path, image):
    encoder = open_encoder(write_encoder(tmp_path), [CPU])
    vectors = encoder.embed_all(image, landmarks(5))
    assert vectors.shape == (5, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (vectors @ vectors.T)[~np.eye(5, dtype=bool)].max() < 0.999


def test_one_by_one_is_as_all_at_once(tmp_path, image):
    encoder = open_encoder(write_encoder(tmp_path), [CPU])
    faces = landmarks(4)
    together = encoder.embed_all(image, faces)
    alone = np.stack([encoder.embed(image, face) for face in faces])
    crops = np.stack([encoder.align(image, face) for face in faces])
    assert np.allclose(together, alone, atol=1e-6)
    assert np.allclose(encoder.embed_crops(crops), alone, atol=1e-6)
    assert encoder.embed_all(image, faces[:0]).shape == (0, 32)


def test_an_earlier_vector_is_not_overwritten_by_the_next(tmp_path, image):
    encoder = open_encoder(write_encoder(tmp_path), [CPU])
    first, second = landmarks(2)
    vector = encoder.embed(image, first)
    kept = vector.copy()
    encoder.embed(image, second)
    assert np.array_equal(vector, kept)


def test_pixels_are_prepared_as_the_card_says(tmp_path, image):
    fields = {
        "width": 112,
        "height": 112,
        "channels": "bgr",
        "mean": [10.0, 20.0, 30.0],
        "scale": 0.25,
        "template": (ARCFACE + 3).tolist(),
    }
    path = write_encoder(tmp_path, card={"input": fields}, metadata={"input": fields})
    encoder = open_encoder(path, [CPU])
    crop = align(image, landmarks(1)[0], ARCFACE + 3).astype(np.float64)
    values = ((crop - [10, 20, 30]) * 0.25).transpose(2, 0, 1)
    grid = values.reshape(3, 7, 16, 7, 16).mean((2, 4)).reshape(1, -1)
    expected = grid @ np.random.default_rng(0).normal(size=(147, 32))
    expected /= np.linalg.norm(expected)
    assert np.allclose(encoder.embed(image, landmarks(1)[0]), expected[0], atol=1e-5)


@pytest.mark.parametrize("size", [96, 160])
def test_another_size_is_a_matter_of_the_card(tmp_path, image, size):
    size = size // 7 * 7
    encoder = open_encoder(write_encoder(tmp_path, size=size, dimension=512), [CPU])
    assert encoder.embed(image, landmarks(1)[0]).shape == (512,)


@pytest.mark.parametrize(
    ("card", "metadata", "message"),
    [
        ({"name": "other"}, {}, "name"),
        ({"dimension": 64}, {}, "dimension"),
        ({"dimension": 64}, {"dimension": 64}, "dimension of 64"),
        ({}, {"input": {}}, "input"),
        ({"sha256": "0" * 64}, {}, "damaged"),
        ({"kind": "wake"}, {}, "kind"),
    ],
)
def test_what_does_not_fit_the_card_is_refused(tmp_path, card, metadata, message):
    path = write_encoder(tmp_path, card=card, metadata=metadata)
    with pytest.raises(ModelError, match=message):
        open_encoder(path, [CPU])


def test_a_cohort_is_a_file_of_the_model(tmp_path):
    cohort = {"file": "grid.cohort.npy", "sha256": "0" * 64, "nearest": 10}
    path = write_encoder(tmp_path, card={"normalise": True, "cohort": cohort})
    with pytest.raises(ModelError, match=r"grid\.cohort\.npy: missing"):
        open_encoder(path, [CPU])
    path = write_encoder(tmp_path, card={"normalise": True})
    with pytest.raises(ModelError, match="cohort"):
        open_encoder(path, [CPU])


def test_a_threshold_comes_with_its_rate_or_a_reason(tmp_path):
    card = read_card(write_encoder(tmp_path), EncoderCard)
    assert card.threshold(1e-3) == 0.5
    with pytest.raises(ConfigError, match=r"too few faces; choose 0\.001"):
        card.threshold(1e-4)
    with pytest.raises(ConfigError, match=r"no threshold for 1e-05; choose 0\.001"):
        card.threshold(1e-5)
    unclear = {"operating_points": [{"fmr": 0.01, "threshold": None}]}
    path = write_encoder(tmp_path, card=unclear)
    with pytest.raises(ModelError, match="either a threshold or a reason"):
        read_card(path, EncoderCard)


def test_the_shipped_encoder_is_whole_and_small(image):
    encoder = open_encoder("face", [CPU])
    card = encoder.card
    assert encoder.size == (112, 112)
    assert card.path.stat().st_size < 5_000_000
    assert isinstance(card.threshold(1e-3), float)
    assert card.figures["parity"]["onnx_to_torch"] < 1e-4
    assert "pictures you have rights to" in card.licence
    assert card.cohort is not None
    cohort = load_cohort(card.beside(card.cohort.file))
    assert cohort.shape[1] == card.dimension == 128
    assert len(cohort) > card.cohort.nearest
    vectors = encoder.embed_all(image, landmarks(3))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
