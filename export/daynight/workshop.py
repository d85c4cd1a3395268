"""Trains variants of the network and asks them about pictures that they have not seen.

Every training run is kept in a folder under what decides it, so that a run that was cut off goes on
and nothing is trained twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from export.daynight import teacher as probe
from export.daynight.material import Pictures, folds
from export.daynight.model import DayNight
from export.daynight.teacher import Teacher
from export.daynight.train import DayNightRecipe, Values, probabilities, train

INNER_FOLDS = 4
"""Folds by which soft labels are made inside the pictures that a network learns from."""


@dataclass(frozen=True)
class Variant:
    """A way to train."""

    name: str
    recipe: DayNightRecipe
    own: float = 1.0
    """Share of the label in what is learnt; the rest is the teacher's opinion."""
    members: int = 1
    """Networks whose mean opinion counts, from one seed each."""


class Workshop:
    """Pictures to learn from, and what was made of them before."""

    def __init__(self, pictures: Pictures, teacher: Path | None, folder: Path, count: int) -> None:
        """Take pictures in `count` folds.

        Args:
            pictures: to learn from.
            teacher: the classifier that gives soft labels, for variants that want them.
            folder: of results; is made if it is not there.
            count: folds of cross-validation.
        """
        self.pictures = pictures
        self.count = count
        self.folds = folds(pictures.images, count, seed=0)
        self._folder = folder
        self._teacher = teacher
        folder.mkdir(parents=True, exist_ok=True)
        raw = b"".join(each.tobytes() for each in pictures.images) + pictures.labels.tobytes()
        self._digest = hashlib.sha256(raw).hexdigest()

    def cross_validated(self, variant: Variant) -> Values:
        """(n,) probability of night of each picture, by networks trained without its fold."""
        night = np.zeros(len(self.pictures), np.float32)
        for fold in range(self.count):
            asked = np.flatnonzero(self.folds == fold)
            learnt = np.flatnonzero(self.folds != fold)
            networks = self._networks(variant, learnt, f"fold {fold + 1} of {self.count}")
            night[asked] = ask(networks, self.pictures.take(asked), variant.recipe.side)
        return night

    def trained(self, variant: Variant) -> list[DayNight]:
        """The variant's networks, trained on all pictures."""
        return self._networks(variant, np.arange(len(self.pictures)), "all")

    def _networks(
        self, variant: Variant, learnt: npt.NDArray[np.intp], title: str
    ) -> list[DayNight]:
        targets: Values | None = None
        result = []
        for member in range(variant.members):
            recipe = replace(variant.recipe, seed=variant.recipe.seed + member)
            path = self._path(recipe, variant.own, learnt)
            network = DayNight(recipe.dropout)
            if path.exists():
                network.load_state_dict(torch.load(path, weights_only=True))
            else:
                if targets is None:
                    targets = self._targets(variant, learnt)
                part = self.pictures.take(learnt)
                network = train(
                    recipe, part.images, targets, part.labels, f"{variant.name}, {title}"
                )
                _whole(path, lambda at, network=network: torch.save(network.state_dict(), at))
            result.append(network.eval())
        return result

    def _targets(self, variant: Variant, learnt: npt.NDArray[np.intp]) -> Values:
        labels = self.pictures.labels[learnt]
        if variant.own == 1:
            return labels
        inner = folds(self.pictures.take(learnt).images, INNER_FOLDS, variant.recipe.seed)
        soft = probe.soft_labels(self.features()[learnt], labels, inner)
        return (variant.own * labels + (1 - variant.own) * soft).astype(np.float32)

    def features(self) -> Values:
        """(n, 2, d) of the teacher."""
        path = self._folder / f"features-{self._digest[:12]}.npy"
        if not path.exists():
            assert self._teacher is not None, "a variant that wants soft labels needs a teacher"
            found = Teacher(self._teacher).features(self.pictures.images)
            _whole(path, lambda at: np.save(at.open("wb"), found))
        return np.asarray(np.load(path), np.float32)

    def _path(
        self, recipe: DayNightRecipe, own: float, learnt: npt.NDArray[np.intp]
    ) -> Path:
        decided = json.dumps([asdict(recipe), own, self._digest, learnt.tolist()])
        return self._folder / f"{hashlib.sha256(decided.encode()).hexdigest()[:16]}.pt"


def ask(networks: list[DayNight], pictures: Pictures, side: int) -> Values:
    """(n,) probability of night: the mean of what the networks say."""
    said = [probabilities(each, pictures.images, side) for each in networks]
    return np.mean(said, axis=0, dtype=np.float32)


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_suffix(".tmp")
    write(partial)
    partial.replace(path)
