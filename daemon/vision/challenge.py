"""A challenge: turn the head to a side drawn at random, so that a picture of a head cannot follow.

A person is asked to turn left, right, or to both sides in some order, and to look back into the
camera after each. A turn is measured by the parallax of the nose alone
(:func:`daemon.vision.parallax.turns`), which no motion of a flat picture changes, against what it
was when the face looked into the camera; and it must be seen as a movement: of one face, without
jumps, through what lies between, to the side that it turns to. docs/security.md says what this
stops, and what it does not.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import Literal

import numpy as np

from daemon.vision.face import Array
from daemon.vision.parallax import turns

Side = Literal["left", "right"]
Failure = Literal["too slow", "wrong side", "jump", "lost", "other person", "flat"]

DRAWS: tuple[tuple[Side, ...], ...] = (("left",), ("right",), ("left", "right"), ("right", "left"))
"""What can be asked: each is as likely as the others."""
TURN = 27.0
"""Degrees to a side that count as turned. Noses differ, so people should turn by 40 and more. With
less, prints that are bent or folded by more than we tried would pass."""
FRONT = 10.0
"""Degrees to a side within which a face looks into the camera."""
BETWEEN = 2
"""Pictures on the way from the front to a side that must have been seen. A turn that is too fast
for that, or jumps, does not count: it has to be made again, more slowly."""
SWAY = 0.15
"""A head turns about its neck, some 9 cm behind the face: the face moves by so much at least to the
side that it turns to, in sizes of the face (people: 0.3 and more). Pictures that are blended or
switched in one place do not."""
STEP_DEGREES, STEP_SPEED = 18.0, 60.0
"""Degrees, and degrees a second, that a turn may advance from one picture to the next."""
LOPSIDED = 15.0
"""Degrees that a face may seem turned when it looks into the camera: noses are not all straight."""
BEFORE = 3
"""Pictures of a face that looks into the camera, before the first turn."""
AFTER = 2
"""The same after each turn."""
GAP_SECONDS = 0.45
"""Longest time between two pictures of the face: at 10 a second, three may be missed."""
JUMP_PLACE = 0.8
"""It does not move further between two pictures: in sizes of the face."""
JUMP_SIZE = 1.4
"""It does not grow or shrink more between two pictures."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a challenge stands."""

    state: Literal["pending", "passed", "failed"]
    wanted: Literal["front", "left", "right"] | None
    """Where to look now; None when it is over."""
    failure: Failure | None = None
    yaw: float | None = None
    """Degrees turned to the person's left; None while the front is not known."""


def draw() -> tuple[Side, ...]:
    """Steps that nobody can foresee."""
    return secrets.choice(DRAWS)


