"""Presentations and their judging, by the geometry of rendered scenes alone: no detector."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench.attacks import HEIGHT, WIDTH, Image, Portrait, View
from bench.liveness import Trial, kept, summarise, watch
from bench.presentations import ATTACKS, PEOPLE, TURNING, Person, Presentation, present
from daemon.errors import SourceError
from daemon.vision.face import Face
from daemon.vision.pose import poses
from tests.vision.heads import landmarks_of

SHOWN: list[View] = []
"""The view whose true landmarks the detector of these tests finds."""


def portrait(yaw: float = 0.0) -> Portrait:
    """Coloured blocks with landmarks where those of a face would be."""
    blocks = np.random.default_rng(7).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    points = landmarks_of(yaw=yaw)
    return Portrait(
        np.kron(blocks, np.ones((8, 8, 1), np.uint8)),
        ((points - points[:2].mean(0)) * 0.6 + (80, 65)).astype(np.float32),
        "somebody",
    )


PERSON = Person(portrait(), {"left": portrait(30), "right": portrait(-30)})


def knowing(presented: Presentation) -> Presentation:
    """The same, remembering each view for :func:`perfect`."""

    def views() -> Iterator[View]:
        for view in presented.frames:
            SHOWN[:] = [view]
            yield view

    return Presentation(presented.kind, presented.identity, presented.asked, views())


def perfect(image: Image, place: npt.NDArray[np.float64]) -> Face:
    """A detector that knows the truth."""
    points = SHOWN[0].landmarks
    assert np.allclose(place, points.mean(0))
    low, high = points.min(0), points.max(0)
    return Face(np.float32([*low, *(high - low)]), points.astype(np.float32), 1.0)


def trial(kind: str, seed: int = 0) -> Trial:
    return watch(knowing(present(kind, PERSON, np.random.default_rng(seed))), perfect)


@pytest.mark.parametrize("kind", [*PEOPLE, *ATTACKS])
def test_every_presentation_is_seen(kind: str) -> None:
    presented = present(kind, PERSON, np.random.default_rng(3))
    views = list(itertools.islice(presented.frames, 3))
    assert len(views) == 3
    for view in views:
        assert view.image.shape == (HEIGHT, WIDTH, 3)
        assert view.landmarks.shape == (5, 2)
        assert (np.abs(view.landmarks - (WIDTH / 2, HEIGHT / 2)) < (WIDTH / 2, HEIGHT / 2)).all()
        assert view.image.std() > 5


def test_the_same_seed_gives_the_same_pictures() -> None:
    first, again = (
        next(present("phone, held", PERSON, np.random.default_rng(5)).frames) for _ in range(2)
    )
    assert np.array_equal(first.image, again.image)


def test_who_turns_as_asked_passes_and_a_tilted_print_does_not() -> None:
    assert trial(TURNING).challenge == "passed"
    for kind in ("print, tilted as asked", "phone, tilted as asked", "print, held"):
        assert trial(kind).challenge != "passed"


def test_the_rendered_head_turns_as_it_is_told() -> None:
    presented = present(TURNING, PERSON, np.random.default_rng(0))
    yaw = poses(np.stack([view.landmarks for view in presented.frames]))[:, 0]
    furthest = yaw[np.abs(yaw).argmax()]
    assert abs(furthest) > 20
    assert (yaw.max() > 20) == ("left" in presented.asked)
    assert (yaw.min() < -20) == ("right" in presented.asked)


def test_errors_are_counted_for_people_and_for_attacks() -> None:
    person = [
        Trial(TURNING, "a", 40, 0, None, "passed"),
        Trial(TURNING, "b", 40, 0, 0.5, "flat"),
        Trial(TURNING, "c", 40, 0, None, "too slow"),
        Trial(TURNING, "d", 40, 0, None, "passed"),
    ]
    line = summarise(TURNING, person)
    assert (line.passive_at_once.count, line.passive.count, line.trials) == (1, 1, 4)
    assert line.challenge is not None
    assert line.challenge.count == 2
    kind = "print, held"
    attack = [
        Trial(kind, "a", 40, 0, None, "passed"),
        Trial(kind, "b", 40, 0, 0.5, "flat"),
        Trial(kind, "c", 40, 0, 2.0, "flat"),
    ]
    line = summarise(kind, attack)
    assert (line.passive_at_once.count, line.passive.count) == (2, 1)
    assert line.challenge is not None
    assert line.challenge.count == 1
    assert line.reasons == {"passed": 1, "flat": 2}


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "trials.jsonl"
    assert kept(file, "one") == []
    judged = Trial(TURNING, "a", 40, 0, None, "passed")
    with file.open("a") as more:
        more.write(json.dumps(asdict(judged)) + "\n")
    assert kept(file, "one") == [judged]
    with pytest.raises(SourceError, match="another run"):
        kept(file, "two")
