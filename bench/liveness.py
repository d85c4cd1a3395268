"""How often attacks pass for people, and people for attacks, in the terms of ISO/IEC 30107-3.

    python -m bench.liveness

Every person of a part of the prepared faces that nothing learns from is presented as themselves and
by each species of attack (:mod:`bench.presentations`); a detector finds the landmarks in rendered
pictures, and the daemon's own rules judge them. Passive liveness alone is judged twice: when the
door would open to somebody who is recognised at once, and over all of the presentation. APCER is
the share of attacks of one species that were taken for a person, BPCER that of people who were not.

People are rendered, as attacks are: BPCER is an estimate, to be confirmed with people. Thresholds
were set on `--part calibration`: other people, other backgrounds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import click
import cv2
import numpy as np
import numpy.typing as npt

from bench.attacks import FPS, HEIGHT, WIDTH, Image, Portrait, Side
from bench.common import json_option, machine, need, plain_errors, shared_option, show, table
from bench.presentations import ATTACKS, PEOPLE, TURNING, Person, Presentation, present
from daemon.errors import ModelError, SourceError
from daemon.inference import choose_providers
from daemon.vision.challenge import Challenge
from daemon.vision.detector import open_detector
from daemon.vision.face import Face
from daemon.vision.liveness import PassiveLiveness
from daemon.vision.pictures import quiet
from daemon.vision.pose import MODEL, pose
from daemon.vision.settings import LivenessConfig
from daemon.vision.tracking import WEAK_SCORE
from export.data.faces import Face as Picture
from export.data.faces import Part, read_set, select
from export.wake.evaluate import Rate, share

Point = npt.NDArray[np.float64]
Finder = Callable[[Image, Point], Face | None]
"""Finds the face of a picture that is nearest to a place, as far as it is there."""
LOOK = 384
"""Pixels: side of the part of a picture around the face in which YuNet looks, at full size: what
lies farther away changes nothing but the time it takes."""

OPENS_AFTER = 0.6
"""Seconds of looking after which the door opens to a person who is recognised at once."""
NEAR = 0.5
"""A found face is the presented one if their middles are nearer than this share of its size."""
YUNET = "teachers/face_detection_yunet_2026may.onnx"


@dataclass(frozen=True)
class Trial:
    """What the daemon's rules said of one presentation."""

    kind: str
    identity: str
    frames: int
    missed: int
    """Frames in which the detector found no face."""
    flat_at: float | None
    """Second in which passive liveness said flat."""
    challenge: str
    """passed, or why not."""


@dataclass(frozen=True)
class Line:
    """One species, or one kind of people: how often the wrong thing was said."""

    kind: str
    attack: bool
    trials: int
    passive_at_once: Rate
    passive: Rate
    challenge: Rate | None
    """None for people who were not asked to turn."""
    reasons: dict[str, int]
    """How challenges ended."""


@click.command()
@click.option("--part", type=click.Choice(["test", "calibration"]), default="test")
@click.option("--people", default=20, show_default=True, help="How many people, at most.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--detector",
    help="facedetect, another card, or yunet. [default: facedetect if it is there, else yunet]",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of what was judged so far: a run that was stopped goes on from there.",
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@shared_option
@json_option
def main(
    part: Literal["test", "calibration"],
    people: int,
    seed: int,
    detector: str | None,
    keep: Path | None,
    jobs: int,
    shared: Path,
    as_json: bool,
) -> None:
    """APCER of each species of attack and BPCER, for passive liveness and for the challenge."""
    quiet()
    with plain_errors():
        name, _ = finder(detector, shared)
        persons = persons_of(need(shared / "data/faces", "the prepared faces"), part)[:people]
        judge = partial(_judge, seed=seed, detector=detector, shared=shared)
        trials = kept(keep, f"{name}, {part}, seed {seed}")
        known = {trial.identity for trial in trials}
        ahead = [each for each in enumerate(persons) if each[1].frontal.identity not in known]
        for done in _each(judge, ahead, jobs):
            trials += done
            if keep is not None:
                with keep.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(asdict(each)) + "\n" for each in done)
    lines = [summarise(kind, trials) for kind in [*PEOPLE, *ATTACKS]]
    facts: dict[str, Any] = {
        "machine": machine(),
        "detector": name,
        "part": part,
        "people": len({trial.identity for trial in trials}),
        "seed": seed,
        "lines": [asdict(line) for line in lines],
        "frames": sum(trial.frames for trial in trials),
        "missed": sum(trial.missed for trial in trials),
        "passive_ms": cost(),
    }
    show(facts, report(facts, lines), as_json)


