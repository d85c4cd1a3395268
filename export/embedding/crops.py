"""Aligned faces for training: cut out once, kept on disk, degraded anew for every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from tqdm import tqdm

from daemon.vision.alignment import align
from export.data.faces import Face, people
from export.embedding.degrade import SIZE, TEMPLATE, degrade
from export.keys import key_of_pictures

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]


def kept_crops(faces: Sequence[Face], folder: Path) -> Image:
    """Aligned faces with their margin, (n, 144, 144, 3) BGR, as a map of a file in `folder`.

    What lies outside of a picture is mirrored into it: tight crops would teach black frames.
    """
    path = folder / f"crops-{crops_key(faces)}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".tmp")
        shape = (len(faces), SIZE[1], SIZE[0], 3)
        crops = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
        for place, face in enumerate(tqdm(faces, desc="aligning", unit="face")):
            crops[place] = _cut(face)
        crops.flush()
        partial.replace(path)
    kept: Image = np.load(path, mmap_mode="r")
    return kept


def crops_key(faces: Sequence[Face]) -> str:
    """Of what is cut out of these pictures."""
    return key_of_pictures(faces, np.array([face.landmarks for face in faces]))


def _cut(face: Face) -> Image:
    image = face.read()
    edge = min(image.shape[:2]) // 2 - 1
    wide = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_REFLECT_101)
    return align(np.asarray(wide, np.uint8), face.landmarks + edge, TEMPLATE, SIZE)


class Degraded(Dataset[tuple[Tensor, Tensor]]):
    """Degraded faces (3, 112, 112) as bytes, RGB, with their places; asked by (step, place)."""

    def __init__(self, crops: Image, seed: int, strength: float, template: Points) -> None:
        self.crops, self.seed, self.strength = crops, seed, strength
        self.template = template

    def __getitem__(self, asked: tuple[int, int]) -> tuple[Tensor, Tensor]:
        step, place = asked
        rng = np.random.default_rng([self.seed, step, place])
        strength = self.strength * rng.random()
        face = degrade(np.array(self.crops[place]), rng, strength, self.template)
        pixels = torch.from_numpy(np.ascontiguousarray(face[..., ::-1].transpose(2, 0, 1)))
        return pixels, torch.tensor(place)


class Batches(Sampler[list[tuple[int, int]]]):
    """Which faces a step sees: some pictures of each of some people, and any others.

    A step's choice follows from the seed and its number alone, so that a run that was cut off goes
    on with the same choices.
    """

    def __init__(
        self,
        faces: Sequence[Face],
        batch: int,
        persons: int,
        pictures: int,
        steps: range,
        seed: int,
    ) -> None:
        """Set up.

        Args:
            faces: all that may be chosen.
            batch: faces of a step.
            persons: named people of a step.
            pictures: of each of them.
            steps: numbers of the steps.
            seed: of the choices.
        """
        self.count, self.batch, self.steps, self.seed = len(faces), batch, steps, seed
        named = [places for places in people(faces).values() if len(places) >= 2]
        self.people = [np.array(places) for places in named]
        self.persons = min(persons, len(named))
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in self.steps:
            rng = np.random.default_rng([self.seed, step])
            chosen: list[int] = []
            for person in rng.choice(len(self.people), self.persons, replace=False):
                places = self.people[person]
                chosen += rng.choice(
                    places, min(self.pictures, len(places)), replace=False
                ).tolist()
            # Epochs by number: every face is seen as often as any other.
            chosen += self._others(step, self.batch - len(chosen))
            yield [(step, place) for place in chosen]

    def _others(self, step: int, count: int) -> list[int]:
        rest = self.batch - self.persons * self.pictures
        if rest <= 0:
            return []
        places = np.arange(step * rest, step * rest + count)
        orders = {
            epoch: np.random.default_rng([self.seed, 1, epoch]).permutation(self.count)
            for epoch in np.unique(places // self.count).tolist()
        }
        return [int(orders[place // self.count][place % self.count]) for place in places.tolist()]