class Challenge:
    """One challenge to one tracked face. The clock comes in with every picture."""

    def __init__(self, steps: tuple[Side, ...], seconds: float, start: float) -> None:
        """Begin.

        Args:
            steps: where to turn, in this order, as the person sees it.
            seconds: time for all of it.
            start: when it was asked, on the clock of the pictures.
        """
        if not steps:
            raise ValueError("a challenge needs at least one step")
        self.steps = steps
        self._deadline = start + seconds
        self._last_seen = start
        self._last: _Look | None = None
        self._front: list[float] = []
        self._zero: float | None = None
        self._recent: list[float] = []
        self._step = 0
        self._looks_for: Literal["front", "turn"] = "front"
        self._settled = 0
        self._between = 0
        self._broken = False
        self._started: _Look | None = None
        self._over: Progress | None = None

    def update(
        self,
        time: float,
        landmarks: Array | None,
        *,
        same_person: bool = True,
        flat: bool = False,
    ) -> Progress:
        """Look at the next picture. What has passed or failed once stays so.

        Args:
            time: of the picture, in seconds.
            landmarks: (5, 2) pixels of the tracked face; None if it is not in this picture.
            same_person: whether it can still be the person who was recognised.
            flat: whether the face has meanwhile shown that it is a flat picture.
        """
        if self._over is None:
            self._over = self._judge(time, landmarks, same_person, flat)
        if self._over is not None:
            return self._over
        return Progress("pending", self._wanted(), yaw=self._recent[-1] if self._recent else None)

    def _wanted(self) -> Literal["front", "left", "right"]:
        return "front" if self._looks_for == "front" else self.steps[self._step]

    def _judge(
        self, time: float, landmarks: Array | None, same_person: bool, flat: bool
    ) -> Progress | None:
        if time > self._deadline:
            return _failed("too slow")
        if time - self._last_seen > GAP_SECONDS:
            return _failed("lost")
        if landmarks is None:
            return None
        if not same_person:
            return _failed("other person")
        if flat:
            return _failed("flat")
        passed, self._last_seen = time - self._last_seen, time
        look = _look(landmarks)
        if self._last is not None and look.jumped_from(self._last):
            return _failed("jump")
        leapt = self._last is not None and (
            abs(look.yaw - self._last.yaw) > STEP_DEGREES + STEP_SPEED * passed
        )
        self._last = look
        if self._zero is None:
            self._find_front(look)
            return None
        return self._follow(look, look.yaw - self._zero, leapt)

    def _find_front(self, look: _Look) -> None:
        """Every face is a little lopsided: what its own front measures is its zero."""
        if abs(look.yaw) > LOPSIDED:
            self._front.clear()
            return
        self._front.append(look.yaw)
        if len(self._front) == BEFORE:
            self._zero, self._started = float(np.median(self._front)), look
            self._looks_for = "turn"

    def _follow(self, look: _Look, yaw: float, leapt: bool) -> Progress | None:
        self._recent = [*self._recent[-2:], yaw]
        smooth = float(np.median(self._recent))
        if self._looks_for == "front":
            self._settled = self._settled + 1 if abs(smooth) <= FRONT else 0
            if abs(smooth) >= TURN and np.sign(smooth) != _sign(self.steps[self._step]):
                return _failed("wrong side")
            if self._settled < AFTER:
                return None
            self._step += 1
            self._settled = self._between = 0
            self._broken = False
            self._looks_for = "turn"
            return Progress("passed", None) if self._step == len(self.steps) else None
        towards = smooth * _sign(self.steps[self._step])
        if towards <= -TURN:
            return _failed("wrong side")
        if abs(yaw) < FRONT:
            self._between, self._broken, self._started = 0, False, look
        elif abs(smooth) < TURN:
            self._between += 1
        self._broken = self._broken or leapt
        seen_turning = self._between >= BETWEEN and not self._broken
        if towards >= TURN and seen_turning and self._swayed(look):
            self._looks_for = "front"
        return None

    def _swayed(self, look: _Look) -> bool:
        """Whether the face moved to the side that it turned to."""
        if self._started is None:
            return False
        moved = (look.x - self._started.x) / self._started.size
        return moved * _sign(self.steps[self._step]) >= SWAY


@dataclass(frozen=True, slots=True)
class _Look:
    """What continuity is judged by."""

    yaw: float
    x: float
    y: float
    size: float

    def jumped_from(self, last: _Look) -> bool:
        size = max(self.size, last.size)
        moved = math.hypot(self.x - last.x, self.y - last.y)
        return moved > JUMP_PLACE * size or size > JUMP_SIZE * min(self.size, last.size)


def _look(landmarks: Array) -> _Look:
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    middle = (eyes + mouth) / 2
    # The height from eyes to mouth hardly changes when a head turns to the side.
    size = 2.0 * float(np.hypot(*(mouth - eyes)))
    return _Look(
        float(turns(landmarks[None])[0, 0]),
        float(middle[0]),
        float(middle[1]),
        max(size, 1.0),
    )


def _sign(side: Side) -> int:
    return 1 if side == "left" else -1


def _failed(failure: Failure) -> Progress:
    return Progress("failed", None, failure)
