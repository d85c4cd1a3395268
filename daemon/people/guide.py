"""Enrolment in front of a camera: which way to look, and what the pictures of each are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from daemon.people.enrolment import Rejected, accept, choose, single
from daemon.people.records import EncoderId, Template
from daemon.vision.examination import Examined, Examiner
from daemon.vision.face import Face
from daemon.vision.frames import Image

View = Literal["straight", "left", "right"]

VIEW_SECONDS = (10.0, 5.0)
"""Longest wait for the good pictures of a view, and when it is asked for once more."""
PROMPTS: dict[View, str] = {
    "straight": "look straight into the camera",
    "left": "turn your head a little to your left",
    "right": "turn your head a little to your right",
}
"""What a person is asked for, in this order."""
TURNED = 12.0
"""Degrees from which a head counts as turned a little."""
WANTED = 8
"""Good pictures of a view, of which the best are chosen."""
CHOSEN: dict[View, int] = {"straight": 2, "left": 1, "right": 1}
"""Templates that a view gives."""


@dataclass(slots=True)
class Collection:
    """Pictures of one view."""

    view: View
    source: str
    """Of the camera, for people."""
    keep_pictures: bool
    good: list[Template] = field(default_factory=list)
    rejected: dict[str, tuple[Rejected, int]] = field(default_factory=dict)
    """By reason: the last, and how many there were."""

    @property
    def full(self) -> bool:
        """Whether there are enough good pictures."""
        return len(self.good) >= WANTED

    @property
    def best(self) -> list[Template]:
        """The best pictures of the view."""
        return choose(self.good, CHOSEN[self.view])

    def add(self, examiner: Examiner, image: Image, faces: Sequence[Face] | None = None) -> None:
        """Take a picture; `faces` are those that were found in it, if that was done already."""
        if self.full:
            return
        if faces is None:
            examined = examiner.examine(image)
        else:
            largest = sorted(faces, key=lambda face: -face.size)
            examined = [examiner.judge(image, face) for face in largest]
        found = self._judge(examined, image, EncoderId.of(examiner.encoder.card))
        if isinstance(found, Rejected):
            _, count = self.rejected.get(found.reason, (found, 0))
            self.rejected[found.reason] = (found, count + 1)
        else:
            self.good.append(found)

    def _judge(
        self, faces: Sequence[Examined], image: Image, encoder: EncoderId
    ) -> Template | Rejected:
        face = single(faces, self.source)
        if isinstance(face, Rejected):
            return face
        if wrong := _wrong_way(self.view, face.quality.yaw):
            return Rejected(self.source, "turned", wrong)
        return accept(face, image, self.source, encoder, keep=self.keep_pictures)


def _wrong_way(view: View, yaw: float) -> str | None:
    """What is wrong with where a head looks; yaw in degrees, positive to the person's left."""
    right = {"straight": abs(yaw) < TURNED, "left": yaw >= TURNED, "right": yaw <= -TURNED}[view]
    return None if right else f"turned by {yaw:.0f} degrees: {PROMPTS[view]}"
