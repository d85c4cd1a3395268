"""Trains a detector for a stated time: the schedule follows the clock, not a number of steps."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from export.clock import Clock
from export.objects.augment import Augmentation, Batch, draw
from export.objects.imitate import Apprentice, Teacher, difference
from export.objects.material import Pictures, weights
from export.objects.model import VARIANTS, Backbone, MultiScale, SingleGrid, Widths, centres
from export.objects.multi_loss import multi_loss
from export.objects.rounding import round_numbers
from export.objects.v1_loss import v1_loss
from export.objects.yolox import Yolox
from export.squeezenet import SqueezeNet

SAVE_SECONDS = 60.0
"""From one writing of the weights to the next."""
UNFINISHED = ".part"
"""Ending of weights that are still learning, or whose training was cut off."""
EARLY = 0.6
"""Share of the time, the first, in which samples may be smaller."""
CALM = 0.2
"""Share of the time, the last, in which samples show one picture each, as in use."""


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes a training run."""

    variant: str = "multi"
    minutes: float = 60.0
    steps: int = 0
    """Ends after so many steps instead, if above 0."""
    batch: int = 64
    side: int = 320
    early_side: int = 0
    """Pixels of the sides of samples at first, if above 0: more of them are seen in the time."""
    rate: float = 2e-3
    """Peak learning rate (AdamW; up for a twentieth of the time, then down as a cosine)."""
    decay: float = 0.02
    smoothing: float = 0.9995
    """Of the mean of the weights over steps, which is what is kept."""
    imitation: float = 2.0
    """Weight of the difference to a teacher's features, with 1 for the detector's loss."""
    imitated: int = 1
    """Of so many samples one is shown to that teacher."""
    precision: str = "float32"
    """Of the convolutions while learning; `bfloat16` is faster on GPUs, and on processors that have
    it (AVX-512 BF16, AMX)."""
    widths: Widths = field(default_factory=Widths)
    augmentation: Augmentation = field(default_factory=Augmentation)
    rarity: float = 0.75
    """Power of a class's rarity with which its pictures are drawn more often: with a half the
    rarest kinds, bags and suitcases, were hardly learnt."""
    most_often: float = 8.0
    """Times that a picture with a rare class is drawn as often as others, at most."""
    rounded: float = 0.2
    """Share of the time, the last, in which numbers in a plain multi-scale network are rounded as
    its file rounds them."""
    seed: int = 0
    data: tuple[str, ...] = ()
    """What is learnt from, for the card."""
    before: dict[str, Any] | None = None
    """The recipe of the run that this one goes on from."""

    @property
    def steps_before(self) -> int:
        """Steps of the runs that this one goes on from, together."""
        steps, run = 0, self.before
        while run:
            steps, run = steps + run.get("steps_taken", 0), run.get("before")
        return steps


