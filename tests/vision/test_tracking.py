"""Who is who from picture to picture, and how many must agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.vision.consensus import Consensus
from daemon.vision.face import Face
from daemon.vision.settings import ConsensusConfig
from daemon.vision.tracking import PATIENCE_SECONDS, WEAK_SECONDS, Tracker


def face(x: float, y: float = 100.0, size: float = 80.0, score: float = 0.9) -> Face:
    box = np.float32([x, y, size, size])
    return Face(box, np.float32([[x, y]] * 5) + size / 2, score)


def test_a_moving_face_keeps_its_number() -> None:
    tracker = Tracker()
    numbers = set()
    for step in range(50):
        present, gone = tracker.update([face(10 * step)], step / 10)
        numbers.add(present[0].number)
        assert not gone
    assert numbers == {1}


def test_two_people_who_walk_side_by_side_are_not_mixed_up() -> None:
    tracker = Tracker()
    seen = set()
    for step in range(20):
        faces = [face(10 + 6 * step), face(300 + 6 * step, size=60)]
        present, _ = tracker.update(faces[:: 1 if step % 2 else -1], step / 10)
        left = next(each for each in present if each.face.size > 70)
        assert left.face.box[0] == 10 + 6 * step
        assert len(present) == 2
        seen.add(left.number)
    assert len(seen) == 1


def test_a_face_that_jumps_is_somebody_else() -> None:
    tracker = Tracker()
    tracker.update([face(0)], 0.0)
    present, _ = tracker.update([face(400)], 0.1)
    assert present[0].number == 2


def test_a_face_that_is_away_too_long_has_gone() -> None:
    tracker = Tracker()
    tracker.update([face(0)], 0.0)
    present, gone = tracker.update([face(0)], PATIENCE_SECONDS - 0.01)
    assert (present[0].number, gone) == (1, [])
    later = 2 * PATIENCE_SECONDS + 0.1
    present, gone = tracker.update([], later)
    assert [each.number for each in gone] == [1]
    present, _ = tracker.update([face(0)], later + 0.1)
    assert present[0].number == 2


def test_a_weak_find_only_continues_a_face_and_not_for_ever() -> None:
    tracker = Tracker()
    assert tracker.update([face(100, score=0.5)], 0.0, 0.7) == ([], [])
    (first,), _ = tracker.update([face(100)], 0.1, 0.7)
    for step in range(2, 31):
        present, gone = tracker.update([face(100, score=0.5)], step / 10, 0.7)
        assert [each.number for each in present] == [first.number]
        assert not first.sure
        assert not gone
    (again,), _ = tracker.update([face(100), face(110, score=0.5)], 3.1, 0.7)
    assert (again.number, again.sure, again.face.score) == (first.number, True, 0.9)
    ended = []
    for step in range(32, 32 + round(10 * (WEAK_SECONDS + PATIENCE_SECONDS)) + 2):
        ended += tracker.update([face(100, score=0.5)], step / 10, 0.7)[1]
    assert ended == [first]


def test_another_person_under_the_same_box_gets_a_new_number() -> None:
    tracker = Tracker()
    (track,), _ = tracker.update([face(0)], 0.0)
    one, other = np.eye(128, dtype=np.float32)[:2]
    assert track.is_same_person(one, 1.2)
    track.embedding = one
    assert track.is_same_person(one, 1.2)
    assert not track.is_same_person(other, 1.2)
    fresh = tracker.restart(track)
    assert fresh.number == 2
    assert fresh.embedding is None
    (followed,), _ = tracker.update([face(2)], 0.1)
    assert followed.number == 2


def test_after_a_gap_nobody_is_known() -> None:
    tracker = Tracker()
    tracker.update([face(0)], 0.0)
    assert [each.number for each in tracker.reset()] == [1]
    present, gone = tracker.update([face(0)], 0.1)
    assert (present[0].number, gone) == (2, [])


@given(
    verdicts=st.lists(st.sampled_from("abc"), max_size=60),
    gaps=st.lists(st.floats(0, 1.5), min_size=60, max_size=60),
    frames=st.integers(1, 5),
    seconds=st.floats(0.2, 3),
)
def test_agreement_is_k_equal_verdicts_in_a_row_within_t_seconds(
    verdicts: list[str], gaps: list[float], frames: int, seconds: float
) -> None:
    consensus: Consensus[str] = Consensus(ConsensusConfig(frames=frames, seconds=seconds))
    times = np.cumsum(gaps)
    for index, verdict in enumerate(verdicts):
        now = float(times[index])
        found = consensus.add(verdict, now)
        run = []
        for back in range(index, -1, -1):
            if verdicts[back] != verdict or now - float(times[back]) > seconds:
                break
            run.append(float(times[back]))
        if len(run) < frames:
            assert found is None
        else:
            assert found is not None
            assert (found.verdict, found.frames) == (verdict, len(run))
            assert (found.first, found.last) == pytest.approx((run[-1], run[0]))


def test_a_reload_gives_nobody_a_number_that_another_had() -> None:
    (before,), _ = Tracker().update([face(0)], 0.0)
    (after,), _ = Tracker().update([face(0)], 0.1)
    assert after.number > before.number
