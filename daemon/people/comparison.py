"""Pictures compared with the gallery, outside of the door: for `porter verify` and `identify`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from daemon.errors import SourceError
from daemon.people.enrolment import Rejected, single
from daemon.people.matching import Array, Match
from daemon.vision.examination import Examined, Examiner
from daemon.vision.frames import Image
from daemon.vision.pictures import read_image
from daemon.vision.thumbnail import thumbnail


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A face of a picture, and what its comparison came to."""

    photo: Path
    image: Image | None
    """All of the picture, if it was to be kept."""
    thumbnail: bytes
    """JPEG of the face alone."""
    examined: Examined
    match: Match

    @property
    def decision(self) -> str:
        """As at the door, where a face that is not good enough counts for nothing: rejected."""
        return "rejected" if self.examined.fault else self.match.decision

    def facts(self) -> dict[str, Any]:
        """Everything, for JSON."""
        face, flaw = self.examined.face, self.examined.fault
        match = asdict(self.match)
        return {
            "picture": str(self.photo),
            "decision": self.decision,
            "reason": flaw.reason if flaw else match.pop("reason"),
            "message": flaw.message if flaw else None,
            "person": None if flaw else match.pop("person"),
            "box": [round(float(each), 1) for each in face.box],
            "landmarks": [[round(float(each), 1) for each in point] for point in face.landmarks],
            "detection": round(face.score, 4),
            "quality": asdict(self.examined.quality),
            **{
                name: match[name]
                for name in ("score", "distance", "threshold", "decoy", "people", "nearest")
            },
            "ranking": [{"person": name, "score": score} for name, score in self.match.ranking],
        }

    @property
    def verdict(self) -> str:
        """The decision in words: who it is, or why nobody can tell."""
        match, flaw = self.match, self.examined.fault
        if flaw is not None:
            return f"rejected, {flaw.reason}: {flaw.message}"
        if match.decision == "match":
            return f"match: {match.person}"
        if match.decision == "unsure":
            return f"unsure, {match.reason}: {' or '.join(match.people)}"
        return "no match"

    def row(self) -> dict[str, Any]:
        """For a table: what a person would want to sort by."""
        match, flaw = self.match, self.examined.fault
        x, y, width, height = (round(float(each), 1) for each in self.examined.face.box)
        return {
            "picture": str(self.photo),
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "decision": self.decision,
            "person": None if flaw else match.person,
            "reason": flaw.reason if flaw else match.reason,
            "score": None if match.score is None else round(match.score, 4),
            "threshold": round(match.threshold, 4),
            "distance": None if match.distance is None else round(match.distance, 4),
            "nearest": match.ranking[0].person if match.ranking else None,
        }

    def line(self) -> str:
        """For people."""
        match, verdict = self.match, self.verdict
        if match.score is None or match.distance is None:
            return f"{self.photo}: {verdict} (nobody to compare with)"
        figures = [
            f"{match.ranking[0].person} {match.score:.3f}",
            f"threshold {match.threshold:.3f}",
            f"distance {match.distance:.3f}",
            *(f"then {name} {score:.3f}" for name, score in match.ranking[1:2]),
            *([f"decoy {match.decoy:.3f}"] if match.decoy is not None else []),
        ]
        quality = self.examined.quality
        seen = f"{quality.size:.0f} pixels, sharpness {quality.sharpness:.2f}"
        return f"{self.photo}: {verdict} ({', '.join(figures)}; {seen})"


@dataclass(slots=True)
class Comparison:
    """All pictures."""

    compared: list[Compared] = field(default_factory=list)
    skipped: list[Rejected] = field(default_factory=list)

    @property
    def all_match(self) -> bool:
        """Whether every face belongs to whom it should."""
        return all(each.decision == "match" for each in self.compared)


def compare(
    photos: Iterable[Path],
    examiner: Examiner,
    ask: Callable[[Array], Match],
    *,
    one_face: bool,
    keep: bool = False,
) -> Comparison:
    """Compare the faces of pictures.

    Args:
        photos: to look at.
        examiner: finds and embeds faces.
        ask: compares a probe.
        one_face: whether each picture must show one person; else all its faces are compared.
        keep: whether to keep the whole pictures.
    """
    found = Comparison()
    for photo in photos:
        try:
            image = read_image(photo)
        except SourceError as error:
            message = str(error).removeprefix(f"{photo}: ")
            found.skipped.append(Rejected(str(photo), "unreadable", message))
            continue
        faces = examiner.examine(image)
        chosen = single(faces, str(photo))
        if isinstance(chosen, Rejected) and (one_face or not faces):
            found.skipped.append(chosen)
            continue
        wanted = [chosen] if one_face and not isinstance(chosen, Rejected) else faces
        found.compared += [
            Compared(
                photo,
                image if keep else None,
                thumbnail(image, each.face.box),
                each,
                ask(each.vector),
            )
            for each in wanted
        ]
    return found
