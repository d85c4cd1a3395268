"""Trains variants of the network and asks them about pictures that they have not seen.

Every training run is kept in a folder under what decides it, so that a run that was cut off goes on
and nothing is trained twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from daemon.vision.frames import Image
from export.daynight.material import Pictures, folds
from export.daynight.model import DayNight
from export.daynight.pretrain import pretrain
from export.daynight.teacher import Teacher, hints
from export.daynight.train import DayNightRecipe, Values, probabilities, train
from export.faces.scenes import listed

Places = npt.NDArray[np.intp]

MOST_UNLABELLED = 2_500
"""Pictures without labels that are learnt from, drawn from all there are."""


@dataclass(frozen=True)
class Variant:
    """A way to train."""

    name: str
    recipe: DayNightRecipe
    pretraining: DayNightRecipe | None = None
    """How the network is taught to see before; None: it is not."""


class Workshop:
    """Pictures to learn from, and what was made of them before."""

    def __init__(
        self,
        pictures: Pictures,
        unlabelled: Sequence[Image],
        teacher: Teacher | None,
        folder: Path,
        count: int,
    ) -> None:
        """Take pictures in `count` folds.

        Args:
            pictures: to learn from.
            unlabelled: more of them, for pretraining.
            teacher: the classifier that says what is to be seen, for pretraining.
            folder: of results; is made if it is not there.
            count: folds of cross-validation.
        """
        self.pictures = pictures
        self.count = count
        self.folds = folds(pictures.images, count, seed=0)
        self._folder = folder
        self._teacher = teacher
        folder.mkdir(parents=True, exist_ok=True)
        self.unlabelled = unlabelled
        self._digest = _digest(pictures.images, pictures.labels.tobytes())

    def cross_validated(self, variant: Variant) -> Values:
        """(n,) probability of night of each picture, by a network trained without its fold."""
        night = np.zeros(len(self.pictures), np.float32)
        for fold in range(self.count):
            asked = np.flatnonzero(self.folds == fold)
            learnt = np.flatnonzero(self.folds != fold)
            network = self._network(variant, learnt, f"fold {fold + 1} of {self.count}")
            images = self.pictures.take(asked).images
            night[asked] = probabilities(network, images, variant.recipe.side)
        return night

    def trained(self, variant: Variant) -> DayNight:
        """The variant's network, trained on all pictures."""
        return self._network(variant, np.arange(len(self.pictures)), "all")

    def features(self) -> Values:
        """(n, 2, d) of the teacher, of every picture and its mirror image."""
        return self._features(self.pictures.images, mirrored=True)

    def _features(self, images: Sequence[Image], mirrored: bool) -> Values:
        digest = _digest(images, b"mirrored" if mirrored else b"")
        path = self._folder / f"features-{digest}.npy"
        if not path.exists():
            assert self._teacher is not None, "pretraining needs a teacher"
            found = self._teacher.features(images, mirrored)
            partial = path.with_suffix(".tmp.npy")
            np.save(partial, found)
            partial.replace(path)
        return np.asarray(np.load(path), np.float32)

    def _network(self, variant: Variant, learnt: Places, title: str) -> DayNight:
        recipe = variant.recipe

        def make() -> DayNight:
            part = self.pictures.take(learnt)
            start = self._pretrained(variant.pretraining) if variant.pretraining else None
            shown = f"{variant.name} {recipe.side}, {title}"
            return train(recipe, part.images, part.labels, start, shown)

        before = asdict(variant.pretraining) if variant.pretraining else None
        return self._kept([asdict(recipe), before, learnt.tolist()], recipe, make)

    def _pretrained(self, recipe: DayNightRecipe) -> DayNight:
        """No label is seen here, so every fold may start from the same network."""

        def make() -> DayNight:
            images = [*self.pictures.images, *self.unlabelled]
            seen = self.features()[:, 0]
            if self.unlabelled:
                seen = np.concatenate([seen, self._features(self.unlabelled, False)[:, 0]])
            return pretrain(recipe, images, hints(seen))

        return self._kept([asdict(recipe), len(self.unlabelled)], recipe, make)

    def _kept(
        self, decided: list[Any], recipe: DayNightRecipe, make: Callable[[], DayNight]
    ) -> DayNight:
        """The network that was trained so before, or a new one."""
        name = hashlib.sha256(json.dumps([self._digest, *decided]).encode()).hexdigest()[:16]
        path = self._folder / f"{name}.pt"
        if path.exists():
            network = DayNight(dropout=recipe.dropout)
            network.load_state_dict(torch.load(path, weights_only=True))
            return network.eval()
        network = make()
        partial = path.with_suffix(".tmp")
        torch.save(network.state_dict(), partial)
        partial.replace(path)
        return network


def read_unlabelled(places: Sequence[Path]) -> list[Image]:
    """At most :data:`MOST_UNLABELLED` pictures of folders and tars, drawn the same every time."""
    scenes = [scene for place in places for scene in listed(place)]
    if not scenes:
        return []
    chosen = np.random.default_rng(0).permutation(len(scenes))[:MOST_UNLABELLED]
    return [scenes[place].read() for place in sorted(chosen)]


def _digest(images: Sequence[Image], more: bytes) -> str:
    digest = hashlib.sha256(more)
    for each in images:
        digest.update(each.tobytes())
    return digest.hexdigest()[:16]
