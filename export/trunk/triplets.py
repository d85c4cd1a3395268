"""Shapes the trunk's embedding with triplets: one word by different voices near, others far.

The trunk goes on learning from its teacher meanwhile, on mixtures half of which lie in steady
noise, so that it does not forget the rest of speech. Words that are tested are not among those it
sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from daemon.audio.features import FRAME, HOP, SAMPLE_RATE, WINDOW, log_mel
from export.course import Course, Pace
from export.data import augment
from export.data.mixing import LABEL_STEPS, Databases, mix, pick
from export.data.voices import Voices
from export.embedding.losses import squared_distances, triplet
from export.trunk.model import RECEPTIVE_FRAMES, Trunk
from export.trunk.teacher import Scale, SpeechTeacher
from export.trunk.train import Mixtures, explained_variance

SAMPLES = (RECEPTIVE_FRAMES - 1) * FRAME + WINDOW + (LABEL_STEPS - 1) * HOP
"""Of a word's clip: as many as the steps hear at which a head shall fire."""
END = SAMPLES - (LABEL_STEPS - 1) * HOP - SAMPLE_RATE // 50
"""Where a word ends at the latest: the first step has then heard all of it."""


@dataclass(frozen=True)
class ShapingRecipe:
    """Everything that shapes the last stage of the trunk's training."""

    steps: int = 1_000
    words: int = 16
    """Of a batch."""
    voices: int = 4
    """That say each."""
    weight: float = 1.0
    """Of the triplet loss; that of the distillation is 1."""
    margin: float = 0.3
    mixtures: int = 4
    """10 s mixtures of a batch, for the distillation."""
    noisy: float = 0.5
    """Share of the mixtures that lie in steady noise at 0 to 15 dB."""
    checked: int = 48
    """Mixtures that the teacher's scale and the explained variance are measured on, each."""
    rate: float = 3e-4
    """Peak learning rate (one cycle, AdamW)."""
    seed: int = 0
    workers: int = 1
    precision: str = "float32"
    """Of the convolutions while learning."""


class Batches(Dataset[tuple[Tensor, Tensor, Tensor, Tensor]]):
    """One step's food: mixtures and the teacher's embeddings of them, words and their labels."""

    def __init__(
        self,
        recipe: ShapingRecipe,
        data: Databases,
        said: Mapping[str, Voices],
        teacher: SpeechTeacher,
    ) -> None:
        self.recipe, self.data, self.teacher = recipe, data, teacher
        self.said = [voices for voices in said.values() if len(voices) >= recipe.voices]

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([self.recipe.seed, 3, index])
        mixtures = [self._mixture(rng) for _ in range(self.recipe.mixtures)]
        levels, target = (torch.from_numpy(np.stack(part)) for part in zip(*mixtures))
        chosen = rng.choice(len(self.said), self.recipe.words, replace=False)
        sounds = [s for word in chosen for s in self.said[word].draw(self.recipe.voices, rng)]
        words = np.stack(
            [
                heard(sound, sounds[int(rng.integers(len(sounds)))], self.data, rng)
                for sound in sounds
            ]
        )
        labels = torch.arange(len(chosen)).repeat_interleave(self.recipe.voices)
        return levels, target, torch.from_numpy(words), labels

    def _mixture(self, rng: np.random.Generator) -> tuple[Any, Any]:
        samples = mix(self.data, rng).samples
        if rng.random() < self.recipe.noisy:
            samples = in_noise(samples, rng)
        levels = log_mel(samples)
        return levels, self.teacher(levels)


def in_noise(samples: augment.Audio, rng: np.random.Generator) -> augment.Audio:
    """Steady coloured noise at 0 to 15 dB below the speech."""
    level = augment.active_level(samples) * 10 ** (-rng.uniform(0, 15) / 20)
    return samples + np.float32(level) * augment.coloured_noise(len(samples), rng)


