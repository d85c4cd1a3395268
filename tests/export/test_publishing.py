"""A model takes the place of the one before as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.cards import check_files, read_card
from daemon.vision.style.cards import GradientCard
from export.convert import ParityError, publishing
from export.features import recipe as features
from export.features.model import random_network


def test_files_come_together_and_the_card_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(self, target)

    with publishing(tmp_path / "models") as made:
        for name in ("a.yaml", "z.onnx", "a.npy"):
            (made / name).write_text(name)
        assert sorted(each.suffix for each in (tmp_path / "models").iterdir()) == [""]
        monkeypatch.setattr(Path, "replace", noted)
    assert moved[-1] == "a.yaml"
    assert sorted(moved) == sorted(each.name for each in (tmp_path / "models").iterdir())


def test_a_file_that_differs_from_its_network_leaves_the_model_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network(((6,), (8,), (10, 10)), 0)
    card = features.ship(network, tmp_path, "small", "none", {})
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    def differs(*_: object) -> float:
        raise ParityError("differs")

    monkeypatch.setattr(features, "check_parity", differs)
    with pytest.raises(ParityError):
        features.ship(random_network(((6,), (8,), (10, 10)), 1), tmp_path, "small", "none", {})
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    check_files(read_card(card, GradientCard))
