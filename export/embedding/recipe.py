"""The recipes that are compared, and how a quick one differs."""

from __future__ import annotations

from dataclasses import replace

from export.embedding.train import EncoderRecipe

DEFAULT_STEPS = 4500

VARIANTS = {
    "triplet": EncoderRecipe(
        persons=16, pictures=4, distillation=0.0, relation=0.0, triplet=1.0, rate=1e-3
    ),
    "distilled": EncoderRecipe(),
    "margin": EncoderRecipe(
        persons=8, pictures=4, triplet=0.5, softmax=0.05, rate=5e-4, strength=0.8
    ),
}
"""`triplet`: FaceNet's recipe, without a teacher. `distilled`: the teachers' vectors and the
similarities of all pairs. `margin`: the same with triplets and a margin softmax, from the distilled
network on."""

SHARES = {"triplet": 0.25, "distilled": 1.0, "margin": 0.3}
"""Steps of each, relative to the longest."""

QUICK_STEPS = 60


def variant(name: str, steps: int, quick: bool) -> EncoderRecipe:
    """A recipe by name.

    Args:
        name: of :data:`VARIANTS`.
        steps: of the longest variant.
        quick: a narrow network and few, small steps, to see that all is in place.
    """
    recipe = VARIANTS[name]
    if quick:
        return replace(
            recipe,
            steps=QUICK_STEPS,
            batch=32,
            persons=min(recipe.persons, 6),
            pictures=4,
            widths=(8, 16, 24, 32),
            blocks=(0, 1, 1, 1),
            strength=0.3,
            workers=0,
        )
    return replace(recipe, steps=max(2, round(steps * SHARES[name])))