class Mean:
    """The exponential mean of a network's weights over its steps."""

    def __init__(self, network: nn.Module, smoothing: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._smoothing = smoothing
        self._steps = 0
        self._own = [
            each for each in self.network.state_dict().values() if each.is_floating_point()
        ]

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the weights of another step in."""
        self._steps += 1
        share = 1 - min(self._smoothing, (1 + self._steps) / (10 + self._steps))
        given = [each for each in network.state_dict().values() if each.is_floating_point()]
        torch._foreach_lerp_(self._own, given, share)


def train(
    recipe: Recipe,
    pictures: Pictures,
    folder: Path,
    backbone: Backbone | None = None,
    start: SingleGrid | MultiScale | None = None,
    imitated: Yolox | None = None,
) -> nn.Module:
    """Train; writes VARIANT.part every minute, VARIANT.pt at the end, and VARIANT.jsonl (log).

    Args:
        recipe: how.
        pictures: to learn from, on the CPU.
        folder: where weights and log go.
        backbone: to begin with, such as a warmed-up one; drawn by the seed if None.
        start: a whole network to go on from.
        imitated: whose features a multi-scale network shall have, too.

    Returns:
        The network with its mean weights, on the CPU, ready to run.
    """
    device = prepare(recipe.seed)
    network: nn.Module = VARIANTS[recipe.variant](recipe.widths)
    if backbone is not None:
        assert isinstance(network, SingleGrid | MultiScale)
        network.backbone.load_state_dict(backbone.state_dict())
    if start is not None:
        network.load_state_dict(start.state_dict())
    sides = {recipe.side, recipe.early_side or recipe.side}
    cells = {side: centres(side, side, device) for side in sides}
    pictures = pictures.to(device)
    log = folder / recipe.variant

    def loss(batch: Batch, predicted: Tensor) -> Tensor:
        if recipe.variant == "v1":
            return v1_loss(predicted.float(), batch)
        return multi_loss(predicted.float(), cells[batch.images.shape[-1]], batch)

    def save(mean: nn.Module, steps: int) -> None:
        save_weights(mean, recipe, log.with_suffix(UNFINISHED), steps)

    if imitated is not None and isinstance(network, MultiScale):
        teacher = Teacher(imitated, device, getattr(torch, recipe.precision))
        apprentice = Apprentice(network, recipe.widths.pyramid, teacher.channels(recipe.side))

        def loss_beside_the_teacher(batch: Batch, seen: tuple[Tensor, Sequence[Tensor]]) -> Tensor:
            codes, alike = seen
            part = slice(None, None, recipe.imitated)
            pairs = zip(alike, teacher.features(batch.images[part]), strict=True)
            apart = torch.stack([difference(own[part], other) for own, other in pairs]).mean()
            return loss(batch, codes) + recipe.imitation * apart

        def save_detector(mean: nn.Module, steps: int) -> None:
            assert isinstance(mean, Apprentice)
            save(mean.detector, steps)

        learnt = _learn(
            apprentice.to(device), recipe, pictures, loss_beside_the_teacher, save_detector, log
        )
        assert isinstance(learnt, Apprentice)
        learnt = learnt.detector
    else:
        learnt = _learn(network.to(device), recipe, pictures, loss, save, log)
    log.with_suffix(UNFINISHED).replace(log.with_suffix(".pt"))
    return learnt.cpu().eval()


def warm_up(recipe: Recipe, pictures: Pictures, teacher: SqueezeNet, target: Path) -> Backbone:
    """Teach a backbone what a classifier sees; writes it when it is done, and a log beside it.

    From its last map it shall give the classifier's answer (cross-entropy of all 1,000 classes),
    and from the map of stride 16 the classifier's last features.
    """
    device = prepare(recipe.seed)
    student = _Student(recipe.widths).to(device)
    teacher = teacher.to(device).eval()

    def loss(batch: Batch, predicted: tuple[Tensor, Tensor]) -> Tensor:
        with torch.no_grad(), _cast(recipe, device):
            features = teacher(batch.images.flip(1))[-1]
            logits = teacher.answer(features)
            rows, columns = predicted[0].shape[2:]
            features = nn.functional.adaptive_avg_pool2d(features, (rows, columns))
            features = features / features.square().mean((1, 2, 3), keepdim=True).sqrt().add(1e-6)
        answer = nn.functional.cross_entropy(predicted[1], logits.softmax(1))
        return answer + (predicted[0] - features).square().mean()

    def save(mean: nn.Module, steps: int) -> None:
        assert isinstance(mean, _Student)
        save_weights(mean.backbone, recipe, target.with_suffix(UNFINISHED), steps)

    mean = _learn(student, recipe, pictures.to(device), loss, save, target.with_suffix(""))
    assert isinstance(mean, _Student)
    target.with_suffix(UNFINISHED).replace(target)
    return mean.backbone.cpu().eval()


class _Student(nn.Module):
    """A backbone with what it needs to answer as a classifier."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.backbone = Backbone(widths)
        self.features = nn.Conv2d(widths.channels[3], 512, 1)
        self.answer = nn.Linear(widths.channels[4], 1000)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, at16, at32 = self.backbone(x)
        return self.features(at16).float(), self.answer(at32.mean((2, 3))).float()


def prepare(seed: int) -> torch.device:
    """Set the dice, and say where to compute."""
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def save_weights(network: nn.Module, recipe: Recipe, path: Path, steps: int) -> None:
    """Write weights (float16), recipe and steps taken, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    partial = path.with_suffix(".tmp")
    described = asdict(recipe) | {"steps_taken": steps}
    torch.save({"weights": state, "recipe": described}, partial)
    partial.replace(path)


def load_detector(path: Path) -> SingleGrid | MultiScale:
    """A detector as it was written."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    network = VARIANTS[saved["recipe"]["variant"]](Widths(**saved["recipe"]["widths"]))
    network.load_state_dict(saved["weights"])
    return network.eval()


def load_recipe(path: Path) -> dict[str, Any]:
    """How a network was trained, as it was written."""
    recipe: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)["recipe"]
    return recipe


