"""Pictures of faces with what is known of them: who, where, and which part of the work may see it.

Two sources give the same type: the prepared sets (a tar of pictures and a CSV of identities, boxes
and landmarks), and any folder of pictures, whose landmarks a detector finds once. Which part of the
data a picture belongs to follows from its person, so that nobody is both learnt and tested.
"""

from __future__ import annotations

import csv
import hashlib
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.errors import ModelError, SourceError
from export.keys import content

Image = npt.NDArray[np.uint8]
"""(height, width, 3), BGR."""
Landmarks = npt.NDArray[np.float32]
"""(5, 2): x and y in pixels of right eye (on the image's left), left eye, nose, right and left
corner of the mouth."""
Part = Literal["train", "calibration", "test"]

TEST_SHARE = 0.16
CALIBRATION_SHARE = 0.10
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
COLUMNS = (
    *("path", "identity", "age", "gender", "ethnicity", "x", "y", "w", "h"),
    *("re_x", "re_y", "le_x", "le_y", "nose_x", "nose_y", "rm_x", "rm_y", "lm_x", "lm_y", "score"),
)
"""Of a CSV of faces: pixels of the stored picture; a field that is not known is empty."""


@dataclass(frozen=True)
class Face:
    """One picture of one face."""

    source: str
    """Name of the set or folder."""
    name: str
    """Path inside the source."""
    identity: str | None
    """Who it is, unique over all sources; None for an unnamed person."""
    box: tuple[float, float, float, float]
    """x, y, width, height in pixels; may reach beyond the picture."""
    landmarks: Landmarks
    file: Path
    """The picture, or the archive that holds it."""
    offset: int = 0
    size: int = -1
    """Where it lies in the archive, in bytes; -1 is all of the file."""
    age: int | None = None
    gender: str | None = None
    ethnicity: str | None = None
    score: float = 1.0
    """Of the detector that found the landmarks."""

    @property
    def part(self) -> Part:
        """Which part of the work may see it, from a hash of the person, else of the picture."""
        return part_of(self.identity or f"{self.source}/{self.name}")

    def read(self) -> Image:
        """Decode the picture.

        Raises:
            SourceError: it is not readable as a picture.
        """
        coded = np.fromfile(self.file, np.uint8, self.size, offset=self.offset)
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{self.file}: {self.name}: not a picture; remove it")
        return np.asarray(image, np.uint8)


def part_of(key: str) -> Part:
    """Part of the data for a name: the same on every machine and for every amount of data."""
    place = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32
    if place < TEST_SHARE:
        return "test"
    return "calibration" if place < TEST_SHARE + CALIBRATION_SHARE else "train"


def select(faces: Iterable[Face], *parts: Part) -> list[Face]:
    """The faces of some parts."""
    return [face for face in faces if face.part in parts]


def read_set(folder: Path, name: str) -> list[Face]:
    """Read a prepared set, `NAME.tar` with `NAME.csv` (see :data:`COLUMNS`).

    Raises:
        SourceError: a file is missing, or they do not belong together.
    """
    archive = folder / f"{name}.tar"
    try:
        places = archive_index(archive)
        with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, tarfile.TarError) as error:
        raise SourceError(f"{folder}: the set {name} cannot be read: {error}") from None
    try:
        return [_from_row(row, name, archive, *places[row["path"]]) for row in rows]
    except (KeyError, ValueError) as error:
        raise SourceError(f"{folder / name}.csv: does not fit {archive.name}: {error}") from None


def archive_index(archive: Path) -> dict[str, tuple[int, int]]:
    """Offset and size of each file of an uncompressed tar, by name."""
    with tarfile.open(archive, "r:") as tar:
        return {each.name: (each.offset_data, each.size) for each in tar if each.isfile()}


