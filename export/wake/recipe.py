"""The whole way from a word to a model: speak, mix, listen, learn, calibrate, export, verify."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from daemon.audio.features import SAMPLE_RATE
from export import convert
from export.data import pools
from export.data.cache import cache_folder
from export.data.casting import cast
from export.data.databases import (
    FORMANT_RIVALS,
    Recordings,
    containing,
    synthetic_negatives,
    synthetic_positives,
    telephone_prompts,
)
from export.data.mixing import Databases, mix
from export.data.pools import Pool
from export.data.speech import SpeechCache, Utterance, trim
from export.keys import key
from export.trunk.model import Trunk
from export.wake.bank import Bank, fingerprint
from export.wake.calibrate import REFRACTORY, SMOOTHING, OperatingPoint, calibrate
from export.wake.model import Committee, WakeGraph
from export.wake.train import HeadRecipe, train

VERSION = "1"


@dataclass(frozen=True)
class WakeRecipe:
    """Everything that shapes the training of wake words."""

    words: tuple[str, ...]
    neural: int = 1_500
    """Neural voices that say each word; formant and unit voices come on top."""
    rivals: int = 600
    """Neural utterances of rival words and sentences; three times as many by formant voices."""
    clips: int = 16_000
    calibration_clips: int = 500
    false_accepts_per_hour: float = 10.0
    """Of calibration mixtures: an hour of them holds some two thousand rival and half words."""
    head: HeadRecipe = field(default_factory=HeadRecipe)
    seed: int = 0
    quick: bool = False
    """A few formant voices and minutes instead of hours: a smoke test, not a model."""


@dataclass(frozen=True)
class Sources:
    """Where a run takes its recordings from and keeps its work."""

    data: Path | None
    """Folder of shared recordings."""
    positives: Mapping[str, Path]
    """Folders of real recordings, by word."""
    hold_out: str | None
    """A speaker among them who is kept for a test."""
    work: Path
    trunk_taught_by: str
    """What the trunk learnt from, for the cards."""
    processes: int = 2
    terms: tuple[str, ...] = ()
    """Lines for the cards: sources of recordings and their terms."""


def quick(words: tuple[str, ...], seed: int) -> WakeRecipe:
    """The recipe of a smoke test: under three minutes on two cores."""
    return WakeRecipe(
        words,
        neural=0,
        rivals=0,
        clips=500,
        calibration_clips=250,
        # With so little learnt, a strict limit would leave a threshold that nothing reaches.
        false_accepts_per_hour=30.0,
        seed=seed,
        head=HeadRecipe(epochs=20, members=1, seed=seed),
        quick=True,
    )


def run(recipe: WakeRecipe, sources: Sources, trunk: Trunk, out: Path) -> list[Path]:
    """Train every word of a recipe; returns the cards that were written."""
    # What is wrong with it shows before hours of synthesis.
    pools.said_by(sources.positives, sources.hold_out)
    cache = SpeechCache(cache_folder() / "speech")
    work = sources.work / f"{'-'.join(recipe.words)}-{bank_key(recipe, sources)}"
    learning = Bank(
        work / "learn",
        recipe.clips,
        recipe.seed,
        lambda: _databases(recipe, sources, cache, calibration=False),
    )
    learning.render(sources.processes)
    checking = Bank(
        work / "calibrate",
        recipe.calibration_clips,
        recipe.seed + 1,
        lambda: _databases(recipe, sources, cache, calibration=True),
    )
    checking.render(sources.processes)
    heard, check = learning.hear(trunk), checking.hear(trunk)
    cards = []
    for column, word in enumerate(recipe.words):
        folder = work / fingerprint(trunk) / key(recipe.head, recipe.clips)
        head = train(recipe.head, heard, column, folder, word)
        probabilities = predict(head, check.steps)
        point = calibrate(probabilities, check.labels[:, :, column], recipe.false_accepts_per_hour)
        with convert.publishing(out) as made:
            card = _ship(recipe, sources, trunk, head, word, point, cache, made)
        cards.append(out / card.name)
    return cards


def predict(head: Committee, embeddings: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """(clips, steps, 96) embeddings to (clips, steps) probabilities, each clip from silence."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(embeddings), 100):
            part = torch.from_numpy(embeddings[start : start + 100]).float()
            state = head.initial_state(len(part))
            parts.append(torch.sigmoid(head.stream(part, state)[0]).numpy())
    return np.concatenate(parts)