def load_backbone(path: Path) -> Backbone:
    """A warmed-up backbone as it was written."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    network = Backbone(Widths(**saved["recipe"]["widths"]))
    network.load_state_dict(saved["weights"])
    return network.eval()


def _learn(
    network: nn.Module,
    recipe: Recipe,
    pictures: Pictures,
    loss: Callable[..., Tensor],
    save: Callable[[nn.Module, int], None],
    log: Path,
) -> nn.Module:
    device = pictures.images.device
    log.parent.mkdir(parents=True, exist_ok=True)
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    mean = Mean(network, recipe.smoothing)
    optimiser = torch.optim.AdamW(
        _groups(network, recipe.decay), recipe.rate, fused=device.type == "cuda"
    )
    clock = Clock(recipe.steps, None if recipe.steps else recipe.minutes)
    step, saved, running = 0, time.monotonic(), torch.zeros((), device=device)
    rounds = False

    def progress() -> float:
        return min(1.0, clock.share(step))

    network.train()
    with tqdm(desc=log.name, unit="step", mininterval=2) as bar:
        for batch in _batches(recipe, pictures, progress):
            for group in optimiser.param_groups:
                group["lr"] = _rate(progress(), recipe.rate)
            if not rounds and 1 - progress() < recipe.rounded:
                round_numbers(network)
                rounds = True
            x = batch.images.contiguous(memory_format=torch.channels_last)
            with _cast(recipe, device):
                predicted = network(x)
            off = loss(batch, predicted)
            optimiser.zero_grad()
            off.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            mean.update(network)
            running = torch.lerp(running, off.detach(), max(0.02, 1 / (step + 1)))
            step += 1
            bar.update()
            if time.monotonic() - saved > SAVE_SECONDS:
                saved = time.monotonic()
                save(mean.network, step)
                _note(log, step, progress(), running)
    save(mean.network, step)
    _note(log, step, progress(), running)
    return mean.network


def _cast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Where convolutions compute in the recipe's precision."""
    precision = getattr(torch, recipe.precision)
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def _rate(progress: float, peak: float) -> float:
    """Learning rate: up for a twentieth of the run, then down as a cosine."""
    rise = min(1.0, progress / 0.05 + 0.02)
    return peak * rise * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


def _batches(recipe: Recipe, pictures: Pictures, progress: Callable[[], float]) -> Iterator[Batch]:
    device = pictures.images.device
    # Going on with the same dice would draw the samples that were learnt from before once more.
    dice = torch.Generator(device).manual_seed(recipe.seed + recipe.steps_before)
    frequency = weights(pictures, recipe.rarity, recipe.most_often)
    calm = replace(recipe.augmentation, mosaic=0.0, smallest=0.7, largest=1.2)
    while (now := progress()) < 1:
        chosen = torch.multinomial(frequency, recipe.batch * 4, True, generator=dice)
        how = recipe.augmentation if now < 1 - CALM else calm
        side = recipe.early_side if recipe.early_side and now < EARLY else recipe.side
        yield draw(pictures, chosen.view(recipe.batch, 4), side, how, dice)


def _groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Weight decay for kernels, none for norms and biases."""
    return [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _note(log: Path, step: int, progress: float, running: Tensor) -> None:
    entry = {"step": step, "progress": round(progress, 3), "loss": running.item()}
    with log.with_suffix(".jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
