"""What published encoders make of pictures: the targets of distillation.

A teacher is any encoder that the daemon could run. It sees the clean picture and its mirror image,
and the two vectors are averaged, as evaluations of face recognition usually do. All vectors are
kept on disk, since a teacher takes longer than a step of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from daemon.errors import ModelError
from daemon.inference import CPU
from daemon.vision.encoder import Encoder, open_encoder
from export.data.faces import Face
from export.embedding.package import convert_dlib, convert_mobilefacenet, dlib_weights
from export.keys import key, place

Vectors = npt.NDArray[np.float32]

BATCH = 4
SAVED_EVERY = 1024


@dataclass(frozen=True)
class Teacher:
    """An encoder and how much its opinion counts."""

    encoder: Encoder
    weight: float = 1.0
    """Of its squared distances in their sum with the other teachers'."""

    @property
    def name(self) -> str:
        """As its card has it."""
        return self.encoder.card.name


def open_teachers(models: Sequence[str], folder: Path) -> list[Teacher]:
    """Open teachers given as `MODEL[:WEIGHT]`.

    Args:
        models: `dlib` (from its Python package), a model with a card, or a bare MobileFaceNet.
        folder: where converted ones are put.

    Raises:
        ModelError: one cannot be found or opened.
    """
    return [_open(model, folder) for model in models]


def _open(model: str, folder: Path) -> Teacher:
    name, _, weight = model.partition(":")
    path = Path(name)
    if name == "dlib":
        path = folder / "dlib.onnx"
        if not path.exists():
            convert_dlib(dlib_weights(), folder)
    elif path.suffix == ".onnx" and path.exists() and not path.with_suffix(".yaml").exists():
        convert_mobilefacenet(path, folder)
        path = folder / "mobilefacenet.onnx"
    try:
        return Teacher(open_encoder(path, [CPU]), float(weight or 1))
    except ValueError:
        raise ModelError(f"{model}: {weight} is not a weight; give MODEL or MODEL:2.0") from None


class VectorStore:
    """Vectors of pictures by an encoder, made once and kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def vectors(self, encoder: Encoder, faces: Sequence[Face], mirrored: bool = False) -> Vectors:
        """Unit vectors of the faces, (n, dimension); `mirrored` of their mirror images."""
        side = "mirrored" if mirrored else "straight"
        path = self.folder / f"{encoder.card.name}-{encoder.card.sha256[:8]}-{side}.npz"
        known = _read(path)
        keys = _keys(faces)
        missing = [(key, face) for key, face in zip(keys, faces) if key not in known]
        if missing:
            self.folder.mkdir(parents=True, exist_ok=True)
            label = f"{encoder.card.name}, {side}"
            with tqdm(total=len(missing), desc=label, unit="picture") as bar:
                for start in range(0, len(missing), SAVED_EVERY):
                    part = missing[start : start + SAVED_EVERY]
                    shown = [face for _, face in part]
                    made = np.concatenate(list(_embedded(encoder, shown, mirrored, bar)))
                    known.update(zip([key for key, _ in part], made))
                    _write(path, known)
        return np.array([known[key] for key in keys], np.float32)

    def averaged(self, encoder: Encoder, faces: Sequence[Face]) -> Vectors:
        """Unit vectors, (n, dimension): the mean of each picture's and its mirror image's."""
        both = self.vectors(encoder, faces) + self.vectors(encoder, faces, mirrored=True)
        return unit(both)


def unit(vectors: Vectors) -> Vectors:
    """Vectors brought to length 1, (n, dimension)."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    shortened: Vectors = vectors / np.maximum(lengths, 1e-12)
    return shortened


def together(teachers: Sequence[Teacher], store: VectorStore, faces: Sequence[Face]) -> Vectors:
    """The teachers' common opinion: unit vectors whose distances are the weighted mean of theirs.

    Squared distances add when vectors are joined, so each teacher's is scaled by the root of its
    share of the weight.

    Returns:
        (n, sum of the teachers' dimensions) of length 1.
    """
    total = sum(teacher.weight for teacher in teachers)
    parts = [
        np.sqrt(teacher.weight / total) * store.averaged(teacher.encoder, faces)
        for teacher in teachers
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _embedded(
    encoder: Encoder, faces: Sequence[Face], mirrored: bool, bar: tqdm[NoReturn]
) -> Iterator[Vectors]:
    def crop(face: Face) -> npt.NDArray[np.uint8]:
        aligned = encoder.align(face.read(), face.landmarks)
        return aligned[:, ::-1] if mirrored else aligned

    with ThreadPoolExecutor(1) as reader:
        for start in range(0, len(faces), BATCH):
            part = faces[start : start + BATCH]
            yield encoder.embed_crops(np.stack(list(reader.map(crop, part)))).copy()
            bar.update(len(part))


def _keys(faces: Sequence[Face]) -> list[str]:
    states = {file: place(file) for file in {face.file for face in faces}}
    return [
        key(states[face.file], face.name, np.round(face.landmarks, 1).tolist()) for face in faces
    ]


def _read(path: Path) -> dict[str, Vectors]:
    if not path.exists():
        return {}
    with np.load(path) as kept:
        return dict(zip(kept["keys"].tolist(), kept["vectors"]))


def _write(path: Path, known: dict[str, Vectors]) -> None:
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, keys=list(known), vectors=np.array(list(known.values()), np.float32))
    partial.replace(path)
