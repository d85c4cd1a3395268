"""Trains the face detector on pictures that are composed anew for every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from daemon.vision.priors import cells
from export.course import Course, Pace
from export.faces.composition import Material, Sample, compose, mirror
from export.faces.loss import Labels, Weights, loss
from export.faces.model import Detector, Widths
from export.precision import Precision, fastest

STORED = 2048
"""Composed pictures of 256 x 256 pixels kept to be learnt from again."""


@dataclass(frozen=True)
class FaceDetectRecipe:
    """Everything that shapes a training run."""

    steps: int = 2_000
    batch: int = 32
    fresh: int = 12
    """Of a batch, how many pictures are new; the rest are drawn from those of before."""
    side: int = 256
    """Of most pictures, in pixels."""
    large_side: int = 448
    """Of the others, for faces that fill a camera's picture; as many fewer fit into a batch."""
    large_every: int = 4
    """Steps from one batch of large pictures to the next; 0: never."""
    tiled: float = 0.15
    """Share of pictures that are tiled with many faces."""
    whole: float = 0.35
    """Share of pictures that are parts of whole ones with people in them."""
    freeze_stem: bool = False
    """Leave the first two convolutions as they are: half of the time of a step goes there."""
    rate: float = 3e-3
    """Peak learning rate (one cycle, AdamW)."""
    widths: Widths = field(default_factory=Widths)
    weights: Weights = field(default_factory=Weights)
    precision: Precision = field(default_factory=fastest)
    """Of the convolutions while learning."""
    seed: int = 0


class Compositions(Dataset[Sample]):
    """Composed pictures by number: the same for the same seed."""

    def __init__(
        self, material: Material, recipe: FaceDetectRecipe, first: int, count: int
    ) -> None:
        self._material, self._recipe = material, recipe
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, self._first + index])
        return compose(self._material, recipe.side, rng, recipe.tiled, recipe.whole)


def train(
    recipe: FaceDetectRecipe,
    material: Material,
    folder: Path,
    workers: int = 1,
    start: Detector | None = None,
) -> Detector:
    """Train or resume; writes `detector.pt` (checkpoint) and `detector.jsonl` (log).

    Args:
        recipe: how.
        material: what the pictures are made of.
        folder: of checkpoint and log.
        workers: processes that compose pictures.
        start: a network of the same widths to go on from; drawn by the seed if None.

    Returns:
        The network, ready to run.
    """
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Detector(recipe.widths).to(device)
    if start is not None:
        network.load_state_dict(start.state_dict())
    network.stem.requires_grad_(not recipe.freeze_stem)
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    optimiser = torch.optim.AdamW(_groups(network), recipe.rate)
    pace = Pace(recipe.steps, rise=0.08, clip=5.0, every=250, seed=recipe.seed)
    course = Course(network, optimiser, pace, folder / "detector.pt", asdict(recipe))
    for images, labels in course.follow(_mixed(recipe, material, course.done, workers)):
        grid = torch.from_numpy(cells(*images.shape[2:]).copy()).to(device)
        network.train()
        network.stem.train(not recipe.freeze_stem)
        x = _jitter(images.to(device)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            predicted = network(x)
        off = loss(predicted.float(), _to(labels, device), grid, recipe.weights)
        course.learn(off.total, score=off.score, box=off.box, landmarks=off.landmarks)
    return network.cpu().eval()


def _groups(network: nn.Module) -> list[dict[str, object]]:
    """Weight decay for kernels, none for norms and biases."""
    learnt = [each for each in network.parameters() if each.requires_grad]
    kernels = [each for each in learnt if each.ndim > 1]
    others = [each for each in learnt if each.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": 5e-3},
        {"params": others, "weight_decay": 0.0},
    ]


def _mixed(
    recipe: FaceDetectRecipe, material: Material, done: int, workers: int
) -> Iterator[tuple[Tensor, Labels]]:
    """The batches of all steps from `done` on, most of small and some of large pictures."""
    every = recipe.large_every
    share = (recipe.side / recipe.large_side) ** 2
    large = replace(
        recipe,
        side=recipe.large_side,
        batch=max(2, round(recipe.batch * share)),
        fresh=max(1, round(recipe.fresh * share)),
        seed=recipe.seed + 1,
    )
    done_large = done // every if every else 0
    small_batches = _batches(recipe, material, done - done_large, recipe.steps - done, workers)
    large_batches = _batches(large, material, done_large, recipe.steps - done, workers)
    for step in range(done + 1, recipe.steps + 1):
        yield next(large_batches if every and step % every == 0 else small_batches)


def _batches(
    recipe: FaceDetectRecipe, material: Material, done: int, steps: int, workers: int
) -> Iterator[tuple[Tensor, Labels]]:
    """Batches of fresh and earlier pictures; earlier ones are mirrored half of the time.

    Composing a picture takes about as long as learning from it: learning from it again later, with
    other light, costs little and forgets nothing.
    """
    # A forked process cannot end threads that OpenCV may have begun here: it would wait for ever.
    cv2.setNumThreads(1)
    loader = DataLoader(
        Compositions(material, recipe, done * recipe.fresh, steps * recipe.fresh),
        recipe.fresh,
        num_workers=workers,
        collate_fn=list,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
    rng = np.random.default_rng([recipe.seed, done])
    kept: list[Sample] = []
    room = STORED * 65_536 // recipe.side**2
    for fresh in loader:
        number = recipe.batch - recipe.fresh if kept else 0
        again = [kept[int(place)] for place in rng.integers(max(1, len(kept)), size=number)]
        yield collate(fresh + [mirror(each) if rng.random() < 0.5 else each for each in again])
        for sample in fresh:
            if len(kept) < room:
                kept.append(sample)
            else:
                kept[int(rng.integers(room))] = sample


def collate(samples: Sequence[Sample]) -> tuple[Tensor, Labels]:
    """Pictures (n, 3, s, s) uint8, and labels padded to the picture with the most."""
    images = torch.from_numpy(np.stack([each.image for each in samples])).permute(0, 3, 1, 2)
    most = max(len(each.faces) for each in samples)
    most_open = max(len(each.open) for each in samples)
    faces = torch.zeros(len(samples), most, 14)
    real = torch.zeros(len(samples), most, dtype=torch.bool)
    opened = torch.zeros(len(samples), max(1, most_open), 4)
    for place, each in enumerate(samples):
        faces[place, : len(each.faces)] = torch.from_numpy(each.faces)
        real[place, : len(each.faces)] = True
        opened[place, : len(each.open)] = torch.from_numpy(each.open)
    return images, Labels(faces, real, opened)


def _to(labels: Labels, device: str) -> Labels:
    return Labels(labels.faces.to(device), labels.real.to(device), labels.open.to(device))


def _jitter(images: Tensor) -> Tensor:
    """uint8 to [0, 1], each picture a little lighter or darker, with a little more contrast."""
    x = images.float() / 255
    shape = (len(x), 1, 1, 1)
    gain = torch.empty(shape, device=x.device).uniform_(0.8, 1.2)
    lift = torch.empty(shape, device=x.device).uniform_(-0.06, 0.06)
    return (x * gain + lift).clamp(0, 1)
