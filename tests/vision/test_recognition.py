"""From faces to what is said and told to the door: with heads by geometry and vectors by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pytest

from daemon.door import inputs
from daemon.door.events import DoorChallenge
from daemon.people.matching import Match, Matcher
from daemon.people.records import EncoderId, Template
from daemon.vision.detector import FaceDetector
from daemon.vision.encoder import Encoder
from daemon.vision.events import FaceRecognized, FaceRejected, FaceSeen, FaceUnknown, FaceUnsure
from daemon.vision.face import Face
from daemon.vision.frames import Frame
from daemon.vision.recognition import Recognizer
from daemon.vision.settings import FacesConfig
from tests.vision.heads import NECK, landmarks_of
from tests.vision.pictures import noise

Vector = npt.NDArray[np.float32]
ENCODER = EncoderId("test", "1", "0" * 64)
THRESHOLD = 0.9
SURE = 0.7
PICTURE = noise(0, 640, 480)


def person(number: int, other: int = 100, share: float = 0.0) -> Vector:
    """A unit vector for each number; `share` of the way to another one."""
    vector = np.zeros(128, np.float32)
    vector[number], vector[other] = 1 - share, share
    return vector / np.float32(np.linalg.norm(vector))


ADA, BOB, EVE = person(0), person(1), person(2)


@dataclass
class Head:
    """Who stands where, and how."""

    vector: Vector
    yaw: float = 0.0
    x: float = 0.0
    distance: float = 40.0
    score: float = 0.9


class World:
    """A recogniser with a camera in which heads are put by hand."""

    def __init__(self, **settings: Any) -> None:
        self.said: list[Any] = []
        self.told: list[inputs.Input] = []
        self.kept: list[tuple[Vector, float, float | None]] = []
        self._heads: list[Head] = []
        self._embedded: list[Vector] = []
        self.time = 0.0
        templates = [
            Template(vector=vector, encoder=ENCODER, source="test", person=name, id=name)
            for name, vector in (("Ada", ADA), ("Bob", BOB))
        ]
        config = FacesConfig.model_validate({"liveness": {"mode": "off"}} | settings)
        self.matcher = Matcher(templates, THRESHOLD, 0.05, 0.05)
        card = SimpleNamespace(threshold=lambda fmr: THRESHOLD, name="test", version="1")
        encoder = SimpleNamespace(card=card, align=self._align, embed_crops=self._embed)
        self.recognizer = Recognizer(
            cast(FaceDetector, SimpleNamespace(detect=self._detect, threshold=SURE)),
            cast(Encoder, encoder),
            self,
            config,
            self.said.append,
            self.told.append,
            live=True,
            continuity=1.2,
            keep=lambda *stranger: self.kept.append(stranger),
        )

    def identify(self, probe: Vector) -> Match:
        return self.matcher.identify(probe)

    def verify(self, probe: Vector, person: str) -> Match:
        return self.matcher.verify(probe, person)

    def refusal(self, person: str) -> str | None:
        return "only mon 08:00-18:00" if person == "Bob" else None

    def show(self, *heads: Head) -> None:
        """The next picture, a tenth of a second later."""
        self._heads = list(heads)
        self.time += 0.1
        frame = Frame(PICTURE, round(10 * self.time), self.time, self.time, 1e9 + self.time)
        self.recognizer.look(frame)

    def _detect(self, image: Any, least: float) -> list[Face]:
        faces = []
        for head in self._heads:
            points = landmarks_of(yaw=head.yaw, shift=(head.x, 0), distance=head.distance)
            middle, reach = points.mean(0), 3.2 * np.ptp(points[:, 1])
            box = np.float32([*(middle - reach / 2), reach, reach])
            faces.append(Face(box, points.astype(np.float32), head.score))
        return [face for face in faces if face.score >= least]

    def _align(self, image: Any, landmarks: Any) -> Any:
        middles = [
            landmarks_of(yaw=h.yaw, shift=(h.x, 0), distance=h.distance) for h in self._heads
        ]
        near = min(range(len(middles)), key=lambda i: float(np.abs(middles[i] - landmarks).sum()))
        self._embedded = [self._heads[near].vector]
        return noise(1, 112, 112)

    def _embed(self, crops: Any) -> Any:
        return np.stack(self._embedded)

    def types(self) -> list[str]:
        return [each.type for each in self.said]

    def of(self, kind: type) -> list[Any]:
        return [each for each in (*self.said, *self.told) if isinstance(each, kind)]


def test_a_known_face_is_announced_once_and_told_to_the_door_with_every_picture() -> None:
    world = World()
    for _ in range(8):
        world.show(Head(ADA))
    assert world.types() == ["porter.face.seen", "porter.face.recognized"]
    (found,) = world.of(FaceRecognized)
    assert (found.person, found.track, found.frames, found.liveness) == ("Ada", 1, 3, "off")
    assert found.score == pytest.approx(0, abs=1e-6)
    assert found.threshold == THRESHOLD
    assert found.first < found.last
    told = world.of(inputs.Recognized)
    assert len(told) == 6  # from the third picture on
    assert [each.taken for each in told] == pytest.approx([0.1 * n for n in range(3, 9)])
    assert all(each.refusal is None for each in told)


def test_two_good_pictures_are_not_enough() -> None:
    world = World()
    for _ in range(2):
        world.show(Head(ADA))
    assert not world.told
    assert world.types() == ["porter.face.seen"]


def test_pictures_that_were_judged_by_other_rules_do_not_count() -> None:
    world = World()
    for _ in range(2):
        world.show(Head(ADA))
    usual = FacesConfig.model_validate({"liveness": {"mode": "off"}})
    world.recognizer.adopt(usual)
    stricter = usual.model_copy(update={"fmr": 1e-5})
    world.recognizer.adopt(stricter)
    for _ in range(2):
        world.show(Head(ADA))
    assert not world.told
    world.show(Head(ADA))
    (found,) = world.of(FaceRecognized)
    assert (found.frames, found.fmr) == (3, 1e-5)


def test_an_unknown_face_is_unknown_and_says_how_far_it_is() -> None:
    world = World()
    for _ in range(6):
        world.show(Head(EVE))
    (found,) = world.of(FaceUnknown)
    assert found.score == pytest.approx(2.0)
    assert not world.of(inputs.Recognized)
    assert "below 0.900 is a match" in world.of(inputs.Unknown)[0].message


def test_between_two_people_nothing_is_decided() -> None:
    world = World()
    for _ in range(6):
        world.show(Head(person(0, 1, 0.5)))
    (found,) = world.of(FaceUnsure)
    assert sorted(found.people) == ["Ada", "Bob"]
    assert found.reason == "near-tie"
    assert not world.of(inputs.Recognized)
    assert world.of(inputs.Unsure)


def test_a_face_that_looks_like_two_people_in_turn_is_neither() -> None:
    world = World()
    for number in range(20):
        world.show(Head(person(0, 1, 0.3 if number % 2 else 0.7)))
    assert not world.of(inputs.Recognized)


def test_another_person_under_the_same_box_inherits_nothing() -> None:
    world = World()
    for _ in range(2):
        world.show(Head(ADA))
    world.show(Head(EVE))
    world.show(Head(EVE))
    assert not world.of(inputs.Recognized)
    assert [each.track for each in world.of(inputs.TrackLost)] == [1]
    world.show(Head(EVE))
    assert world.of(FaceUnknown)[0].track == 2


def test_a_stranger_beside_a_known_person_does_not_become_them() -> None:
    world = World()
    for _ in range(5):
        world.show(Head(ADA, x=-8), Head(EVE, x=8))
    known, unknown = world.of(FaceRecognized), world.of(FaceUnknown)
    assert len(known) == len(unknown) == 1
    assert known[0].track != unknown[0].track
    assert {each.evidence.track for each in world.of(inputs.Recognized)} == {known[0].track}


@pytest.mark.parametrize(
    ("head", "reason"),
    [(Head(ADA, distance=260.0), "small"), (Head(ADA, yaw=55.0), "turned")],
)
def test_a_bad_picture_counts_neither_for_nor_against(head: Head, reason: str) -> None:
    world = World()
    for _ in range(5):
        world.show(head)
    assert [each.reason for each in world.of(FaceRejected)] == [reason]
    assert not world.told
    assert not world.of(FaceUnknown)


def test_the_schedule_of_a_person_goes_to_the_door_with_the_match() -> None:
    world = World()
    for _ in range(3):
        world.show(Head(BOB))
    (told,) = world.of(inputs.Recognized)
    assert told.refusal == "only mon 08:00-18:00"


def test_a_claim_is_verified_first_and_somebody_else_is_named() -> None:
    world = World()
    world.recognizer.claim = "Bob"
    for _ in range(3):
        world.show(Head(ADA))
    assert [each.person for each in world.of(inputs.Recognized)] == ["Ada"]
    # Near to two people, but only one was claimed: 1:1 is not troubled by the other.
    twins = World()
    twins.recognizer.claim = "Ada"
    for _ in range(3):
        twins.show(Head(person(0, 1, 0.5)))
    assert [each.person for each in twins.of(inputs.Recognized)] == ["Ada"]


def test_a_new_claim_begins_the_count_anew() -> None:
    world = World()
    for _ in range(2):
        world.show(Head(ADA))
    world.recognizer.claim = "Ada"
    for _ in range(2):
        world.show(Head(ADA))
    assert not world.of(inputs.Recognized)
    world.show(Head(ADA))
    assert world.of(inputs.Recognized)


def turned(angles: Iterable[float]) -> list[Head]:
    return [Head(ADA, yaw=each, x=NECK * float(np.sin(np.radians(each)))) for each in angles]


AWAY = [4.0 * n for n in range(1, 11)]
LEFT = [0.0] * 6 + AWAY + [40 - angle for angle in AWAY] + [0.0] * 8


def asked_to_turn(side: Literal["left", "right"]) -> World:
    """Ada was recognised, and the door asked for a turn."""
    world = World(liveness={"mode": "challenge"})
    for _ in range(4):
        world.show(Head(ADA))
    asked = DoorChallenge(track=1, person="Ada", steps=[side], seconds=8.0)
    world.recognizer.begin_challenge(asked)
    return world


def test_a_challenge_is_passed_by_the_head_that_turns_and_opens_with_fresh_evidence() -> None:
    world = asked_to_turn("left")
    for head in turned(LEFT):
        world.show(head)
    assert not world.of(inputs.ChallengeFailed)
    (passed,) = world.of(inputs.ChallengePassed)
    assert passed.person == "Ada"
    assert passed.evidence.track == 1
    assert passed.evidence.liveness == "challenge"
    assert world.time - passed.taken < 1.0


def test_what_was_done_for_one_challenge_does_not_count_for_the_next() -> None:
    """A turn that is over, seen in pictures too bad to compare, and the door asks anew."""
    world = asked_to_turn("left")
    for head in turned(LEFT[:-8]):
        world.show(head)
    for head in turned(LEFT[-8:]):
        world.show(replace(head, score=0.5))
    assert not world.of(inputs.ChallengePassed)
    world.recognizer.end_challenges()
    world.recognizer.begin_challenge(
        DoorChallenge(track=1, person="Ada", steps=["right"], seconds=8.0)
    )
    for _ in range(10):
        world.show(Head(ADA))
    assert not world.of(inputs.ChallengePassed)


def test_a_head_that_is_barely_a_face_from_the_side_passes_a_challenge_too() -> None:
    world = asked_to_turn("left")
    for head in turned(LEFT):
        world.show(replace(head, score=0.5 if head.yaw > 16 else 0.9))
    assert world.of(inputs.ChallengePassed)


def test_what_is_barely_a_face_is_nobody() -> None:
    world = World()
    for _ in range(10):
        world.show(Head(ADA, score=0.5))
    assert not world.said
    # Nor does it count for somebody who is followed.
    world.show(Head(ADA))
    for _ in range(10):
        world.show(Head(ADA, score=0.5))
    assert not world.of(FaceRecognized)


def test_a_turn_to_the_wrong_side_or_of_nobody_fails() -> None:
    world = asked_to_turn("right")
    for head in turned(LEFT):
        world.show(head)
    assert [each.reason for each in world.of(inputs.ChallengeFailed)] == ["wrong side"]
    assert not world.of(inputs.ChallengePassed)
    world.recognizer.begin_challenge(
        DoorChallenge(track=77, person="Ada", steps=["left"], seconds=8.0)
    )
    assert world.of(inputs.ChallengeFailed)[-1].track == 77


def test_a_picture_that_is_tilted_is_flat_and_stays_so() -> None:
    world = World(liveness={"mode": "passive"})
    tilts = [*np.linspace(0, 55, 12), *np.linspace(55, 0, 12), *[0.0] * 10]
    flat = landmarks_of(distance=40.0) - (320, 240)

    def detect(image: Any, least: float) -> list[Face]:
        angle = np.radians(tilts[min(round(10 * world.time) - 1, len(tilts) - 1)])
        depth = 1 + flat[:, 0] * np.sin(angle) / 600
        points = np.stack([flat[:, 0] * np.cos(angle), flat[:, 1]], 1) / depth[:, None] + (320, 240)
        return [Face(np.float32([220, 140, 200, 200]), points.astype(np.float32), 0.9)]

    world.recognizer._detector = cast(FaceDetector, SimpleNamespace(detect=detect, threshold=SURE))
    for _ in tilts:
        world.show(Head(ADA))
    assert "flat" in [each.reason for each in world.of(FaceRejected)]
    assert len(world.of(inputs.NotLive)) == 1
    at = world.told.index(world.of(inputs.NotLive)[0])
    assert not any(isinstance(each, inputs.Recognized) for each in world.told[at:])


def test_nobody_is_left_when_nothing_is_seen_and_after_a_gap() -> None:
    world = World()
    for _ in range(3):
        world.show(Head(ADA))
    world.recognizer.pause(world.time + 0.3)
    assert not world.of(inputs.TrackLost)
    world.recognizer.pause(world.time + 2.0)
    assert [each.track for each in world.of(inputs.TrackLost)] == [1]
    world.show(Head(ADA))
    world.recognizer.reset()
    assert [each.track for each in world.of(inputs.TrackLost)] == [1, 2]
    for _ in range(2):
        world.show(Head(ADA))
    assert len(world.of(inputs.Recognized)) == 1


def test_the_face_of_an_event_can_be_had_while_it_is_there() -> None:
    world = World()
    for _ in range(3):
        world.show(Head(ADA))
    probe = world.recognizer.probe(1)
    assert probe is not None
    assert np.array_equal(probe, ADA)
    assert world.recognizer.probe(2) is None
    assert world.of(FaceSeen)[0].box[2] > 60


def test_a_stranger_is_handed_on_once_when_they_have_gone() -> None:
    world = World()
    for _ in range(12):
        world.show(Head(EVE))
    assert not world.kept
    for _ in range(10):
        world.show()
    ((vector, taken, score),) = world.kept
    np.testing.assert_array_equal(vector, EVE)
    assert taken == pytest.approx(1e9 + 1.2)
    assert score == pytest.approx(2.0)


def test_whoever_is_still_there_at_the_end_is_handed_on_too() -> None:
    world = World()
    for _ in range(5):
        world.show(Head(EVE))
    world.recognizer.finish()
    assert len(world.kept) == 1


@pytest.mark.parametrize("known", [ADA, person(0, 1, 0.5)], ids=["recognised", "unsure"])
def test_who_was_ever_more_than_unknown_while_followed_is_no_stranger(known: Vector) -> None:
    world = World()
    far = known + 1.8 * EVE  # on a bad picture: near enough to be the same face, too far to match
    for look in (far / np.linalg.norm(far), known):
        for _ in range(6):
            world.show(Head(np.asarray(look, np.float32)))
    for _ in range(10):
        world.show()
    assert len(world.of(FaceUnknown)) == 1
    assert len(world.of(FaceRecognized)) + len(world.of(FaceUnsure)) == 1
    assert len(world.of(FaceSeen)) == 1, "it was one face all the time"
    assert not world.kept


def test_who_is_seen_too_shortly_to_agree_is_not_handed_on() -> None:
    world = World()
    world.show(Head(EVE))
    for _ in range(10):
        world.show()
    assert not world.kept
