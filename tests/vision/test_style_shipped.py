"""The networks for style transfer that ship do what they ship for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daemon.inference import CPU
from daemon.vision.pictures import read_image
from daemon.vision.style.canvas import framed, scaled
from daemon.vision.style.fast import open_painter
from daemon.vision.style.gradient import GradientGraph, open_gradient
from daemon.vision.style.transfer import Manner, Transfer
from export.features.graph import check_parity, read
from tests.vision.painters import scene

PORTRAIT = Path(__file__).parents[2] / "assets/demo/enrolled.jpg"
PAINTERS = ("style-great-wave", "style-starry-night")


@pytest.fixture(scope="module")
def graph() -> GradientGraph:
    return open_gradient("features", [CPU], 2)


@pytest.fixture(scope="module")
def contents():
    return [scaled(read_image(PORTRAIT), 192), scene(1, 192, 192, 24)]


def grams(graph, image):
    return graph.look(framed(image, graph.card.input.multiple).image).grams


def distance(one, two):
    """Mean over the layers of the squared difference, as a share."""
    return np.mean([np.square(a - b).sum() / np.square(b).sum() for a, b in zip(one, two)])


def test_the_gradient_of_the_one_that_ships_is_that_of_autograd(graph):
    path = graph.card.path
    assert check_parity(read(path), path, seed=5) <= 1e-4


def test_an_optimised_painting_takes_on_the_style(graph, contents):
    style = scene(2, 160, 160, 3)
    painting = Transfer(graph, style, Manner(size=160, steps=60)).paint(
        contents[0], lambda *_: None
    )
    assert painting.loss.style < painting.start.style / 20


@pytest.mark.parametrize("name", PAINTERS)
def test_paintings_of_one_painter_are_alike_whatever_they_show(graph, contents, name):
    painter = open_painter(name, [CPU], 2)
    before = distance(*(grams(graph, each) for each in contents))
    after = distance(*(grams(graph, painter.paint(each)) for each in contents))
    assert after < before / 2


def test_the_painters_differ(graph, contents):
    wave, night = (open_painter(name, [CPU], 2).paint(contents[0]) for name in PAINTERS)
    wave_blue, night_blue = (each[:, :, 0].mean() - each[:, :, 2].mean() for each in (wave, night))
    assert wave_blue < 0 < night_blue, "paper is yellowish, the night is blue"
