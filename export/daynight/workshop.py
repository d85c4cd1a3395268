"""Trains variants of the network and asks them about pictures that they have not seen.

Every training run is kept in a folder under what decides it, so that a run that was cut off goes on
and nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from daemon.errors import SourceError
from daemon.vision.frames import Image
from export.daynight.distil import Lesson, darkened, distil
from export.daynight.material import Pictures, folds
from export.daynight.model import DayNight
from export.daynight.teacher import NAME, Teacher, fit, hints, judge
from export.daynight.train import DayNightRecipe, Values, probabilities, train
from export.faces.scenes import listed
from export.keys import key

Places = npt.NDArray[np.intp]

MOST_UNLABELLED = 20_000
"""Pictures without labels that are learnt from, drawn from all there are."""
UNLABELLED_SIDE = 160
"""Of those, the longest side in pixels."""


@dataclass(frozen=True)
class Variant:
    """A way to train."""

    name: str
    recipe: DayNightRecipe
    taught: bool = False
    """Whether the teacher's opinions and what it sees are learnt, too."""


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
            unlabelled: more of them, for the teacher to look at.
            teacher: the classifier that has an opinion of them.
            folder: of results; is made if it is not there.
            count: folds of cross-validation.

        Raises:
            SourceError: too few of the pictures differ for so many folds.
        """
        self.pictures = pictures
        self.count = count
        self.folds = folds(pictures.images, count, seed=0)
        self._check_folds()
        self._folder = folder
        self._teacher = teacher
        folder.mkdir(parents=True, exist_ok=True)
        self.unlabelled = darkened(unlabelled, seed=0)
        self._learnt = key(pictures.images, pictures.labels)

    def _check_folds(self) -> None:
        for fold in range(self.count):
            asked = self.folds == fold
            if not asked.any() or len(np.unique(self.pictures.labels[~asked])) < 2:
                raise SourceError(
                    "too few different pictures (near-duplicates count as one): for "
                    f"cross-validation in {self.count} folds each needs some, and day and night "
                    "outside of it; add pictures of other places"
                )

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
        path = self._folder / f"{NAME}-{key(images, mirrored)}.npy"
        if not path.exists():
            assert self._teacher is not None, "nobody to be taught by"
            found = self._teacher.features(images, mirrored)
            partial = path.with_suffix(".tmp.npy")
            np.save(partial, found)
            partial.replace(path)
        return np.asarray(np.load(path), np.float32)

    def _network(self, variant: Variant, learnt: Places, title: str) -> DayNight:
        recipe = variant.recipe

        def make() -> DayNight:
            part = self.pictures.take(learnt)
            shown = f"{variant.name} {recipe.side}, {title}"
            if variant.taught:
                return distil(recipe, self._lesson(part, learnt), shown)
            return train(recipe, part.images, part.labels, shown)

        taught = self._taught_by if variant.taught else None
        return self._kept([recipe, taught, learnt.tolist()], recipe, make)

    def _lesson(self, part: Pictures, learnt: Places) -> Lesson:
        """What a probe on the teacher, fitted to some of the pictures, makes of these and others.

        Of a labelled picture it counts as much as the label: what it cannot be brought to believe
        may be labelled wrongly.
        """
        known = self.features()[learnt]
        probe = fit(known, part.labels)
        believed = (part.labels + judge(probe, known)) / 2
        opinions = np.concatenate([believed, judge(probe, self._others)])
        seen = np.concatenate([self._seen[learnt], self._seen[len(self.pictures) :]])
        return Lesson([*part.images, *self.unlabelled], len(part), opinions, seen)

    @cached_property
    def _seen(self) -> Values:
        """(n, k) hints of all pictures, those without labels last."""
        return hints(np.concatenate([self.features()[:, 0], self._others[:, 0]]))

    @cached_property
    def _others(self) -> Values:
        """(n, 1, d) of the teacher, of the pictures without labels: every fold asks for them."""
        return self._features(self.unlabelled, mirrored=False)

    @cached_property
    def _taught_by(self) -> list[str]:
        """The teacher and what it looked at, as a name."""
        return [NAME, key(self.unlabelled)]

    def _kept(
        self, decided: list[Any], recipe: DayNightRecipe, make: Callable[[], DayNight]
    ) -> DayNight:
        """The network that was trained so before, or a new one."""
        path = self._folder / f"{key(self._learnt, *decided)}.pt"
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
    return [_small(scenes[place].read()) for place in sorted(chosen)]


def _small(image: Image) -> Image:
    """With a longest side of 160 pixels: as what is learnt has, and thousands fit in memory."""
    factor = UNLABELLED_SIDE / max(image.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=way), np.uint8)