class FaceFinder:
    """YuNet as OpenCV runs it (Wu, Peng and Yu, Machine Intelligence Research 20, 2023)."""

    SIDE = 320
    """Longest side at which a picture is searched, in pixels."""

    def __init__(self, path: Path) -> None:
        """Load the ONNX file.

        Raises:
            ModelError: it is missing, or no YuNet.
        """
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (self.SIDE, self.SIDE), 0.5)
        except cv2.error as error:
            reason = " ".join(str(error).split())[:120]
            raise ModelError(f"{path}: not a YuNet that OpenCV can read: {reason}") from None
        self.mark = content(path)
        """Of the file: what another finds is something else."""

    def find(self, image: Image) -> npt.NDArray[np.float32] | None:
        """The face nearest to the middle of a picture, weighed by its size; None without one.

        Returns:
            (15,): x, y, w, h, five landmarks as x, y, and the score, in pixels of the picture.
        """
        # Tight crops cut faces off: the detector wants to see where the head ends.
        margin = round(0.15 * max(image.shape[:2]))
        framed = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        factor = self.SIDE / max(framed.shape[:2])
        scaled = cv2.resize(framed, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        height, width = scaled.shape[:2]
        self._net.setInputSize((width, height))
        found = self._net.detect(scaled)[1]
        if found is None:
            return None
        found = np.asarray(found, np.float32)
        off = found[:, :2] + found[:, 2:4] / 2 - (width / 2, height / 2)
        near = np.hypot(*off.T) - np.sqrt(found[:, 2] * found[:, 3])
        best: npt.NDArray[np.float32] = found[int(near.argmin())]
        best[:14] /= factor
        best[[0, 1, *range(4, 14)]] -= margin
        return best


def read_folder(folder: Path, finder: FaceFinder, cache: Path) -> list[Face]:
    """Read pictures from a folder: a sub-folder for each person, or unnamed pictures right in it.

    Landmarks are looked for once and kept in a CSV in `cache`; pictures without a face are left
    out, and looked at again only if they change.

    Raises:
        SourceError: there is no picture, or one cannot be read.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not files:
        raise SourceError(f"{folder}: no pictures in it; give a folder with one folder a person")
    # Two folders of one name are two sources, and their people are different people.
    mark = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    source = f"{folder.resolve().name}-{mark}"
    kept = cache / f"{source}-{finder.mark}.csv"
    known = _known(kept)
    cache.mkdir(parents=True, exist_ok=True)
    with kept.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        for path in tqdm(files, desc=f"faces in {folder.name}", unit="picture"):
            key = _key(path, folder)
            if key not in known:
                known[key] = _find(path, finder)
                table.writerow([key, *(f"{value:.2f}" for value in known[key])])
    faces = []
    for path in files:
        values = known[_key(path, folder)]
        if not len(values):
            continue
        name = path.relative_to(folder).as_posix()
        person = path.parent.relative_to(folder).as_posix()
        faces.append(
            Face(
                source=source,
                name=name,
                identity=None if person == "." else f"{source}/{person}",
                box=(float(values[0]), float(values[1]), float(values[2]), float(values[3])),
                landmarks=values[4:14].reshape(5, 2),
                file=path,
                score=float(values[14]),
            )
        )
    return faces


def people(faces: Sequence[Face]) -> dict[str, list[int]]:
    """Places of the faces of each named person, by identity."""
    found: dict[str, list[int]] = {}
    for place, face in enumerate(faces):
        if face.identity is not None:
            found.setdefault(face.identity, []).append(place)
    return found


def _from_row(row: dict[str, str], source: str, archive: Path, offset: int, size: int) -> Face:
    numbers = [float(row[column]) for column in COLUMNS[5:]]
    return Face(
        source=source,
        name=row["path"],
        identity=f"{source}/{row['identity']}" if row["identity"] else None,
        box=(numbers[0], numbers[1], numbers[2], numbers[3]),
        landmarks=np.array(numbers[4:14], np.float32).reshape(5, 2),
        file=archive,
        offset=offset,
        size=size,
        age=int(row["age"]) if row["age"] else None,
        gender=row["gender"] or None,
        ethnicity=row["ethnicity"] or None,
        score=numbers[14],
    )


def _key(path: Path, folder: Path) -> str:
    stat = path.stat()
    return f"{path.relative_to(folder).as_posix()}:{stat.st_size}:{stat.st_mtime_ns}"


def _known(kept: Path) -> dict[str, npt.NDArray[np.float32]]:
    if not kept.exists():
        return {}
    with kept.open(newline="", encoding="utf-8") as file:
        # A line that an interrupted run left unfinished has too few columns: look again.
        return {
            key: np.array(values, np.float32)
            for key, *values in csv.reader(file)
            if len(values) in (0, 15)
        }


def _find(path: Path, finder: FaceFinder) -> npt.NDArray[np.float32]:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError(f"{path}: not a picture; remove it")
    found = finder.find(np.asarray(image, np.uint8))
    # Rounded as in the file, so that a later run has the same landmarks.
    return np.zeros(0, np.float32) if found is None else np.round(found, 2)