def heard(
    sound: augment.Audio, other: augment.Audio, data: Databases, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Levels (108, 32) of a word as a microphone hears it, often right after another word."""
    samples = np.zeros(SAMPLES, np.float32)
    end = END - int(rng.integers(HOP))
    distant, coloured = rng.random() < 0.55, rng.random() < 0.7
    spoken = [augment.voice(sound, rng)] + [other] * bool(rng.random() < 0.5)
    for voice in spoken:
        start = end - len(voice)
        if distant:
            voice = augment.reverberate(voice, rng)
        if coloured:
            voice = augment.equalise(voice, rng)
        voice = voice[max(0, -start) : SAMPLES - start]
        if len(voice):
            level = 10 ** (rng.normal(0, 3) / 20) / augment.active_level(voice)
            samples[max(0, start) : max(0, start) + len(voice)] += voice * np.float32(level)
        end = start - int(rng.uniform(0, 0.2) * SAMPLE_RATE)
    if data.backgrounds and rng.random() < 0.5:
        noise = pick(data.backgrounds, rng).stretch(SAMPLES, rng)
        snr = rng.uniform(0, 30)
        level = augment.active_level(samples) / augment.active_level(noise) * 10 ** (-snr / 20)
        samples = samples + noise * np.float32(level)
    else:
        samples = in_noise(samples, rng)
    gain = 10 ** (rng.uniform(-40, -14) / 20)
    floor = 10 ** (rng.uniform(-85, -60) / 20)
    noisy = samples * np.float32(gain) + floor * rng.standard_normal(SAMPLES).astype(np.float32)
    return log_mel(np.clip(noisy, -1, 1).astype(np.float32))


def word_vectors(trunk: Trunk, levels: Tensor) -> Tensor:
    """(n, 108, 32) levels of words to their mean embeddings (n, 96), brought to length 1.

    The mean is over the steps at which a head shall fire.
    """
    embeddings = trunk.columns(levels.transpose(1, 2)[:, None])
    return nn.functional.normalize(embeddings.float().mean(1))


@dataclass(frozen=True)
class Material:
    """What a trunk is shaped with, and what the result is looked at on."""

    mixtures: Databases
    said: Mapping[str, Voices]
    """Words and who says them; those that too few say are left out."""
    checking: Databases
    """What the explained variance is measured on."""
    kept: Mapping[str, Voices]
    """Words that are not learnt from."""


def shape(
    recipe: ShapingRecipe,
    trunk: Trunk,
    distilled: Mapping[str, Any],
    material: Material,
    teacher: SpeechTeacher,
    folder: Path,
) -> Trunk:
    """Train a distilled trunk on, or resume; writes a checkpoint and a log into a folder.

    Args:
        recipe: how.
        trunk: is changed in place.
        distilled: the recipe that it was distilled by.
        material: to learn from.
        teacher: gives the embeddings of mixtures.
        folder: of this run, where `trunk.pt` and `trunk.jsonl` are kept.
    """
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Batch norm keeps the statistics of the distillation: those of single words are not a stream's.
    trunk = trunk.to(device).eval()
    nn.utils.convert_conv2d_weight_memory_format(trunk, torch.channels_last)
    count = recipe.checked
    start = Mixtures(material.mixtures, teacher, count, recipe.seed + 2).first(count)
    scale = Scale.of(torch.cat([target for _, target in start]))
    held_out = Mixtures(material.checking, teacher, count, recipe.seed + 1).first(count)
    neighbours = Neighbours(material.kept, material.checking, recipe.voices, recipe.seed)
    optimiser = torch.optim.AdamW(trunk.parameters(), recipe.rate, weight_decay=1e-3)
    pace = Pace(recipe.steps, rise=0.1, clip=1.0, every=50, seed=recipe.seed)
    whole = dict(distilled) | {"shaping": asdict(recipe)}

    def measure() -> dict[str, float]:
        explained = explained_variance(trunk, held_out, scale)
        return {"explained": explained, "nearest_is_same_word": neighbours.same(trunk)}

    course = Course(trunk, optimiser, pace, folder / "trunk.pt", whole, measure)
    if not course.done:
        course.keep()
    batches = Batches(recipe, material.mixtures, material.said, teacher)
    rest = torch.utils.data.Subset(batches, range(course.done, recipe.steps))
    loader = DataLoader(rest, None, num_workers=recipe.workers)
    precision = getattr(torch, recipe.precision)
    for levels, target, words, labels in course.follow(loader):
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            embedded = trunk.columns(levels.transpose(1, 2)[:, None].to(device))
            vectors = word_vectors(trunk, words.to(device))
        taught = nn.functional.mse_loss(embedded.float(), scale.standard(target).to(device))
        apart = triplet(vectors, labels.to(device), recipe.margin)
        course.learn(
            taught + recipe.weight * apart,
            loss=float(taught.detach()),
            triplet=float(apart.detach()),
        )
    return trunk.eval()


class Neighbours:
    """Words in noise, to see whether one word by two voices lies nearer than two words."""

    def __init__(self, said: Mapping[str, Voices], data: Databases, voices: int, seed: int) -> None:
        """Draw `voices` voices of every word that as many say, over backgrounds of `data`."""
        rng = np.random.default_rng([seed, 4])
        chosen = [each for each in said.values() if len(each) >= voices]
        sounds = [sound for each in chosen for sound in each.draw(voices, rng)]
        others = rng.permutation(len(sounds))
        levels = [heard(s, sounds[o], data, rng) for s, o in zip(sounds, others, strict=True)]
        self.levels = torch.from_numpy(np.stack(levels))
        self.labels = torch.arange(len(chosen)).repeat_interleave(voices)

    @torch.inference_mode()
    def same(self, trunk: Trunk) -> float:
        """Share of the words whose nearest neighbour is the same word by another voice."""
        device = next(trunk.parameters()).device
        vectors = word_vectors(trunk, self.levels.to(device)).cpu()
        distances = squared_distances(vectors, vectors).fill_diagonal_(torch.inf)
        return float((self.labels[distances.argmin(1)] == self.labels).float().mean())
