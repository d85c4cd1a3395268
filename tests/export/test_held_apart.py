"""What is measured on is not learnt from, and what was half done does not count as done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from bench import stream
from daemon.errors import ModelError, SourceError
from daemon.vision.face import COLUMNS
from export.data import faces as sets
from export.data.casting import cast
from export.data.faces import read_set
from export.data.speech import Utterance
from export.daynight import recipe as daynight
from export.daynight import sketches as landscapes
from export.faces import material as detector
from export.faces import scenes
from export.landmarks import consensus, material
from export.objects import recipe as objects
from export.objects import train as objects_training
from export.wake import recipe as wake
from tests.export.drawn_faces import write_set
from tests.objects import write_colour_detector

ROOT = Path(__file__).parents[2]


class Looking:
    """Stands for YuNet: sees nothing, and counts how often it looked."""

    def __init__(self, mark: str) -> None:
        self.looked, self.mark = 0, mark

    def __call__(self, image: Any, sides: tuple[int, ...], score: float) -> Any:
        self.looked += 1
        return np.zeros((0, COLUMNS), np.float32)


def test_a_picture_that_changed_and_another_teacher_are_looked_at_again(tmp_path: Path) -> None:
    for name, level in ("a.png", 0), ("b.png", 90):
        cv2.imwrite(str(tmp_path / name), np.full((40, 40, 3), level, np.uint8))
    first, other = Looking("first"), Looking("other")

    def label(teacher: Any) -> int:
        scenes.label(scenes.listed(tmp_path), teacher, tmp_path / "cache")
        return int(teacher.looked)

    assert [label(first), label(first), label(other)] == [2, 2, 2]
    cv2.imwrite(str(tmp_path / "a.png"), np.full((41, 40, 3), 7, np.uint8))
    assert label(first) == 4


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sets in which one person to learn from is the copy of one kept for the test."""
    write_set(tmp_path / "sets", "celeba", range(6), 2)
    write_set(tmp_path / "sets", "utkface", [*range(10, 16), 0], 2)
    parts = {"celeba/0": "test", "celeba/1": "calibration", "utkface/11": "calibration"}
    monkeypatch.setattr(sets, "part_of", lambda key: parts.get(key, "train"))
    monkeypatch.setattr(detector, "SAME_FACE", 0.9999)
    return tmp_path / "sets"


