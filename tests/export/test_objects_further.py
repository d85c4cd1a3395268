"""Training an object detector further: from its weights, and from the model that ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from daemon.errors import ModelError
from export.objects.augment import Batch, draw
from export.objects.material import Pictures
from export.objects.model import Backbone, Widths
from export.objects.recipe import backbone_of, quick, ship, sketches, train_variants
from export.objects.restore import Start, restore
from export.objects.sketches import draw_pictures
from export.objects.train import load_detector, save_weights

SMALL = Widths(channels=(4, 8, 8, 8, 16), blocks=(1, 1, 1), pyramid=8, v1=8)


def test_the_card_tells_of_the_run_that_another_went_on_from(tmp_path: Path) -> None:
    few = quick(0)
    plan = replace(few, recipe=replace(few.recipe, steps=2), data=("pictures of a street",))
    train_variants(plan, sketches(plan), ["multi"], tmp_path / "work")
    # It goes on with the network that is there, whatever another and its backbone would be like.
    (tmp_path / "classifier.onnx").touch()
    other = replace(plan.recipe, rate=1e-4, widths=SMALL)
    further = replace(
        plan, data=few.data, recipe=other, goes_on=True, classifier=tmp_path / "classifier.onnx"
    )
    warmed = backbone_of(further, tmp_path / "work")
    assert warmed is not None
    # Warming up rounds nothing: a backbone serves, however long is rounded afterwards.
    rounding = replace(further, recipe=replace(other, rounded=0.5))
    assert backbone_of(rounding, tmp_path / "work") == warmed
    save_weights(Backbone(SMALL), other, warmed, 1)
    train_variants(further, sketches(plan), ["multi"], tmp_path / "work")

    card = yaml.safe_load(
        ship(["multi"], tmp_path / "work", tmp_path / "models", sketches(plan)).read_text()
    )
    assert card["input"]["width"] == plan.recipe.side
    assert card["recipe"]["rate"] == 1e-4
    assert card["recipe"]["before"]["rate"] == plan.recipe.rate
    assert card["recipe"]["before"]["before"] is None
    assert card["data"] == ["pictures of a street", "drawn shapes: a smoke test, not a model"]


@pytest.mark.parametrize("kind", ["separable", "plain"])
def test_a_detector_that_ships_learns_on(kind: str, tmp_path: Path) -> None:
    few, pictures = quick(0, kind), draw_pictures(48, 128, 3)
    plan = replace(few, recipe=replace(few.recipe, steps=8), data=("pictures of a street",))
    train_variants(plan, pictures, ["multi"], tmp_path / "work")
    card = ship(["multi"], tmp_path / "work", tmp_path / "models", pictures)

    start = Start(card)
    network, before = restore(start, pictures), load_detector(tmp_path / "work/multi.pt")
    images = pictures.images[:8].float() / 255
    with torch.no_grad():
        given, known = network(images), before(images)
    off = (given - known).abs()
    # Weights of seven bits: each is off by at most a 128th of its channel's largest.
    assert float(off[..., 4:].mean()) < 0.1 * float(known[..., 4:].std())
    assert float(off[..., :4].mean()) < 0.1 * float(known[..., :4].std())

    assert start.widths == few.recipe.widths
    further = replace(few, recipe=replace(few.recipe, steps=1, rate=1e-5), start=start)
    train_variants(further, pictures, ["multi"], tmp_path / "further")
    told = yaml.safe_load(
        ship(["multi"], tmp_path / "further", tmp_path / "m2", pictures, input_side=160).read_text()
    )
    assert told["input"]["width"] == told["input"]["height"] == 160
    assert told["data"][0] == "pictures of a street"
    assert told["recipe"]["before"]["steps"] == 8


def test_going_on_draws_other_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[int]] = []

    def noted(pictures: Pictures, chosen: Tensor, *how: Any) -> Batch:
        drawn.append(chosen.flatten().tolist())
        return draw(pictures, chosen, *how)

    monkeypatch.setattr("export.objects.train.draw", noted)
    few = quick(0)
    plan = replace(few, recipe=replace(few.recipe, steps=3))
    pictures = sketches(plan)
    train_variants(plan, pictures, ["multi"], tmp_path)
    train_variants(replace(plan, goes_on=True), pictures, ["multi"], tmp_path)
    train_variants(replace(plan, goes_on=True), pictures, ["multi"], tmp_path)
    assert len(drawn) == len({tuple(each) for each in drawn}) == 9


def test_what_was_cut_off_does_not_ship_but_can_be_trained_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.objects.train.SAVE_SECONDS", 0.0)
    few = quick(0)
    plan = replace(few, recipe=replace(few.recipe, steps=9))
    pictures, drawn = sketches(plan), 0

    def cut_off(*given: Any) -> Batch:
        nonlocal drawn
        drawn += 1
        if drawn == 3:
            raise KeyboardInterrupt
        return draw(*given)

    with monkeypatch.context() as patch:
        patch.setattr("export.objects.train.draw", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train_variants(plan, pictures, ["multi"], tmp_path / "work")
    with pytest.raises(ModelError, match=r"cut off; train multi again, or further with --go-on"):
        ship(["multi"], tmp_path / "work", tmp_path / "models", pictures)
    further = replace(plan, goes_on=True, recipe=replace(few.recipe, steps=1))
    train_variants(further, pictures, ["multi"], tmp_path / "work")
    told = ship(["multi"], tmp_path / "work", tmp_path / "models", pictures).read_text()
    assert yaml.safe_load(told)["recipe"]["before"]["steps_taken"] == 2