def positives_of(recipe: WakeRecipe, word: str, calibration: bool) -> list[Utterance]:
    """Who says a word; none that is kept for calibration is learnt from."""
    if calibration:
        if recipe.quick:
            seed = recipe.seed + 500
            return cast(word, "espeak", 24, seed) + cast(word, "flite", 12, seed)
        return (
            cast(word, "kokoro", recipe.neural, recipe.seed)[-recipe.neural // 16 :]
            + cast(word, "espeak", 40, recipe.seed + 500)
            + cast(word, "flite", 10, 500)
        )
    if recipe.quick:
        everyone = cast(word, "espeak", 120, recipe.seed) + cast(word, "flite", 12, recipe.seed)
    else:
        everyone = synthetic_positives(word, recipe.neural, recipe.seed)
    kept = set(positives_of(recipe, word, True))
    return [utterance for utterance in everyone if utterance not in kept]


def negatives_of(recipe: WakeRecipe, calibration: bool) -> list[Utterance]:
    """Rival words and sentences, and who says them; none kept for calibration is learnt from."""
    drawn = _rivals(recipe, calibration)
    if calibration:
        return drawn
    kept = set(_rivals(recipe, True))
    return [utterance for utterance in drawn if utterance not in kept]


def _rivals(recipe: WakeRecipe, calibration: bool) -> list[Utterance]:
    seed = recipe.seed + 900 * calibration
    if recipe.quick:
        return synthetic_negatives(recipe.words, 0, 60, seed)
    formant = FORMANT_RIVALS * recipe.rivals
    spoken = synthetic_negatives(recipe.words, recipe.rivals, formant, seed)
    return [each for each in spoken if not calibration or each.engine != "kokoro"]


def _databases(
    recipe: WakeRecipe, sources: Sources, cache: SpeechCache, calibration: bool
) -> Databases:
    positives: dict[str, Pool] = {}
    recorded = pools.said_by(sources.positives, sources.hold_out)
    for word in recipe.words:
        positives[word] = Pool()
        spoken = positives_of(recipe, word, calibration)
        positives[word].add(pools.spoken(spoken, cache, sources.processes))
        if word in sources.positives and not calibration:
            real = [trim(clip.read()) for clip in recorded[word]]
            # Real recordings are few; repeated, they are a tenth of what is drawn.
            positives[word].add(real * max(1, len(spoken) // (9 * max(1, len(real)))))
    synthetic = Pool()
    spoken = negatives_of(recipe, calibration)
    synthetic.add(pools.spoken(spoken, cache, sources.processes))
    recordings = Recordings(sources.data, ("train",), calibration)
    negatives = [*recordings.negatives(containing(recipe.words)), (3.0, synthetic)]
    if not calibration:
        negatives += telephone_prompts(recipe.seed)
    return Databases(
        positives,
        negatives,
        recordings.backgrounds(recipe.seed + calibration, 10.0 if recipe.quick else 60.0),
    )


def _ship(
    recipe: WakeRecipe,
    sources: Sources,
    trunk: Trunk,
    head: Committee,
    word: str,
    point: OperatingPoint,
    cache: SpeechCache,
    out: Path,
) -> Path:
    graph = WakeGraph(trunk, [head])
    name = word.replace(" ", "_")
    path = out / f"{name}.onnx"
    convert.export_wake(graph, path, name, [word], VERSION)
    parity = convert.check_parity(graph, path, _probe(recipe, word, cache))
    lengths = [len(sound) for sound in pools.spoken(positives_of(recipe, word, True), cache)]
    words: Sequence[dict[str, Any]] = [
        {
            "word": word,
            "threshold": point.threshold,
            "smoothing": SMOOTHING,
            "refractory": REFRACTORY,
            "duration": round(float(np.median(lengths)) / SAMPLE_RATE, 2),
            "delay": point.delay,
        }
    ]
    return convert.write_card(
        path,
        name,
        VERSION,
        words,
        summary=f'Streaming wake word "{word}": shared speech trunk and a head for the word',
        licence="MIT for the weights; see data for what they were trained on",
        data=describe_data(recipe, sources, word),
        recipe=json.loads(json.dumps(asdict(recipe))) | {"trunk": fingerprint(trunk)},
        seed=recipe.seed,
        figures={
            "parity": convert.parity_figures(parity),
            "calibration": {key: round(value, 4) for key, value in asdict(point).items()},
        },
    )


def describe_data(recipe: WakeRecipe, sources: Sources, word: str) -> list[str]:
    """What a model was trained on, for its card."""
    engines: dict[str, int] = {}
    for utterance in positives_of(recipe, word, False):
        engines[utterance.engine] = engines.get(utterance.engine, 0) + 1
    spoken = ", ".join(f"{count} by {engine}" for engine, count in engines.items())
    said = [f"positives, synthetic: {spoken}"]
    if word in sources.positives:
        count = len(pools.said_by(sources.positives, sources.hold_out)[word])
        held = f", without {sources.hold_out}" if sources.hold_out else ""
        said.append(f"positives, real: {count} recordings of {sources.positives[word].name}{held}")
    rivals = len(negatives_of(recipe, False))
    said.append(f"negatives, synthetic: {rivals} rival words and sentences")
    recordings = Recordings(sources.data, ("train",), calibration=False)
    for folder, labels in recordings.told(containing(recipe.words)).items():
        kind = "backgrounds" if folder == "noise" else "negatives"
        counts = ", ".join(f"{count} {label}" for label, count in labels.items())
        said.append(f"{kind}, real, split train: {counts}")
    if pools.tunes():
        said.append("backgrounds: game music from Debian")
    return [*said, *sources.terms, f"trunk: {sources.trunk_taught_by}"]


def _probe(recipe: WakeRecipe, word: str, cache: SpeechCache) -> npt.NDArray[np.float32]:
    """A clip with the word in it, for the parity check."""
    pool = Pool()
    pool.add(pools.spoken(positives_of(recipe, word, True)[-5:], cache))
    data = Databases({word: pool}, [(1.0, pool)], [])
    return mix(data, np.random.default_rng(recipe.seed)).samples


def bank_key(recipe: WakeRecipe, sources: Sources) -> str:
    """Of the mixtures. A bank grows by whole shards: more clips go on from what is there."""
    after_the_bank = ("head", "false_accepts_per_hour", "clips", "calibration_clips")
    shaping = {name: value for name, value in vars(recipe).items() if name not in after_the_bank}
    return key(shaping, sources.data, sources.positives, sources.hold_out, pools.installed())
