"""Day and night: when it changes, what the network is shown, and which models are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ModelError
from daemon.fields import CommandHook
from daemon.inference import CPU
from daemon.vision.events import LightChanged
from daemon.vision.frames import Frame
from daemon.vision.light.classifier import LightClassifier, open_light
from daemon.vision.light.hysteresis import Hysteresis
from daemon.vision.light.prepare import as_input, shrink
from daemon.vision.light.settings import LightConfig, LightRules, conditions
from daemon.vision.light.watch import LightWatch
from daemon.vision.settings import FacesConfig, MotionConfig
from tests.light import SIDE, scene, write_light_model

LOW, HIGH, HOLD = 0.3, 0.7, 10.0
DAY, NIGHT, BETWEEN = st.floats(0, LOW), st.floats(HIGH, 1), st.floats(LOW + 1e-6, HIGH - 1e-6)
STEPS = st.floats(0.1, 8.0)


def trigger() -> Hysteresis:
    return Hysteresis(LOW, HIGH, HOLD)


def settled(probability: float) -> Hysteresis:
    found = trigger()
    assert found.update(probability, 0.0) is not None
    return found


@given(first=DAY | NIGHT, rest=st.lists(st.tuples(BETWEEN, STEPS), max_size=40))
def test_inside_the_band_nothing_ever_changes(
    first: float, rest: list[tuple[float, float]]
) -> None:
    light, time = settled(first), 0.0
    before = light.light
    for probability, step in rest:
        time += step
        assert light.update(probability, time) is None
    assert light.light == before


@given(given=st.lists(st.tuples(st.floats(0, 1), STEPS), max_size=60))
def test_it_changes_only_after_everything_said_so_for_the_whole_time(
    given: list[tuple[float, float]],
) -> None:
    light, time = trigger(), 0.0
    seen: list[tuple[float, float]] = []
    for probability, step in given:
        time += step
        seen.append((time, probability))
        change = light.update(probability, time)
        if change is None or change.previous is None:
            continue
        assert change.light != change.previous
        last_other = max(
            (at for at, each in seen if (each < HIGH if change.light == "night" else each > LOW)),
            default=-np.inf,
        )
        said_so = [at for at, _ in seen if at > last_other]
        assert said_so[-1] - said_so[0] >= HOLD


@given(probabilities=st.lists(NIGHT, min_size=2, max_size=30), step=STEPS)
def test_it_does_change_once_that_time_is_over(probabilities: list[float], step: float) -> None:
    light = settled(0.0)
    changed = [
        number * step
        for number, probability in enumerate(probabilities)
        if light.update(probability, 100.0 + number * step)
    ]
    due = [number * step for number in range(len(probabilities)) if number * step >= HOLD]
    # A sum of floats may fall short of the time by a rounding.
    assert len(changed) <= 1
    if due and due[-1] - HOLD > 1e-6:
        assert changed[0] == pytest.approx(due[0], abs=step * 1.001)
    elif not due:
        assert changed == []


def test_the_first_clear_picture_counts_at_once_and_an_unclear_one_does_not() -> None:
    light = trigger()
    assert light.update(0.5, 0.0) is None
    assert light.light is None
    change = light.update(0.9, 1.0)
    assert change is not None
    assert (change.light, change.previous, change.lasted) == ("night", None, None)


def test_a_headlight_does_not_make_day() -> None:
    light = settled(0.95)
    for second in range(1, 200):
        passing = second % 40 < 9
        assert light.update(0.05 if passing else 0.95, float(second)) is None


def test_a_gap_starts_the_time_again() -> None:
    light = settled(0.0)
    assert light.update(0.9, 1.0) is None
    light.interrupt()
    assert light.update(0.9, 50.0) is None
    change = light.update(0.9, 60.0)
    assert change is not None
    assert change.lasted == 60.0


def test_what_was_known_is_known_under_other_rules() -> None:
    old, new = settled(0.9), Hysteresis(0.1, 0.6, 0.0)
    new.take_over(old)
    assert new.light == "night"
    change = new.update(0.05, 30.0)
    assert change is not None
    assert (change.previous, change.lasted) == ("night", 30.0)


@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (97, 131), (64, 64), (3, 5)])
def test_a_shrunk_picture_is_the_mean_of_its_cells(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    rough = rng.integers(0, 256, (12, 16, 3), np.uint8)
    image = np.asarray(cv2.resize(rough, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    small = shrink(image, 64)
    assert small.shape == (64, 64, 3)
    assert small.mean((0, 1)) == pytest.approx(image.mean((0, 1)), abs=1.5)
    plain = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - plain).mean() < 2


def test_the_network_is_shown_red_first_in_0_to_1() -> None:
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[..., 0] = 255
    shown = as_input(blue)
    assert shown.shape == (3, 8, 8)
    assert shown[:, 0, 0].tolist() == [0, 0, 1]


@pytest.fixture
def classifier(tmp_path: Path) -> LightClassifier:
    return open_light(write_light_model(tmp_path), [CPU])


def test_a_picture_of_any_size_has_a_probability(classifier: LightClassifier) -> None:
    for width, height in ((640, 480), (33, 900), (1, 1)):
        bright = np.full((height, width, 3), 200, np.uint8)
        assert classifier.probability(bright) < 0.01
        assert classifier.probability(bright // 20) > 0.99


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"kind": "face-detector"}, "kind: must be 'daynight' here"),
        ({"own": {"kind": "face-detector"}}, "its kind is 'face-detector'"),
        ({"own": {"labels": ["night", "day"]}}, "its labels is"),
    ],
)
def test_another_kind_of_model_is_refused(tmp_path: Path, made: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        open_light(write_light_model(tmp_path, **made), [CPU])


def test_damage_and_a_graph_that_does_not_fit_are_refused(tmp_path: Path) -> None:
    card = write_light_model(tmp_path)
    text = card.read_text()
    card.write_text(text.replace("- day\n- night", "- night\n- day"))
    with pytest.raises(ModelError, match="labels: must be day, night, in this order"):
        open_light(card, [CPU])
    card.write_text(text)
    path = card.with_suffix(".onnx")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="damaged or not the file"):
        open_light(card, [CPU])
    other = {"input": {"channels": "rgb", "side": 32}}
    wrong = write_light_model(tmp_path, "wrong", own=other)
    wrong.write_text(wrong.read_text().replace(f"side: {SIDE}", "side: 32"))
    with pytest.raises(ModelError, match=r"must take image \[n, 3, 32, 32\]"):
        open_light(wrong, [CPU])


class Watched:
    """A watch with everything that it says."""

    def __init__(self, classifier: LightClassifier, **settings: Any) -> None:
        self.said: list[Any] = []
        self.order: list[str] = []
        self.watch = LightWatch(
            classifier,
            LightConfig(interval_seconds=2.0, hold_seconds=4.0, **settings),
            lambda data: (self.said.append(data), self.order.append("said")),
            lambda light: self.order.append(light),
        )

    def show(self, night: bool, time: float) -> None:
        self.watch.see(Frame(scene(night, 1), 1, time, time, time))


def test_a_change_is_in_force_before_it_is_said(classifier: LightClassifier) -> None:
    watched = Watched(classifier)
    for second in range(20):
        watched.show(second >= 7, float(second))
    assert watched.order == ["day", "said", "night", "said"]
    first, second = watched.said
    assert isinstance(first, LightChanged)
    assert (first.light, first.previous, first.lasted) == ("day", None, None)
    assert (second.light, second.previous, second.lasted) == ("night", "day", 12.0)
    assert first.probability < 0.3
    assert second.probability > 0.7


def test_pictures_between_two_looks_are_not_looked_at(
    classifier: LightClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []
    monkeypatch.setattr(classifier, "probability", lambda image: looked.append(0.0) or 0.0)
    watched = Watched(classifier)
    for tenth in range(100):
        watched.show(False, tenth / 10)
    assert len(looked) == 5


@given(
    rules=st.builds(
        LightRules,
        fmr=st.none() | st.floats(1e-6, 0.1),
        min_sharpness=st.none() | st.floats(0, 1),
        min_brightness=st.none() | st.floats(0, 1),
        max_brightness=st.none() | st.floats(0, 1),
        motion_threshold=st.none() | st.floats(0.001, 0.9),
        run=st.none() | st.just(CommandHook(command=["true"])),
    )
)
def test_what_is_not_set_for_a_light_is_as_always(rules: LightRules) -> None:
    faces, motion = FacesConfig(), MotionConfig()
    found = conditions(faces, motion, rules)
    places = {
        "fmr": (found.faces.fmr, faces.fmr),
        "min_sharpness": (found.faces.quality.min_sharpness, faces.quality.min_sharpness),
        "min_brightness": (found.faces.quality.min_brightness, faces.quality.min_brightness),
        "max_brightness": (found.faces.quality.max_brightness, faces.quality.max_brightness),
        "motion_threshold": (found.motion.threshold, motion.threshold),
    }
    for name, (value, usual) in places.items():
        wanted = getattr(rules, name)
        assert value == (usual if wanted is None else wanted)
    if not any(getattr(rules, name) is not None for name in places):
        assert (found.faces, found.motion) == (faces, motion)
