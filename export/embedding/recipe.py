"""The recipes that are compared: which network, how it starts, what it is trained for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from daemon.vision.cards import FaceInput
from export.embedding import dlib_net
from export.embedding.compressed import SIDE, TEMPLATE_SCALE, CompressedNet, prepared
from export.embedding.degrade import plain
from export.embedding.material import MaterialError
from export.embedding.model import EncoderNet
from export.embedding.package import DLIB_INPUT, PORTER_INPUT, dlib_weights
from export.embedding.train import EncoderRecipe

Image = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]

DEFAULT_STEPS = 4500
QUICK_STEPS = 60


@dataclass(frozen=True)
class Variant:
    """One of the recipes."""

    recipe: EncoderRecipe
    network: Literal["plain", "dlib"] = "plain"
    """What it starts as: random weights, or dlib's, compressed."""
    goes_on_from: str | None = None
    """The variant whose weights it starts with."""

    @property
    def input(self) -> FaceInput:
        """How the network wants a face."""
        return PORTER_INPUT if self.network == "plain" else COMPRESSED_INPUT


COMPRESSED_INPUT = PORTER_INPUT.model_copy(
    update={
        "width": SIDE,
        "height": SIDE,
        "template": (np.array(DLIB_INPUT.template) * TEMPLATE_SCALE).round(2).tolist(),
    }
)
"""Faces as dlib frames them, in the size and range of the others."""

VARIANTS = {
    "triplet": Variant(
        EncoderRecipe(persons=16, distillation=0.0, relation=0.0, triplet=1.0, rate=1e-3)
    ),
    "distilled": Variant(EncoderRecipe()),
    "margin": Variant(
        EncoderRecipe(persons=8, triplet=0.5, softmax=0.05, rate=5e-4, strength=0.8),
        goes_on_from="distilled",
    ),
    "compressed": Variant(
        EncoderRecipe(
            rate=2e-4,
            relation=40.0,
            weight_decay=0.0,
            kept_centre=1.0,
            flattened=0.0,
            strength=0.7,
        ),
        network="dlib",
    ),
}
"""`triplet`: FaceNet's recipe, without a teacher. `distilled`: the teachers' vectors and the
similarities of all pairs. `margin`: the same with triplets and a margin softmax, from the distilled
network on. `compressed`: as `distilled`, from dlib's weights on, cut to their rank.
"""

HEAD_FITTED = 4000
CUT_SEEN = 512
"""Faces on which the head of a compressed network is fitted, and on which its layers are cut."""


def variant(name: str, steps: int, quick: bool) -> Variant:
    """A variant by name.

    Args:
        name: of :data:`VARIANTS`.
        steps: of its training.
        quick: few, small steps, to see that all is in place.
    """
    chosen = VARIANTS[name]
    if not quick:
        recipe = replace(chosen.recipe, steps=steps)
    else:
        recipe = replace(
            chosen.recipe,
            steps=QUICK_STEPS,
            batch=32,
            persons=min(chosen.recipe.persons, 6),
            strength=0.3,
            workers=0,
        )
    return replace(chosen, recipe=recipe)


def in_order(names: Sequence[str], teachers: Sequence[str]) -> Sequence[str]:
    """Names of variants, as they were asked for.

    Raises:
        MaterialError: one cannot be trained: it goes on from another that does not come before it,
            or learns from teachers and there are none.
    """
    for place, name in enumerate(names):
        chosen = VARIANTS[name]
        before = chosen.goes_on_from
        if before is not None and before not in names[:place]:
            raise MaterialError(
                f"--variant {name} goes on from {before}: give --variant {before} before it; what "
                "was trained already is not trained again"
            )
        if not teachers and not chosen.recipe.triplet:
            raise MaterialError(f"--variant {name} learns from teachers; give --teacher")
    return names


def steps_of(name: str, asked: Sequence[str]) -> int:
    """Steps of a variant, of what was asked for as `N` or `VARIANT=N`; the last word counts.

    Raises:
        MaterialError: one is neither.
    """
    steps = DEFAULT_STEPS
    for each in asked:
        which, _, number = each.rpartition("=")
        if not number.isdecimal() or int(number) < 2 or which not in ("", *VARIANTS):
            raise MaterialError(
                f"--steps {each}: must be a number, or one of {', '.join(VARIANTS)} with =N"
            )
        if which in ("", name):
            steps = int(number)
    return steps


def network(chosen: Variant, crops: Image, targets: Vectors | None, quick: bool) -> nn.Module:
    """The network that a variant starts with.

    Args:
        chosen: the variant.
        crops: (n, 144, 144, 3) of the training part.
        targets: (n, dimension) the teachers' vectors; None without teachers.
        quick: a narrow network.

    Raises:
        ModelError: dlib's weights are missing.
    """
    torch.manual_seed(chosen.recipe.seed)
    if chosen.network == "plain":
        return EncoderNet((8, 16, 24, 32), (0, 1, 1, 1)) if quick else EncoderNet()
    net = CompressedNet(dlib_net.load(dlib_weights())).eval()
    rng = np.random.default_rng(chosen.recipe.seed)
    places = np.sort(rng.permutation(len(crops))[:HEAD_FITTED])
    template = np.array(chosen.input.template)
    faces = [plain(np.array(crops[place]), template) for place in places]
    net.cut(prepared(np.stack(faces[:CUT_SEEN])))
    if targets is not None:
        with torch.inference_mode():
            pooled = [
                net.pooled(prepared(np.stack(faces[start : start + 64])))
                for start in range(0, len(faces), 64)
            ]
        net.fit_head(torch.cat(pooled), torch.from_numpy(targets[places]))
    return net
