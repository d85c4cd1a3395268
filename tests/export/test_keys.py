"""What was trained is taken up only where all is as it was."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from export.data.faces import Face
from export.embedding.model import EncoderNet
from export.embedding.recipe import PORTER_INPUT
from export.embedding.train import EncoderRecipe
from export.embedding.train import train as train_encoder
from export.faces import recipe as detector
from export.faces import sketches
from export.faces.material import Gathered, Sources
from export.keys import key
from export.trunk import train as trunk_training
from export.wake import recipe as wake
from export.wake.bank import Heard
from export.wake.train import HeadRecipe
from export.wake.train import train as train_heads

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Made:
    """What a run is made of."""

    steps: int
    place: Path


def test_a_key_follows_what_lies_in_a_folder_and_every_setting(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.txt").write_text("one")
    run = Made(3, tmp_path)
    first = key(run, np.arange(3))
    assert key(replace(run), np.arange(3)) == first
    assert len({first, key(replace(run, steps=4), np.arange(3)), key(run, np.arange(4))}) == 3
    (tmp_path / "a/b.txt").write_text("more")
    changed = key(run, np.arange(3))
    (tmp_path / "a/b.txt").write_text("less")
    os.utime(tmp_path / "a/b.txt", (1, 1))
    (tmp_path / "c.txt").touch()
    assert len({first, changed, key(run, np.arange(3))}) == 3
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a/linked").symlink_to(tmp_path / "elsewhere")
    before = key(tmp_path / "a")
    (tmp_path / "elsewhere/d.txt").touch()
    assert key(tmp_path / "a") != before
    with pytest.raises(TypeError, match="object"):
        key(object())


def test_mixtures_of_a_word_are_those_of_its_recordings_and_of_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = wake.quick(("porter",), 0)

    def named(place: str) -> str:
        (tmp_path / place).mkdir(exist_ok=True)
        sources = wake.Sources(
            tmp_path / place, {"porter": tmp_path / place}, None, tmp_path / "work", "a teacher"
        )
        return wake.bank_key(recipe, sources)

    (tmp_path / "one").mkdir()
    (tmp_path / "one/a.wav").touch()
    before = named("one")
    assert named("one") == before
    (tmp_path / "one/b.wav").touch()
    more = named("one")
    assert len({before, more, named("two")}) == 3
    (tmp_path / "tune.ogg").touch()
    monkeypatch.setattr("export.data.pools.tunes", lambda: [tmp_path / "tune.ogg"])
    assert named("one") != more


def test_heads_of_another_rate_length_and_bank_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's way from a recipe to heads, on banks that hold noise."""
    trunk = trunk_training.load(ROOT / "models/trunk.pt")
    shipped: list[Tensor] = []

    class Noise:
        def __init__(self, folder: Path, clips: int, *_: object) -> None:
            self.clips = clips

        def render(self, processes: int) -> None:
            pass

        def hear(self, trunk: object) -> Heard:
            rng = np.random.default_rng(0)
            steps = rng.standard_normal((self.clips, 125, 96)).astype(np.float16)
            return Heard(steps, rng.integers(0, 2, (self.clips, 125, 1)).astype(np.int8))

    def ship(*given: object) -> Path:
        head = given[3]
        assert isinstance(head, torch.nn.Module)
        shipped.append(next(head.parameters()).detach().clone())
        return tmp_path / "word.yaml"

    monkeypatch.setattr(wake, "Bank", Noise)
    monkeypatch.setattr(wake, "_ship", ship)
    sources = wake.Sources(None, {}, None, tmp_path / "work", "a teacher")
    head = HeadRecipe(epochs=2, batch=8, members=1, hidden=8)
    recipe = replace(wake.quick(("porter",), 0), clips=16, calibration_clips=8, head=head)
    for again in (
        recipe,
        recipe,
        replace(recipe, head=replace(head, rate=1e-4)),
        replace(recipe, head=replace(head, epochs=4)),
        replace(recipe, clips=32),
    ):
        wake.run(again, sources, trunk, tmp_path / "out")
    assert shipped[0].equal(shipped[1])
    assert len({tuple(each.flatten().tolist()) for each in shipped}) == 4


def test_a_head_that_was_cut_off_ends_where_it_would_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    steps = rng.standard_normal((24, 125, 96)).astype(np.float16)
    heard = Heard(steps, rng.integers(0, 2, (24, 125, 1)).astype(np.int8))
    recipe = HeadRecipe(epochs=4, batch=8, members=1, hidden=8)
    whole = train_heads(recipe, heard, 0, tmp_path / "whole", "word")

    lasting = torch.optim.AdamW.step
    taken: list[int] = []

    def stop_in_the_third_epoch(self: torch.optim.AdamW, *given: object) -> object:
        taken.append(1)
        if len(taken) == 8:
            raise KeyboardInterrupt
        return lasting(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", stop_in_the_third_epoch)
        with pytest.raises(KeyboardInterrupt):
            train_heads(recipe, heard, 0, tmp_path / "cut", "word")
    resumed = train_heads(recipe, heard, 0, tmp_path / "cut", "word")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_an_encoder_goes_on_from_the_weights_of_another_with_other_people(tmp_path: Path) -> None:
    faces = [
        Face("s", f"{n}", f"p{n // 2}", (0, 0, 1, 1), np.zeros((5, 2), np.float32), tmp_path)
        for n in range(12)
    ]
    crops = np.random.default_rng(0).integers(0, 256, (12, 144, 144, 3), np.uint8)
    recipe = EncoderRecipe(
        steps=2, batch=4, persons=2, pictures=2, distillation=0, relation=0, triplet=1, workers=0
    )
    template = np.array(PORTER_INPUT.template)

    def net() -> EncoderNet:
        return EncoderNet((8, 16, 24, 32), (0, 1, 1, 1))

    first = train_encoder(recipe, net(), template, faces[:8], crops, None, tmp_path / "first")
    still = replace(recipe, rate=0.0)
    second = train_encoder(
        still, net(), template, faces, crops, None, tmp_path / "on", tmp_path / "first/encoder.pt"
    )
    before = dict(first.named_parameters())
    assert all(each.equal(before[name]) for name, each in second.named_parameters())


@pytest.mark.parametrize("changed", ["a picture", "steps", "nothing"])
def test_a_detector_of_other_pictures_or_steps_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people/a.jpg").touch()
    folders: list[Path] = []

    class Reached(Exception):
        """The second stage would begin."""

    def train(recipe: object, material: object, folder: Path, *_: object) -> None:
        folders.append(folder)

    def ship(*_: object) -> Path:
        raise Reached

    drawn = Gathered(sketches.material(0, 4, 4), sketches.material(1, 4, 4))
    monkeypatch.setattr(detector, "gather", lambda *_: drawn)
    monkeypatch.setattr(detector, "train", train)
    monkeypatch.setattr(detector, "_ship", ship)
    sources = Sources(more_faces=(tmp_path / "people",))

    def begin(plan: detector.Plan) -> None:
        with pytest.raises(Reached):
            detector.run(plan, sources, tmp_path / "out", tmp_path / "work", 0)

    plan = detector.quick(0)
    begin(plan)
    if changed == "a picture":
        (tmp_path / "people/b.jpg").touch()
    begin(detector.scaled(plan, 2.0, 0) if changed == "steps" else plan)
    assert (folders[0] == folders[1]) == (changed == "nothing")
