"""What learns with rounded numbers sees what its file in whole numbers will give."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
import torch

from export.objects import rounding as module
from export.objects.graph import export, graph_of
from export.objects.model import MultiScale, Widths
from export.objects.quantise import quantise, seen
from export.objects.rounding import LEVELS, _Rounded, round_numbers
from export.objects.sketches import draw_pictures
from export.objects.train import Recipe, load_detector, train

SMALL = Widths((8, 8, 16, 16, 16), (1, 1, 1), 16, 8, "plain")


def small(kind: str = "plain") -> MultiScale:
    torch.manual_seed(0)
    network = MultiScale(replace(SMALL, kind=kind))
    for each in network.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.weight.data.uniform_(0.5, 2)
    for out in network.out:
        torch.nn.init.normal_(out.weight, std=0.5)  # type: ignore[arg-type]
    return network


def test_values_become_multiples_of_a_step_and_gradients_pass() -> None:
    rounded = _Rounded()
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    given = rounded(x)
    levels = given / (x.max() / LEVELS)
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert (given - x).abs().max() <= x.max() / LEVELS / 2 * 1.001
    (given * torch.arange(8)).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert (x.grad == torch.arange(8).expand(2, 3, 8, 8)).all()
    # A darker batch right after has nearly the steps of the one before.
    levels = rounded(x / 4).detach() / (0.99 * x.max() / LEVELS)
    assert torch.allclose(levels, levels.round(), atol=1e-3)


def test_nothing_stays_nothing() -> None:
    assert (_Rounded()(torch.zeros(1, 2, 3, 3)) == 0).all()


def test_it_is_what_the_file_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FADING", 1.0)  # the file's steps are of all pictures, too
    network, pictures = small(), draw_pictures(8, 128, 0)
    with torch.no_grad():
        for _ in range(100):  # its batch norms learn the pictures
            network(pictures.images.float() / 255)
    graph = graph_of(network.eval(), 128)
    path = tmp_path / "small.onnx"
    quantise(path, seen(pictures, 32), export(graph, path, "small", "1"))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rounding = copy.deepcopy(graph)
    round_numbers(rounding)
    with torch.inference_mode():
        images = [torch.from_numpy(each) for each in seen(pictures, 32)]
        for each in images:
            rounding(each)  # finds its steps
        in_file = [torch.from_numpy(session.run(None, {"image": x.numpy()})[0]) for x in images]

        def apart(network: torch.nn.Module) -> float:
            both = zip(in_file, images, strict=True)
            return float(sum((given - network(x)).square().mean() for given, x in both))

        # Rounded in some other way it would be twice as far as what is not rounded at all.
        assert apart(rounding) < 0.75 * apart(graph)


def test_a_separable_network_ships_as_it_is_and_is_not_rounded() -> None:
    network = small("separable").eval()
    image = torch.rand(1, 3, 64, 64)
    before = network(image)
    round_numbers(network)
    assert (network(image) == before).all()


def test_its_share_of_the_time_is_rounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[torch.nn.Module] = []
    monkeypatch.setattr("export.objects.train.round_numbers", begun.append)
    for share, expected in [(0.0, 0), (0.5, 1)]:
        recipe = Recipe(steps=4, batch=2, side=128, widths=SMALL, rounded=share)
        train(recipe, draw_pictures(4, 128, 0), tmp_path)
        assert len(begun) == expected


def test_what_learnt_rounded_is_kept_whole(tmp_path: Path) -> None:
    recipe = Recipe(steps=6, batch=2, side=128, widths=SMALL, rounded=1.0)
    learnt = train(recipe, draw_pictures(4, 128, 0), tmp_path)
    again = load_detector(tmp_path / "multi.pt")
    image = torch.rand(1, 3, 64, 64)
    given = learnt(image)
    assert torch.isfinite(given).all()
    assert torch.allclose(again(image), given, rtol=0.02, atol=0.02)  # written in float16
    weight = learnt.get_parameter("backbone.at8.0.conv.weight")
    steps = weight / weight.abs().amax((1, 2, 3), keepdim=True) * module.WEIGHT_LEVELS
    assert (steps - steps.round()).abs().max() > 0.1
