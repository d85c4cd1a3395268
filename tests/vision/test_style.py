"""The parts of style transfer: gradients, optimisers, canvases, painters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import ModelError, PorterError
from daemon.inference import CPU
from daemon.vision.style.canvas import framed, keep_colours, scaled
from daemon.vision.style.cards import TERMS
from daemon.vision.style.fast import open_painter
from daemon.vision.style.gradient import GradientGraph, Loss, Seen, Weights, open_gradient
from daemon.vision.style.optimise import optimise
from daemon.vision.style.transfer import Manner, Transfer
from export.features.loss import Target, losses
from export.features.model import FeatureNetwork, Features, gram
from tests.vision.painters import scene, write_features, write_negative


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[GradientGraph, FeatureNetwork]:
    folder = tmp_path_factory.mktemp("features")
    network = write_features(folder)
    return open_gradient(folder / "features.onnx", [CPU], 1), network


sides = st.integers(2, 20).map(lambda count: 4 * count)


@settings(max_examples=25, deadline=None)
@given(sides, sides, st.integers(0, 2**31), st.tuples(*[st.floats(0.01, 100.0)] * 4))
def test_gradient_and_loss_are_those_of_autograd(networks, height, width, seed, factors):
    graph, network = networks
    image, content = (
        framed(scene(seed + place, width, height, 4 * place), 4).image for place in (1, 2)
    )
    image = 1.2 * image - np.float32(0.1)  # some of it darker than black, lighter than white
    style = framed(scene(seed + 3, 64, 48, 1), 4).image
    weights = Weights(*factors)
    target = Seen(graph.look(content).content, graph.look(style).grams)
    loss, gradient = graph.evaluate(image, target, weights)

    features = Features(network)
    x = torch.from_numpy(image).requires_grad_()
    with torch.no_grad():
        grams = [gram(each) for each in features(torch.from_numpy(style)).styles]
        wanted = Target(features(torch.from_numpy(content)).content, grams)
    off = losses(features, x, wanted)
    off.total(*factors).backward()
    expected = x.grad.numpy()
    assert np.linalg.norm(gradient - expected) <= 1e-4 * np.linalg.norm(expected)
    for term in TERMS:
        assert getattr(loss, term) == pytest.approx(getattr(off, term).item(), rel=1e-4, abs=1e-7)
    for seen, known in zip(target.grams, grams):
        np.testing.assert_allclose(seen, known.numpy(), rtol=1e-4, atol=1e-5)


def bowl(image):
    """A loss whose least place is a half everywhere, bent differently in each pixel."""
    bend = np.linspace(1, 9, image.size, dtype=np.float32).reshape(image.shape)
    off = image - 0.5
    total = float((bend * off * off).sum())
    return Loss(total, 0.0, 0.0, 0.0, total), 2 * bend * off


@pytest.mark.parametrize(
    ("optimiser", "steps", "share"), [("lbfgs", 60, 1e-6), ("adam", 200, 0.02)]
)
def test_optimisers_find_the_bottom(optimiser, steps, share):
    start = np.zeros((1, 3, 8, 8), np.float32)
    told = []
    found = optimise(bowl, start, steps, optimiser, lambda step, loss, image: told.append(step))
    assert found.loss.total < share * found.start.total
    assert found.steps <= steps
    assert told == list(range(1, found.steps + 1))
    assert not found.interrupted


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_no_more_steps_than_allowed(optimiser):
    start = np.zeros((1, 3, 8, 8), np.float32)
    found = optimise(bowl, start, 3, optimiser, lambda *_: None)
    assert found.steps == 3


def test_an_interruption_keeps_the_best_not_the_last():
    losses = [5.0, 2.0, 9.0]

    def evaluate(image):
        if not losses:
            raise KeyboardInterrupt
        total = losses.pop(0)
        return Loss(total, 0.0, 0.0, 0.0, total), np.full_like(image, total)

    start = np.zeros((1, 3, 4, 4), np.float32)
    seen = []
    found = optimise(evaluate, start, 10, "adam", lambda step, loss, image: seen.append(image))
    assert found.interrupted
    assert found.loss.total == 2.0
    np.testing.assert_array_equal(found.image, seen[1])


def test_an_interruption_before_the_first_step_is_one():
    def evaluate(image):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimise(evaluate, np.zeros((1, 3, 4, 4), np.float32), 10, "adam", lambda *_: None)


def test_a_loss_that_is_no_number_is_an_error():
    def evaluate(image):
        return Loss(np.nan, 0.0, 0.0, 0.0, np.nan), np.full_like(image, np.nan)

    with pytest.raises(PorterError, match="no number"):
        optimise(evaluate, np.zeros((1, 3, 4, 4), np.float32), 5, "adam", lambda *_: None)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from([1, 4, 16]), st.integers(0, 24))
def test_a_canvas_gives_back_its_picture(height, width, multiple, margin):
    image = scene(height * 50 + width, width, height)
    canvas = framed(image, multiple, margin)
    tall, wide = canvas.image.shape[2:]
    assert tall % multiple == 0 == wide % multiple
    assert tall >= height + 2 * margin
    assert wide >= width + 2 * margin
    np.testing.assert_array_equal(canvas.cut(canvas.image), image)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (10, 300), (64, 64)])
def test_a_scaled_picture_has_the_side_asked_for(width, height):
    result = scaled(scene(0, width, height), 128)
    assert max(result.shape[:2]) == 128
    assert min(result.shape[:2]) == max(1, round(128 * min(width, height) / max(width, height)))


def test_kept_colours_are_those_of_the_content():
    content = np.full((32, 32, 3), (30, 60, 200), np.uint8)
    painting = np.dstack([scene(1, 32, 32)[:, :, 0]] * 3)
    result = keep_colours(painting, content).astype(int)
    assert (result[:, :, 2] >= result[:, :, 0]).all(), "still red"
    grey = result @ [0.114, 0.587, 0.299]
    assert np.corrcoef(grey.ravel(), painting[:, :, 0].ravel())[0, 1] > 0.95


def test_a_painting_takes_on_the_style_and_keeps_its_size(networks):
    graph, _ = networks
    manner = Manner(size=64, steps=40, weights=Weights(0.01, 100.0, 0.1))
    shown = []
    painting = Transfer(graph, scene(5, 80, 80, 2), manner).paint(
        scene(6, 101, 77), lambda step, loss, picture: shown.append(picture().shape)
    )
    assert painting.image.shape == (49, 64, 3)
    assert set(shown) == {(49, 64, 3)}
    assert painting.loss.style < painting.start.style / 10


def test_noise_is_the_same_for_the_same_seed(networks):
    graph, _ = networks

    def begin(seed):
        manner = Manner(size=64, steps=1, init="noise", seed=seed)
        transfer = Transfer(graph, scene(5), manner)
        return transfer.paint(scene(6), lambda *_: None).image

    np.testing.assert_array_equal(begin(1), begin(1))
    assert (begin(1) != begin(2)).any()


def test_a_painter_takes_any_size(tmp_path: Path):
    painter = open_painter(write_negative(tmp_path), [CPU], 1)
    for width, height in ((1, 1), (5, 40), (33, 18)):
        image = scene(width, width, height)
        np.testing.assert_array_equal(painter.paint(image), 255 - image)
    assert painter.paint(scene(1, 40, 20), 80).shape == (40, 80, 3)


def test_another_kind_of_model_is_refused(tmp_path: Path):
    write_features(tmp_path)
    write_negative(tmp_path)
    with pytest.raises(ModelError, match="style-fast"):
        open_painter(tmp_path / "features.yaml", [CPU], 1)
    with pytest.raises(ModelError, match="style-gradient"):
        open_gradient(tmp_path / "negative.yaml", [CPU], 1)
