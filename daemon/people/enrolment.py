"""From pictures to templates: what is taken, what is rejected, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from daemon.people.matching import Matcher
from daemon.people.records import EncoderId, Template, name_key
from daemon.vision.examination import Examined, Examiner
from daemon.vision.face import Face
from daemon.vision.frames import Image
from daemon.vision.quality import Reason as Fault

Reason = (
    Fault | Literal["unreadable", "no face", "several faces", "repeated", "another person", "taken"]
)

CLEARLY_LARGER = 2.0
"""Of several faces the largest is meant when its side is this many times that of the next."""
SAME_PICTURE = 1e-3
"""Squared distance of two faces below which the second adds nothing."""
WORTH_ADDING = 0.02
"""Squared distance by which a further view must differ from those that were chosen."""
PICTURE_SIDE = 640
"""Pixels at most of a kept picture, which shows the face and as much again around it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A picture that gives no template."""

    source: str
    reason: Reason
    message: str
    """For people."""


def take(
    examiner: Examiner, image: Image, source: str, *, keep_picture: bool
) -> Template | Rejected:
    """The one face of a picture as a template.

    Of several faces the largest is taken only when it is much larger than the others.

    Args:
        examiner: looks at it.
        image: (height, width, 3) BGR.
        source: where it came from, for people.
        keep_picture: whether to keep what shows the face.
    """
    found = single(examiner.examine(image), source)
    if isinstance(found, Rejected):
        return found
    return accept(found, image, source, EncoderId.of(examiner.encoder.card), keep=keep_picture)


def single(faces: Sequence[Examined], source: str) -> Examined | Rejected:
    """The one face of a picture that can be meant; `faces` are sorted, the largest first."""
    if not faces:
        return Rejected(source, "no face", "no face was found")
    if len(faces) > 1 and faces[0].face.size < CLEARLY_LARGER * faces[1].face.size:
        return Rejected(
            source,
            "several faces",
            f"{len(faces)} faces, and none much larger than the others: cut the picture",
        )
    return faces[0]


def accept(
    found: Examined, image: Image, source: str, encoder: EncoderId, *, keep: bool
) -> Template | Rejected:
    """A face as a template, if it is good enough."""
    if found.fault is not None:
        return Rejected(source, found.fault.reason, found.fault.message)
    return Template(
        vector=found.vector,
        encoder=encoder,
        source=source,
        quality=found.quality,
        picture=portrait(image, found.face) if keep else None,
    )


def sort_out(
    templates: Sequence[Template], known: Sequence[Template], name: str, matcher: Matcher
) -> tuple[list[Template], list[Rejected]]:
    """Leave out what does not belong to the person.

    Args:
        templates: new ones.
        known: templates of the same encoder that the person has already.
        name: of the person.
        matcher: of all templates of this encoder.

    Returns:
        Those that may be theirs; and those that look like another enrolled person, or like somebody
        else than the rest of them.
    """
    found = [(each, _taken(each, name, matcher)) for each in templates]
    free = [each for each, flaw in found if flaw is None]
    rejected = [flaw for _, flaw in found if flaw is not None]
    own = [each for each in known if each.role == "own"] or free
    if not own:
        return [], rejected
    middle, kept = _middle(own), []
    for each in free:
        distance = _distance(each, middle)
        if distance <= matcher.apart:
            kept.append(each)
            continue
        message = f"does not look like {middle.source} (distance {distance:.2f}, "
        message += f"at most {matcher.apart:.2f})"
        rejected.append(Rejected(each.source, "another person", message))
    return kept, rejected


def repeated(template: Template, others: Sequence[Template]) -> Rejected | None:
    """Whether a template is the same picture as one of others."""
    for other in others:
        if _distance(template, other) < SAME_PICTURE:
            message = f"the same picture as {other.source}"
            return Rejected(template.source, "repeated", message)
    return None


def choose(templates: Sequence[Template], count: int) -> list[Template]:
    """The best of many views, then those that differ most from the chosen (farthest first).

    Args:
        templates: to choose from, all good enough.
        count: how many at most; fewer when the rest look the same.
    """
    left = sorted(templates, key=_goodness, reverse=True)
    chosen, left = left[:1], left[1:]
    while left and len(chosen) < count:
        gains = [min(_distance(each, other) for other in chosen) for each in left]
        best = int(np.argmax(gains))
        if gains[best] < WORTH_ADDING:
            break
        chosen.append(left.pop(best))
    return chosen


def portrait(image: Image, face: Face) -> bytes:
    """A JPEG of a face and its surroundings, from which it can be found again."""
    import cv2

    x, y, width, height = (float(each) for each in face.box)
    left, top = max(0, round(x - width / 2)), max(0, round(y - height / 2))
    part = image[top : round(y + 1.5 * height), left : round(x + 1.5 * width)]
    shrink = min(1.0, PICTURE_SIDE / max(part.shape[:2]))
    if shrink < 1:
        part = np.asarray(
            cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
    return cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def from_portrait(picture: bytes) -> Image:
    """The picture that :func:`portrait` made."""
    import cv2

    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None, "what was kept is sealed, so it is what was made"
    return np.asarray(image, np.uint8)


def reembed(examiner: Examiner, old: Template) -> Template | Rejected:
    """The same face by another encoder, from the picture that was kept."""
    assert old.picture is not None
    found = single(examiner.examine(from_portrait(old.picture)), old.source)
    if isinstance(found, Rejected):
        return found
    # It was good enough when it was taken; what is kept of it may be smaller.
    return replace(old, vector=found.vector, encoder=EncoderId.of(examiner.encoder.card))


def _taken(template: Template, name: str, matcher: Matcher) -> Rejected | None:
    """Whether a template looks like another enrolled person."""
    for person, score in matcher.identify(template.vector).ranking:
        if name_key(person) != name_key(name) and score < matcher.threshold:
            message = f"looks like {person}, who is enrolled (score {score:.3f}, "
            message += f"below {matcher.threshold:.3f})"
            return Rejected(template.source, "taken", message)
    return None


def _middle(templates: Sequence[Template]) -> Template:
    """The one with the least distance to all others; of several the first."""
    vectors = np.stack([each.vector for each in templates])
    return templates[int(np.argmax((vectors @ vectors.T).sum(1)))]


def _distance(one: Template, other: Template) -> float:
    """Squared Euclidean distance, 0 to 4."""
    return float(np.sum((one.vector - other.vector) ** 2))


def _goodness(template: Template) -> float:
    """Sharp, large and turned little is good."""
    quality = template.quality
    if quality is None:
        return 0.0
    return quality.sharpness * min(1.0, quality.size / 200) * (1 - abs(quality.yaw) / 180)
