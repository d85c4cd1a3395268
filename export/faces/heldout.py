"""Pictures that no training sees, with the faces in them: what a detector is measured on.

Everything comes from one folder of data: `faces/` (sets with a CSV, and the pictures of LFW's view
1 development test), `detection/` (street and household pictures with the boxes of objects),
`images/` (Caltech-101) and `daynight/`. Where people have not marked the faces, a published
detector is the reference; where landmarks are, many looks of it agree, as one look is too rough to
measure another with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.vision.boxes import inside
from daemon.vision.face import COLUMNS
from export.data import faces as face_sets
from export.data.cache import cache_folder
from export.faces.composition import Material, Picture, Sample, pasted, settle
from export.faces.degrade import degrade
from export.faces.material import SETS
from export.faces.scenes import Scene, listed, look
from export.faces.teacher import SURE, Teacher
from export.keys import key
from export.landmarks.consensus import agreed, label

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 640, 480
"""Of a composed camera picture; a real one is brought to this longest side."""
FULL_FRAME = 0.58
"""Width of a face that is as high as the picture, in widths of the picture."""
SMALLEST = 20.0
"""Width in pixels of the smallest face that has to be found; smaller ones do not count."""
PEOPLE_OF_CALTECH = ("Faces", "Faces_easy", "BACKGROUND_Google")
"""Classes of Caltech-101 that show people."""
SHOWN = 0.75
"""Share of a composed face that has to be in the picture for it to count."""
LOOKS = 48
"""At each face, to know where its landmarks are: two sets of so many looks agree on places that are
1.8 % of the eye distance apart."""
ANIMALS = (7, 8)
"""Categories of the detection data: cat and dog."""


@dataclass(frozen=True)
class Shot:
    """A picture and the truth about it."""

    name: str
    image: Image
    faces: Array
    """(n, 14) faces to be found."""
    open: Array
    """(m, 4) boxes in which a find is neither right nor wrong."""


@dataclass(frozen=True)
class Objects:
    """Labelled objects of a picture."""

    people: Array
    """(n, 4) x, y, w, h."""
    animals: Array
    """(m, 4)."""


def kept_out(data: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Places of pictures to measure on: the first as a whole, of the others the test part."""
    whole = (data / "detection/val.tar", data / "daynight/val")
    part = (data / "detection/train_pseudo.tar", data / "images/caltech101.tar")
    return tuple(filter(Path.exists, whole)), tuple(filter(Path.exists, part))


def shown(data: Path) -> list[tuple[Scene, Objects | None]]:
    """Every whole picture to be measured on, with its labelled objects if there are any."""
    whole, part = kept_out(data)
    result: list[tuple[Scene, Objects | None]] = []
    for place in (*whole, *part):
        labels = place.with_suffix(".json")
        known = _objects(labels) if labels.exists() else {}
        for scene in listed(place):
            if place in whole or scene.part == "test":
                result.append((scene, known.get(scene.name)))
    return result


def backgrounds(data: Path, teacher: Teacher) -> list[Scene]:
    """Pictures without a face: no labelled person, and nothing that the teacher takes for one.

    What it takes for one inside the box of a cat or a dog is the animal.
    """
    found = []
    for scene, objects in shown(data):
        if scene.source == "caltech101" and Path(scene.name).parent.name in PEOPLE_OF_CALTECH:
            continue
        if objects is not None and len(objects.people):
            continue
        image = scene.read()
        finds = look(camera_size(image), teacher)
        animals = objects.animals if objects is not None else np.zeros((0, 4), np.float32)
        factor = WIDTH / max(image.shape[:2])
        if inside(finds, animals * factor).all():
            found.append(scene)
    return found


def empty(pictures: Sequence[Picture]) -> Iterator[Shot]:
    """Pictures without faces as a camera would show them."""
    for scene in pictures:
        yield Shot(scene.name, camera_size(scene.read()), *_nothing())


def composed(
    data: Path, scenes: Sequence[Scene], teacher: Teacher, count: int, worn: bool, seed: int
) -> Iterator[Shot]:
    """Held-out persons in held-out backgrounds, 640 x 480.

    Args:
        data: the folder of data.
        scenes: the backgrounds.
        teacher: says where the landmarks are.
        count: pictures.
        worn: as a camera at a door would show them: dark, blurred, noisy, compressed.
        seed: decides all.
    """
    crops = [
        _well_marked(face_sets.select(face_sets.read_set(data / "faces", name), "test"), teacher)
        for name in SETS
    ]
    material = Material(crops, [], scenes)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        sample = pasted(material, WIDTH, rng, FULL_FRAME)
        sample.image = np.ascontiguousarray(sample.image[:HEIGHT])
        shot = as_shot(f"composed {number}", sample)
        if worn:
            widths = shot.faces[:, 2]
            smallest = float(widths.min()) if len(widths) else 40.0
            shot = replace(shot, image=degrade(shot.image, smallest, rng))
        yield shot