def kept(file: Path | None, what: str) -> list[Trial]:
    """What an earlier run of the same kind has judged; begins the file if it is not there.

    Raises:
        SourceError: the file is of a run of another kind.
    """
    if file is None:
        return []
    if not file.exists():
        file.write_text(json.dumps(what) + "\n", encoding="utf-8")
    first, *rest = file.read_text(encoding="utf-8").splitlines()
    if first != json.dumps(what):
        raise SourceError(f"{file}: of another run, {first}, not {what}; give another --keep")
    return [Trial(**json.loads(line)) for line in rest]


def cost(frames: int = 2000) -> float:
    """Milliseconds of processor time that passive liveness takes for a frame of one face."""
    passive, rng = PassiveLiveness(), np.random.default_rng(0)
    points = 320 + 10 * MODEL[:, :2] + rng.normal(0, 1, (frames, 5, 2))
    start = time.process_time()
    for number, landmarks in enumerate(points):
        passive.update(number / FPS, landmarks)
    return round(1000 * (time.process_time() - start) / frames, 3)


def finder(wanted: str | None, shared: Path) -> tuple[str, Finder]:
    """A detector of faces, and its name.

    Raises:
        ModelError: there is no such model.
        SourceError: YuNet is not there.
    """
    if wanted != "yunet":
        try:
            found = open_detector(wanted or "facedetect", choose_providers("cpu"))
            name = f"{found.card.name} {found.card.version}"
            least = min(found.threshold, WEAK_SCORE)
            return name, lambda image, place: _nearest(found.detect(image, least=least), place)
        except ModelError:
            if wanted:
                raise
    path = need(shared / YUNET, "YuNet")
    net = cv2.FaceDetectorYN.create(str(path), "", (LOOK, LOOK), 0.6)

    def detect(image: Image, place: Point) -> Face | None:
        x, y = np.clip(place - LOOK / 2, 0, np.array([WIDTH - LOOK, HEIGHT - LOOK])).astype(int)
        rows = net.detect(np.ascontiguousarray(image[y : y + LOOK, x : x + LOOK]))[1]
        rows = np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
        offset = np.array([x, y], np.float32)
        faces = [
            Face(
                np.concatenate([row[:2] + offset, row[2:4]]),
                row[4:14].reshape(5, 2) + offset,
                float(row[14]),
            )
            for row in rows
        ]
        return _nearest(faces, place)

    return path.stem, detect


def persons_of(folder: Path, part: Part) -> list[Person]:
    """People of one part with a frontal portrait, those first who also have pictures to each side.

    Raises:
        SourceError: there are none.
    """
    pictures: dict[str, list[Picture]] = {}
    for face in select(read_set(folder, "celeba"), part):
        if face.identity is not None and face.score > 0.9:
            pictures.setdefault(face.identity, []).append(face)
    persons = [person for each in pictures.values() for person in _person(each)]
    if not persons:
        raise SourceError(f"{folder}: no frontal portraits in the part {part}")
    return sorted(persons, key=lambda person: (-len(person.turned), person.frontal.identity))


def _person(pictures: list[Picture]) -> Iterator[Person]:
    looks = [(pose(each.landmarks), each) for each in pictures]
    frontal = [
        (abs(look.yaw) + abs(look.pitch), place)
        for place, (look, _) in enumerate(looks)
        if abs(look.yaw) < 6 and abs(look.pitch) < 8 and abs(look.roll) < 15
    ]
    sides: dict[Side, tuple[float, float]] = {"left": (22, 45), "right": (-45, -22)}
    turned = {
        side: _portrait(each)
        for side, (low, high) in sides.items()
        for look, each in looks
        if low < look.yaw < high
    }
    if frontal:
        yield Person(_portrait(pictures[min(frontal)[1]]), turned)


