"""The whole way to the network that compares words: speak, mix, listen, learn, export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from daemon.audio.words.enrolment import AFTER_END
from daemon.audio.words.speech import find_speech
from export import convert
from export.data import pools, vocabulary
from export.data.cache import cache_folder
from export.data.casting import cast
from export.data.databases import Recordings
from export.data.mixing import Databases
from export.data.pools import Pool
from export.data.sentences import sentence
from export.data.speech import SpeechCache, Utterance
from export.keys import key
from export.trunk.model import Trunk
from export.wake.bank import Bank, fingerprint
from export.wordembed.calibrate import Calibration, calibrate
from export.wordembed.examples import Examples, find_examples
from export.wordembed.model import WordEncoder
from export.wordembed.package import export_encoder
from export.wordembed.train import EncoderRecipe, train

NAME, VERSION = "wordembed", "1"
REAL = ("amelia", "hey_savant")
"""Words that many speakers said for a microphone: learnt beside the synthetic ones."""
KEPT = ("athena", "hey_chatterbox", "hey_computer")
"""The same, kept to choose by; and one that holds a tested word. None of them is heard."""
SPOKEN_DB = 12.0
"""Decibels above the noise that a real recording must have to be learnt from."""
WORDS_IN_CLIP = 30
"""Asked for in a clip of ten seconds: about five fit in whole."""
COHORT = 300
"""Other sounds that a likeness is measured against."""


@dataclass(frozen=True)
class WordRecipe:
    """Everything that shapes the training."""

    neural: int = 4
    """Neural utterances of each word; as many by formant voices and a third by unit voices."""
    formant: int = 6
    clips: int = 4_000
    calibration_clips: int = 250
    encoder: EncoderRecipe = field(default_factory=EncoderRecipe)
    seed: int = 0
    quick: bool = False
    """Formant voices and few words: a smoke test, not a model."""


@dataclass(frozen=True)
class Sources:
    """Where a run takes its recordings from and keeps its work."""

    data: Path | None
    """Folder of shared recordings; None: synthesis alone."""
    work: Path
    processes: int = 2


def quick(seed: int) -> WordRecipe:
    """The recipe of a smoke test: under a minute."""
    encoder = EncoderRecipe(steps=60, words=24, strangers=48, seed=seed)
    return WordRecipe(
        neural=0,
        formant=4,
        clips=250,
        calibration_clips=250,
        encoder=encoder,
        seed=seed,
        quick=True,
    )


def run(recipe: WordRecipe, sources: Sources, trunk: Trunk, out: Path) -> Path:
    """Train, calibrate and export; returns the card that was written."""
    work = sources.work / _key(recipe, sources)
    learning = _bank(recipe, sources, work / "learn", recipe.clips, check=False)
    checking = _bank(recipe, sources, work / "check", recipe.calibration_clips, check=True)
    for bank in (learning, checking):
        bank.render(sources.processes)
    examples = find_examples(learning.hear(trunk, columns=True), recipe.encoder.window)
    folder = work / fingerprint(trunk) / key(recipe.encoder, recipe.clips)
    encoder = train(recipe.encoder, examples, folder)
    cohort = choose_cohort(encoder, examples, recipe.seed)
    words = words_of(recipe, check=False)
    neighbours = said_by_all(encoder, examples, words)
    checks = find_examples(checking.hear(trunk, columns=True), recipe.encoder.window)
    found = calibrate(encoder, checks, cohort, recipe.seed)
    with convert.publishing(out) as made:
        card = _ship(recipe, sources, trunk, encoder, cohort, neighbours, examples, found, made)
    return out / card.name


def _bank(recipe: WordRecipe, sources: Sources, folder: Path, clips: int, check: bool) -> Bank:
    words = words_of(recipe, check)
    return Bank(
        folder,
        clips,
        recipe.seed + check,
        lambda: _databases(recipe, sources, words, check),
        WORDS_IN_CLIP,
    )


def words_of(recipe: WordRecipe, check: bool) -> list[str]:
    """The synthetic words of the recipe: to learn, or to choose by."""
    words = vocabulary.kept() if check else vocabulary.learnt()
    return words[: 12 if check else 40] if recipe.quick else words


def said(recipe: WordRecipe, word: str) -> list[Utterance]:
    """Who says a word."""
    return (
        cast(word, "kokoro", recipe.neural, recipe.seed)
        + cast(word, "espeak", recipe.formant, recipe.seed)
        + cast(word, "flite", recipe.formant // 3, recipe.seed)
    )


def choose_cohort(encoder: WordEncoder, examples: Examples, seed: int) -> npt.NDArray[np.float32]:
    """(300, dimension): what speech and noise without a word of the vocabulary look like."""
    rng = np.random.default_rng([seed, 300])
    drawn = rng.choice(len(examples.strangers), min(COHORT, len(examples.strangers)), replace=False)
    clips, steps = examples.strangers[drawn].T
    with torch.inference_mode():
        vectors = encoder(torch.from_numpy(examples.cut(clips, steps).astype(np.float32)))
    return np.asarray(vectors.numpy(), np.float32)


def said_by_all(
    encoder: WordEncoder, examples: Examples, words: Sequence[str]
) -> dict[str, npt.NDArray[np.float32]]:
    """Each word of the vocabulary that is in the mixtures: (dimension,), as all voices say it.

    The mean over its examples, each the mean over the steps that a template is made of.
    """
    found = {}
    last = examples.columns.shape[1] - 1
    for number in np.unique(examples.words[examples.words < len(words)]):
        own = examples.words == number
        clips, steps = examples.clips[own], examples.steps[own]
        total = np.zeros(encoder.dimension, np.float32)
        for shift in AFTER_END:
            windows = examples.cut(clips, np.minimum(steps + shift, last)).astype(np.float32)
            with torch.inference_mode():
                total += encoder(torch.from_numpy(windows)).numpy().sum(0)
        found[words[number]] = total / np.linalg.norm(total)
    return found


def _databases(
    recipe: WordRecipe, sources: Sources, words: Sequence[str], check: bool
) -> Databases:
    cache = SpeechCache(cache_folder() / "speech")
    utterances = [said(recipe, word) for word in words]
    # Once for all, so that what is missing is made by all processes together.
    list(pools.spoken([each for own in utterances for each in own], cache, sources.processes))
    positives = {}
    for word, own in zip(words, utterances, strict=True):
        positives[word] = Pool()
        positives[word].add(map(cache.get, own))
    if sources.data and not check:
        for label in _recorded(sources.data):
            positives[label] = Pool()
            positives[label].add(_real(sources.data, label))
    recordings = Recordings(sources.data, ("train",), calibration=check)
    negatives = recordings.negatives((*REAL, *KEPT))
    return Databases(
        positives,
        negatives or [(1.0, _sentences(cache, recipe.seed + check, sources.processes))],
        recordings.backgrounds(recipe.seed + check, 10.0 if recipe.quick else 30.0),
    )


def _recorded(data: Path) -> list[str]:
    """Of the words that many speakers may have said, those that are there."""
    known = {clip.label for clip in pools.clips(data, "negative_words", ("train",))}
    return [label for label in REAL if label in known]


def _real(data: Path, label: str) -> list[npt.NDArray[np.float32]]:
    """The word in each recording of a label, where it stands out well."""
    found = []
    others = {"athena", "amelia", "hey_savant", "hey_chatterbox", "hey_computer", "digits"} - {
        label
    }
    rest = (*others, "not_wake_words", "negatives")
    for sound in pools.recorded(data, "negative_words", ("train",), rest, calibration=False):
        speech = find_speech(sound)
        if speech and 0.3 < speech.seconds < 1.6 and speech.level_db - speech.noise_db > SPOKEN_DB:
            found.append(sound[speech.start : speech.end])
    return found


def _sentences(cache: SpeechCache, seed: int, processes: int) -> Pool:
    rng = np.random.default_rng([seed, 60])
    spoken = [cast(sentence(rng), "espeak", 1, index)[0] for index in range(60)]
    pool = Pool()
    pool.add(pools.spoken(spoken, cache, processes))
    return pool


def _ship(
    recipe: WordRecipe,
    sources: Sources,
    trunk: Trunk,
    encoder: WordEncoder,
    cohort: npt.NDArray[np.float32],
    neighbours: dict[str, npt.NDArray[np.float32]],
    examples: Examples,
    found: Calibration,
    out: Path,
) -> Path:
    path, beside = out / f"{NAME}.onnx", out / f"{NAME}.cohort.npy"
    probe = examples.cut(examples.clips[:64], examples.steps[:64]).astype(np.float32)
    parity = export_encoder(encoder, path, NAME, VERSION, fingerprint(trunk), probe)
    np.save(beside, cohort.astype(np.float16))
    words = out / f"{NAME}.words.npy"
    np.save(words, np.stack(list(neighbours.values())).astype(np.float16))
    learnt = len(words_of(recipe, check=False))
    return convert.save_card(
        path,
        {
            "kind": "word-encoder",
            "name": NAME,
            "version": VERSION,
            "file": path.name,
            "sha256": convert.sha256(path),
            "licence": "MIT for the weights; see data for what they were trained on",
            "summary": "Compares words: a second of the trunk's hypercolumns to a unit vector, for "
            "wake words from three recordings",
            "trunk": fingerprint(trunk),
            "window": encoder.window,
            "dimension": encoder.dimension,
            "cohort": {"file": beside.name, "sha256": convert.sha256(beside)},
            "neighbours": {
                "file": words.name,
                "sha256": convert.sha256(words),
                "words": list(neighbours),
            },
            "offset": found.offset,
            "slope": found.slope,
            "threshold": found.threshold,
            "unlike": found.unlike,
            "data": [
                f"{learnt} words, synthetic, each by {recipe.neural} voices of kokoro, "
                f"{recipe.formant} of espeak and {recipe.formant // 3} of flite",
                *(
                    [
                        f"real recordings of {', '.join(_recorded(sources.data)) or 'no word'} "
                        "(train split)",
                        f"negatives and backgrounds: recordings of {sources.data.name} (train "
                        "split); of each some are kept to calibrate on",
                    ]
                    if sources.data
                    else []
                ),
                f"{len(words_of(recipe, check=True))} other words to calibrate on; no recording "
                f"and no synthesis of {', '.join(vocabulary.TESTED)} among these words (what the "
                "trunk has heard, its card says)",
                "cohort: windows without a word, of the same mixtures",
                "neighbours: each word that was learnt, as all its voices say it",
            ],
            "recipe": json.loads(json.dumps(asdict(recipe))),
            "seed": recipe.seed,
            "figures": {
                "examples": len(examples.words),
                "parity": float(f"{parity:.2g}"),
                "calibration": found.figures,
            },
        },
    )


def _key(recipe: WordRecipe, sources: Sources) -> str:
    # A bank grows by whole shards, and serves any encoder and any trunk.
    after_the_bank = ("encoder", "clips", "calibration_clips")
    shaping = {name: value for name, value in vars(recipe).items() if name not in after_the_bank}
    return key(shaping, sources.data, pools.installed())
