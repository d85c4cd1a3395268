"""The trunk learns from a teacher: a small one of the real one's shape, with weights by chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from export.trunk.train import TrunkRecipe, load, publish, train
from tests.export.small_teacher import WIDTHS, sounds, write_teacher

RECIPE = TrunkRecipe(clips=120, batch=4, fitted=8, widths=WIDTHS, workers=0)


@pytest.mark.slow
def test_it_learns_what_the_teacher_says_and_goes_on_where_it_was(tmp_path: Path) -> None:
    teacher, data = write_teacher(tmp_path / "teacher.onnx"), sounds()
    train(RECIPE, data, data, teacher, tmp_path / "work")
    log = [json.loads(line) for line in (tmp_path / "work/trunk.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [60]
    assert log[0]["explained"] > 0.5

    again = train(RECIPE, data, data, teacher, tmp_path / "work")
    assert len((tmp_path / "work/trunk.jsonl").read_text().splitlines()) == len(log)

    card = yaml.safe_load(publish(tmp_path / "work", tmp_path / "out", data).read_text())
    assert card["figures"]["explained_variance_held_out"] == log[0]["explained"]
    published = load(tmp_path / "out/trunk.pt")
    for name, tensor in again.state_dict().items():
        assert published.state_dict()[name].equal(tensor)
