"""Hours of sound in which nobody says the wake word, made on the fly and never stored.

Speech and words of held-out recordings and of synthetic voices, prompts, music and noise, mixed as
training clips are: rooms, microphones, codecs, -5 to 25 dB SNR. The same seed gives the same hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from daemon.errors import SourceError
from export.data import pools
from export.data.cache import cache_folder
from export.data.casting import cast, pronunciation
from export.data.databases import Recordings, containing, telephone_prompts
from export.data.mixing import CLIP, Databases, mix
from export.data.pools import Pool
from export.data.sentences import sentence
from export.data.speech import Audio, EngineMissing, SpeechCache, Utterance

CLIP_SECONDS = CLIP / 16_000
SEED = 7_000
"""Seeds from here on draw voices, sentences and excerpts that no recipe draws."""
NEURAL = 100
"""Neural utterances of each other wake word."""
OTHER_WORDS = ("computer", "alexa", "activate", "hello", "porter", "open", "computing", "election",
               "motivate", "captivate", "active", "actor", "elevate", "electric")  # fmt: skip


def held_out_sound(word: str, shared: Path | None, utterances: int, seed: int = SEED) -> Databases:
    """What the hours are mixed from.

    Args:
        word: the wake word, which nothing may contain.
        shared: folder of recordings (only split `test` is used), or None.
        utterances: fresh sentences and words by the quick speech engines; made once, then cached,
            as are a few by neural voices.
        seed: of everything drawn; from :data:`SEED` on, nothing of it was learnt from, but for the
            pieces of music and the telephone prompts that Debian's packages bring, of which no part
            is kept apart.

    Raises:
        SourceError: the neural voices are not installed.
    """
    cache = SpeechCache(cache_folder() / "speech")
    root = shared / "data/audio" if shared and (shared / "data/audio").is_dir() else None
    recordings = Recordings(root, ("test",))
    negatives = recordings.negatives(containing([word]))
    synthetic = (
        (3.0, _synthetic(word, cache, utterances, seed)),
        (1.0, _neural(word, cache, seed)),
    )
    negatives += [(share, pool) for share, pool in synthetic if pool.sounds]
    try:
        negatives += [(0.7, pool) for _, pool in telephone_prompts(seed)]
    except FileNotFoundError as error:
        raise SourceError("ffmpeg is not installed; it decodes the recorded prompts") from error
    return Databases({}, negatives, recordings.backgrounds(seed, 60.0))


def _synthetic(word: str, cache: SpeechCache, count: int, seed: int) -> Pool:
    """Fresh sentences and words by engines that are many times faster than real time."""
    rng, pool = np.random.default_rng(seed), Pool()
    target = "".join(pronunciation(word))
    texts = [sentence(rng) if rng.random() < 0.7 else str(rng.choice(OTHER_WORDS))
             for _ in range(count)]  # fmt: skip
    engines = ["espeak", "espeak", "flite"]
    chosen: list[Utterance] = []
    for number, text in enumerate(texts):
        if not _says(text, target):
            chosen += cast(text.rstrip(".?!"), engines[number % 3], 1, seed + number)
    try:
        pool.add(pools.spoken(chosen, cache))
    except EngineMissing:
        return Pool()
    return pool


def _neural(word: str, cache: SpeechCache, seed: int) -> Pool:
    """Fresh utterances of other wake words by the voices that training has most of its from."""
    others = [other for other in ("computer", "alexa", "activate") if other != word]
    pool = Pool()
    try:
        spoken = [each for other in others for each in cast(other, "kokoro", NEURAL, seed)]
        pool.add(pools.spoken(spoken, cache))
    except EngineMissing as error:
        raise SourceError(str(error)) from error
    return pool


def _says(text: str, target: str) -> bool:
    """Whether the words of a text sound out the target somewhere within one of them."""
    for each in text.lower().split():
        try:
            if target in "".join(pronunciation(each.strip(".,?!"))):
                return True
        except KeyError:
            continue
    return False


def clips(
    data: Databases, hours: float, seed: int = SEED, processes: int = 1, progress: bool = True
) -> Iterator[Audio]:
    """Consecutive parts (160000,) of the stream, the same for any number of processes."""
    count = round(hours * 3600 / CLIP_SECONDS)
    bar = tqdm(total=count, desc=f"{hours:g} h", unit="clip", disable=not progress)
    with bar, ExitStack() as stack:
        made: Iterator[Audio] = (_clip(data, seed, number) for number in range(count))
        if processes > 1:
            # Forked, so that the sounds to mix are shared and not copied.
            pool = stack.enter_context(get_context("fork").Pool(processes, _share, (data, seed)))
            made = pool.imap(_shared_clip, range(count), chunksize=6)
        for clip in made:
            bar.update()
            yield clip


def _clip(data: Databases, seed: int, number: int) -> Audio:
    return mix(data, np.random.default_rng([seed, number])).samples


_shared: list[tuple[Databases, int]] = []


def _share(data: Databases, seed: int) -> None:
    _shared[:] = [(data, seed)]


def _shared_clip(number: int) -> Audio:
    data, seed = _shared[0]
    return _clip(data, seed, number)


def contents(data: Databases) -> str:
    """What the sound is mixed from, for a report."""
    said = sum(pool.seconds for _, pool in data.negatives) / 3600
    heard = sum(pool.seconds for _, pool in data.backgrounds) / 3600
    return f"mixed from {said:.2f} h of speech and words and {heard:.2f} h of noise and music"