def _portrait(picture: Picture) -> Portrait:
    return Portrait(picture.read(), picture.landmarks, str(picture.identity))


def _each(
    judge: Callable[[tuple[int, Person]], list[Trial]], ahead: list[tuple[int, Person]], jobs: int
) -> Iterator[list[Trial]]:
    """The trials of each person, as they are done."""
    if jobs == 1:
        yield from map(judge, ahead)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed([pool.submit(judge, each) for each in ahead]):
            yield done.result()


def _judge(
    numbered: tuple[int, Person], seed: int, detector: str | None, shared: Path
) -> list[Trial]:
    """Everything about one person, in a process of its own."""
    cv2.setNumThreads(1)
    quiet()
    _, find = finder(detector, shared)
    return [watch(each, find) for each in presentations(*numbered, seed)]


def presentations(number: int, person: Person, seed: int) -> Iterator[Presentation]:
    """A person in every way; without pictures to both sides, pictures are not switched."""
    for place, kind in enumerate([*PEOPLE, *ATTACKS]):
        if "pictures" not in kind or len(person.turned) == 2:
            yield present(kind, person, np.random.default_rng((seed, number, place)))


def watch(presented: Presentation, find: Finder) -> Trial:
    """Judge one presentation, frame by frame, by the daemon's rules."""
    passive = PassiveLiveness()
    challenge = Challenge(presented.asked, LivenessConfig().challenge_seconds, 0.0)
    flat_at, missed, frames, ended = None, 0, 0, "too slow"
    for view in presented.frames:
        frames += 1
        face = find(view.image, view.landmarks.mean(0))
        missed += face is None
        if face is not None:
            finding = passive.update(view.time, face.landmarks)
            if finding.verdict == "flat" and flat_at is None:
                flat_at = view.time
        progress = challenge.update(
            view.time, None if face is None else face.landmarks, flat=flat_at is not None
        )
        ended = progress.failure or ("too slow" if progress.state == "pending" else "passed")
    return Trial(presented.kind, presented.identity, frames, missed, flat_at, ended)


def _nearest(faces: list[Face], middle: Point) -> Face | None:
    """The presented face: a background may hold what a detector takes for another."""
    for face in faces:
        if np.hypot(*(face.landmarks.mean(0) - middle)) < NEAR * face.size:
            return face
    return None


def summarise(kind: str, trials: Iterable[Trial]) -> Line:
    """Count how often the wrong thing was said of one kind."""
    mine = [trial for trial in trials if trial.kind == kind]
    attack = kind in ATTACKS

    def wrong(called_flat: Callable[[Trial], bool]) -> Rate:
        return share(sum(called_flat(trial) != attack for trial in mine), len(mine))

    reasons: dict[str, int] = {}
    for trial in mine:
        reasons[trial.challenge] = reasons.get(trial.challenge, 0) + 1
    return Line(
        kind,
        attack,
        len(mine),
        wrong(lambda trial: trial.flat_at is not None and trial.flat_at <= OPENS_AFTER),
        wrong(lambda trial: trial.flat_at is not None),
        wrong(lambda trial: trial.challenge != "passed") if attack or kind == TURNING else None,
        reasons,
    )


def report(facts: dict[str, Any], lines: list[Line]) -> str:
    """The table for people."""
    head = ("presentation", "n", "passive, at once", "passive, all of it", "challenge")
    parts = [
        f"{facts['people']} people of the part {facts['part']}, seed {facts['seed']}; landmarks by "
        f"{facts['detector']}; no face found in {facts['missed']} of {facts['frames']} frames; "
        f"passive liveness takes {facts['passive_ms']} ms a frame on {facts['machine']}"
    ]
    for title, attack in (("BPCER, percent", False), ("APCER, percent", True)):
        rows = [
            (
                line.kind,
                line.trials,
                _percent(line.passive_at_once),
                _percent(line.passive),
                "" if line.challenge is None else _percent(line.challenge),
            )
            for line in lines
            if line.attack == attack and line.trials
        ]
        parts.append(f"{title} (95 % confidence)\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _percent(rate: Rate) -> str:
    return f"{100 * rate.value:.0f} ({100 * rate.low:.0f} to {100 * rate.high:.0f})"


if __name__ == "__main__":
    main()