def test_twins_of_a_test_are_taken_out_of_prepared_sets(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {face.name for face in read_set(prepared, "utkface") if face.part == "train"}
    twins = {name for name in known if name.split("/")[1].startswith("000")}
    assert len(twins) == 2
    both = [_background(tmp_path, "train"), _background(tmp_path, "calibration")]
    monkeypatch.setattr(detector, "labelled_scenes", lambda *_: both)
    monkeypatch.setattr(detector, "Teacher", lambda _: None)
    found = detector.gather(detector.Sources(prepared, teacher=Path("yunet.onnx")), tmp_path)
    assert {face.name for face in found.learning.crops[1]} == known - twins  # type: ignore[attr-defined]

    monkeypatch.setattr(material, "Teacher", lambda _: None)
    agreed = consensus.Agreed(np.zeros((5, 2), np.float32), 0.1)
    monkeypatch.setattr(material, "label", lambda group, *_: [agreed] * len(group))
    sources = detector.Sources(prepared, teacher=tmp_path)
    groups = material.gather(sources, "train", tmp_path)
    assert {each.face.name for each in groups[1]} == known - twins  # type: ignore[attr-defined]
    monkeypatch.setattr(material, "label", lambda group, *_: [None] * len(group))
    with pytest.raises(SourceError, match="calibration part has no face"):
        material.gather(sources, "calibration", tmp_path)


def test_a_detector_without_anything_to_choose_by_is_refused(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = _background(tmp_path, "train")
    monkeypatch.setattr(detector, "labelled_scenes", lambda *_: [learnt])
    monkeypatch.setattr(detector, "Teacher", lambda _: None)
    sources = detector.Sources(prepared, teacher=Path("yunet.onnx"))
    with pytest.raises(SourceError, match="calibration part has no pictures without faces"):
        detector.gather(sources, tmp_path)
    new, again = (_background(tmp_path, "calibration", name) for name in ("new", "train"))
    monkeypatch.setattr(detector, "labelled_scenes", lambda *_: [learnt, again])
    with pytest.raises(SourceError, match="calibration part has no pictures without faces"):
        detector.gather(sources, tmp_path)
    monkeypatch.setattr(detector, "labelled_scenes", lambda *_: [learnt, again, new])
    assert detector.gather(sources, tmp_path).checking.backgrounds == [new]


def test_where_a_person_is_seen_there_may_be_a_face_whatever_the_teacher_says(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait = (ROOT / "assets/demo/enrolled.jpg").read_bytes()
    rng = np.random.default_rng(0)
    (tmp_path / "rooms").mkdir()
    for number in range(40):
        wall = np.clip(rng.normal(number * 5, 4, (60, 80, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"rooms/{number}.png"), wall)
        if number % 4 == 0:
            (tmp_path / f"rooms/somebody-{number}.jpg").write_bytes(portrait)
    monkeypatch.setattr(detector, "Teacher", lambda _: Looking("blind"))
    sources = detector.Sources(prepared, scenes=(tmp_path / "rooms",), teacher=Path("yunet.onnx"))

    def bare(persons: Path | None) -> set[str]:
        found = detector.gather(replace(sources, persons=persons), tmp_path / "cache")
        both = [*found.learning.backgrounds, *found.checking.backgrounds]
        return {each.name.partition("-")[0] for each in both}

    assert "somebody" in bare(None)
    assert bare(ROOT / "models/objects.yaml") == bare(None) - {"somebody"}
    monkeypatch.setattr("tests.objects.COLOURS", {"cat": (0, 0, 255), "dog": (0, 255, 0)})
    pets = write_colour_detector(tmp_path / "pets")
    with pytest.raises(ModelError, match="knows no person"):
        bare(pets)


def _background(folder: Path, part: str, name: str | None = None) -> Any:
    """A picture without anybody; those of one name are alike."""
    file = folder / f"{name or part}.png"
    rng = np.random.default_rng(len(file.stem))
    cv2.imwrite(str(file), rng.integers(0, 256, (32, 32, 3), np.uint8))
    none = np.zeros((0, COLUMNS), np.float32)

    class Scene(scenes.Scene):
        part = property(lambda _: part)

    return Scene("s", part, file, 0, -1, none, none[:, :4])


def test_unlabelled_pictures_of_the_test_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reached(Exception):
        """Training would begin."""

    def workshop(pictures: object, unlabelled: list[Any], *_: object) -> None:
        shown.extend(unlabelled)
        raise Reached

    shown: list[Any] = []
    monkeypatch.setattr(daynight, "Workshop", workshop)
    pictures, test = landscapes.pictures(3, 0), landscapes.pictures(3, 1)
    other = landscapes.pictures(2, 2).images
    with pytest.raises(Reached):
        daynight.run(
            daynight.Plan(), pictures, test, [*test.images, *other], None, tmp_path, tmp_path
        )
    assert len(shown) == len(other)


def test_a_warm_up_that_was_cut_off_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = objects.quick(0)
    (tmp_path / "squeezenet.onnx").touch()
    plan = replace(few, classifier=tmp_path / "squeezenet.onnx", warm_up_minutes=0.1)
    began: list[Path] = []

    def learn(network: Any, recipe: Any, pictures: Any, loss: Any, save: Any, log: Path) -> Any:
        began.append(log)
        save(network, 1)
        if len(began) == 1:
            raise KeyboardInterrupt
        return network

    monkeypatch.setattr(objects, "load_teacher", lambda _: torch.nn.Identity())
    monkeypatch.setattr(objects_training, "_learn", learn)
    pictures = objects.sketches(plan)
    with pytest.raises(KeyboardInterrupt):
        objects.warm_backbone(plan, pictures, tmp_path / "work")
    for again in plan, plan, replace(plan, warm_up_minutes=0.2):
        objects.warm_backbone(again, pictures, tmp_path / "work")
        backbone = objects.backbone_of(again, tmp_path / "work")
        assert backbone is not None
        assert backbone.exists()
    assert len(began) == 3


@pytest.mark.parametrize("recipe", [wake.WakeRecipe(("activate",)), wake.quick(("activate",), 0)])
def test_no_utterance_that_a_threshold_is_set_on_is_learnt_from(
    recipe: wake.WakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.data.casting.kokoro_voices", lambda: [f"af_{n}" for n in range(9)])
    for learnt, kept in (
        [set(wake.positives_of(recipe, "activate", each)) for each in (False, True)],
        [set(wake.negatives_of(recipe, each)) for each in (False, True)],
    ):
        assert len(kept) > 30
        assert len(learnt) > 3 * len(kept) / 4
        assert not learnt & kept


def test_the_bench_s_neural_speech_is_fresh_or_missing_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Utterance] = []

    def speak(utterances: list[Utterance], _: object) -> list[Any]:
        drawn.extend(utterances)
        return [np.zeros(800, np.float32)] * len(utterances)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(stream.pools, "spoken", speak)
    monkeypatch.setattr(stream, "telephone_prompts", lambda _: [])
    monkeypatch.setattr(stream.pools, "music", lambda *_: [])
    with pytest.raises(SourceError, match="scripts/voices"):
        stream.held_out_sound("activate", None, 5)
    drawn.clear()
    monkeypatch.setattr("export.data.casting.kokoro_voices", lambda: [f"af_{n}" for n in range(40)])
    stream.held_out_sound("activate", None, 5)
    fresh = [each for each in drawn if each.engine == "kokoro"]
    learnt = {each for word in ("computer", "alexa") for each in cast(word, "kokoro", 1_500, 0)}
    assert len(fresh) == 2 * stream.NEURAL
    assert not set(fresh) & learnt