def _well_marked(faces: Sequence[face_sets.Face], teacher: Teacher) -> list[face_sets.Face]:
    agreements = label(faces, teacher, _kept(), LOOKS)
    return [
        face if seen is None else replace(face, landmarks=seen.landmarks)
        for face, seen in zip(faces, agreements, strict=True)
    ]


def _look_well(image: Image, finds: Array, teacher: Teacher) -> Array:
    """Finds (n, 15) as faces (n, 14), with landmarks that many looks agree on."""
    kept = _kept() / f"{key(image, finds, teacher.mark, LOOKS)}.npy"
    if kept.exists():
        known: Array = np.load(kept)
        return known
    faces = finds[:, :14].copy()
    for row in faces:
        seen = agreed(image, tuple(row[:4]), teacher, LOOKS)
        if seen is not None:
            row[4:14] = seen.landmarks.reshape(-1)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".tmp.npy")
    np.save(partial, faces)
    partial.replace(kept)
    return faces


def _kept() -> Path:
    """Where landmarks are kept: many looks at a face take a quarter of a second."""
    return cache_folder() / "facedetect" / "looks"


def as_shot(name: str, sample: Sample) -> Shot:
    """A composed picture as one to measure on: small faces and those cut off are left open."""
    sample = settle(sample, SMALLEST, SHOWN)
    return Shot(name, sample.image, sample.faces, sample.open)


def portraits(data: Path, teacher: Teacher) -> Iterator[Shot]:
    """LFW's view 1 development test: the person is in the middle, others may stand beside."""
    for scene in listed(data / "faces/lfw_view1_devtest.tar"):
        image = scene.read()
        finds = look(image, teacher)
        height, width = image.shape[:2]
        middle = finds[:, :2] + finds[:, 2:4] / 2 - (width / 2, height / 2)
        off = np.linalg.norm(middle, axis=1)
        if not len(finds) or off.min() > 0.2 * width:
            box = np.array([[0.3 * width, 0.26 * height, 0.4 * width, 0.5 * height]], np.float32)
            yield Shot(scene.name, image, np.pad(box, ((0, 0), (0, 10))), finds[:, :4])
            continue
        person = int(off.argmin())
        others = np.delete(finds, person, 0)
        faces = _look_well(image, finds[[person]], teacher)
        yield Shot(scene.name, image, faces, others[:, :4])


def streets(data: Path, teacher: Teacher) -> Iterator[Shot]:
    """Whole pictures with people, as they are; the teacher says where the faces are."""
    for scene, objects in shown(data):
        if objects is None or not len(objects.people):
            continue
        image = scene.read()
        factor = WIDTH / max(image.shape[:2])
        image = camera_size(image)
        finds = look(image, teacher)
        finds = finds[~inside(finds, objects.animals * factor)]
        sure = (finds[:, 14] >= SURE) & (finds[:, 2] >= SMALLEST)
        yield Shot(scene.name, image, _look_well(image, finds[sure], teacher), finds[~sure, :4])


def camera_size(image: Image) -> Image:
    """The picture with a longest side of 640 pixels."""
    factor = WIDTH / max(image.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=way), np.uint8)


def _objects(labels: Path) -> dict[str, Objects]:
    facts = json.loads(labels.read_text(encoding="utf-8"))
    boxes: dict[int, list[tuple[int, list[float]]]] = {}
    for each in facts["annotations"]:
        boxes.setdefault(each["image_id"], []).append((each["category_id"], each["bbox"]))
    result = {}
    for picture in facts["images"]:
        own = boxes.get(picture["id"], [])
        people = [box for kind, box in own if kind == 1]
        animals = [box for kind, box in own if kind in ANIMALS]
        result[picture["file_name"]] = Objects(
            np.array(people, np.float32).reshape(-1, 4),
            np.array(animals, np.float32).reshape(-1, 4),
        )
    return result


def _nothing() -> tuple[Array, Array]:
    return np.zeros((0, COLUMNS - 1), np.float32), np.zeros((0, 4), np.float32)
