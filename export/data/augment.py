"""What rooms, microphones and codecs do to a voice, so that a model trained on synthesis survives.

Every function takes and returns float32 samples at 16 kHz and draws from the generator it is given.
"""

from __future__ import annotations

import io
import os
from functools import cache

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr
from scipy import signal

from daemon.audio.features import SAMPLE_RATE
from export.data.cache import cache_folder

Audio = npt.NDArray[np.float32]
Generator = np.random.Generator

ROOMS = 240
"""Simulated rooms in the bank."""


def active_level(samples: Audio) -> float:
    """RMS over the louder half of 20 ms blocks: the level of the speech, not of its pauses."""
    block = SAMPLE_RATE // 50
    count = max(1, len(samples) // block)
    power = np.square(samples[: count * block]).reshape(count, -1).mean(1)
    loud = np.sort(power)[count // 2 :]
    return float(np.sqrt(loud.mean())) + 1e-9


def voice(samples: Audio, rng: Generator) -> Audio:
    """Another speaker: tempo and pitch by resampling, sometimes formants and pitch apart."""
    if rng.random() < 0.12:
        samples = shift_voice(
            samples,
            pitch=float(np.exp(rng.uniform(-0.25, 0.25))),
            formants=float(np.exp(rng.uniform(-0.14, 0.14))),
        )
    if rng.random() < 0.7:
        ratio = float(np.exp(rng.uniform(-0.16, 0.16)))
        samples = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE * ratio, quality="LQ")
    return samples


def shift_voice(samples: Audio, pitch: float, formants: float) -> Audio:
    """Scale fundamental and formants apart (WORLD vocoder: Morise et al., 2016).

    Args:
        samples: (n,).
        pitch: factor on the fundamental frequency.
        formants: factor on the frequencies of the spectral envelope; above 1 a smaller head.
    """
    import pyworld

    sound = samples.astype(np.float64)
    fundamental, times = pyworld.dio(sound, SAMPLE_RATE, frame_period=10.0)
    envelope = pyworld.cheaptrick(sound, fundamental, times, SAMPLE_RATE)
    noise = pyworld.d4c(sound, fundamental, times, SAMPLE_RATE)
    bins = np.arange(envelope.shape[1])
    source = np.clip(bins / formants, 0, bins[-1])
    low = source.astype(int)
    high, part = np.minimum(low + 1, bins[-1]), source - low
    envelope = envelope[:, low] * (1 - part) + envelope[:, high] * part
    shifted = pyworld.synthesize(
        fundamental * pitch, np.ascontiguousarray(envelope), noise, SAMPLE_RATE, 10.0
    )
    return np.asarray(shifted[: len(samples)], np.float32)


def equalise(samples: Audio, rng: Generator) -> Audio:
    """A microphone's colour: one or two resonances, a tilt, sometimes a telephone's band."""
    sections = []
    for _ in range(int(rng.integers(1, 3))):
        centre = float(np.exp(rng.uniform(np.log(120), np.log(6_000))))
        sections.append(
            _peak(centre, q=float(rng.uniform(0.4, 2.0)), gain_db=float(rng.normal(0, 6)))
        )
    if rng.random() < 0.25:
        low = float(rng.uniform(80, 400))
        sections.append(signal.butter(2, low, "highpass", fs=SAMPLE_RATE, output="sos"))
    if rng.random() < 0.3:
        high = float(rng.uniform(2_800, 7_500))
        sections.append(signal.butter(4, high, "lowpass", fs=SAMPLE_RATE, output="sos"))
    return np.asarray(signal.sosfilt(np.concatenate(sections), samples), np.float32)


def _peak(centre: float, q: float, gain_db: float) -> npt.NDArray[np.float64]:
    """Peaking equaliser section (R. Bristow-Johnson, Audio EQ Cookbook), as (1, 6)."""
    gain = 10 ** (gain_db / 40)
    omega = 2 * np.pi * centre / SAMPLE_RATE
    alpha = np.sin(omega) / (2 * q)
    numerator = [1 + alpha * gain, -2 * np.cos(omega), 1 - alpha * gain]
    denominator = [1 + alpha / gain, -2 * np.cos(omega), 1 - alpha / gain]
    section: npt.NDArray[np.float64] = np.array([numerator + denominator]) / denominator[0]
    return section


def reverberate(samples: Audio, rng: Generator) -> Audio:
    """A room from the bank; the direct sound stays where it was, so that labels stay true."""
    bank = room_bank()
    response = bank[int(rng.integers(len(bank)))]
    return np.asarray(signal.oaconvolve(samples, response), np.float32)


@cache
def room_bank() -> list[Audio]:
    """Impulse responses (n,) of simulated rooms, near and far, direct sound first; kept on disk."""
    path = cache_folder() / f"rooms-{ROOMS}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(partial, *_simulate_rooms())
        partial.replace(path)
    with np.load(path) as rooms:
        return [rooms[name] for name in rooms.files]


def _simulate_rooms() -> list[Audio]:
    import pyroomacoustics

    rng = np.random.default_rng(5)
    responses: list[Audio] = []
    while len(responses) < ROOMS:
        size = rng.uniform([2.5, 2.5, 2.3], [9, 7, 3.5])
        # Sabine's formula has no solution for a long decay in a small room: draw again.
        try:
            absorption, order = pyroomacoustics.inverse_sabine(float(rng.uniform(0.15, 0.8)), size)
        except ValueError:
            continue
        room = pyroomacoustics.ShoeBox(
            size,
            fs=SAMPLE_RATE,
            max_order=min(order, 17),
            materials=pyroomacoustics.Material(absorption),
        )
        microphone = rng.uniform([0.3, 0.3, 0.5], size - [0.3, 0.3, 0.5])
        speaker = rng.uniform([0.3, 0.3, 1.0], size - [0.3, 0.3, 0.4])
        if np.linalg.norm(microphone - speaker) < 0.25:
            continue
        room.add_source(speaker)
        room.add_microphone(microphone)
        room.compute_rir()
        response = np.asarray(room.rir[0][0], np.float32)
        direct = int(np.abs(response).argmax())
        response = response[max(0, direct - 8) : direct + SAMPLE_RATE]
        responses.append(response / np.sqrt(np.square(response[:80]).sum()))
    return responses


def transmit(samples: Audio, rng: Generator) -> Audio:
    """Through a codec: telephone mu-law at 8 kHz, or Opus or MP3 as a network camera would."""
    kind = rng.random()
    if kind < 0.3:
        narrow = soxr.resample(samples, SAMPLE_RATE, 8_000, quality="LQ")
        return _coded(narrow, 8_000, "WAV", "ULAW", len(samples))
    if kind < 0.7:
        return _coded(samples, SAMPLE_RATE, "OGG", "OPUS", len(samples))
    return _coded(samples, SAMPLE_RATE, "MP3", "MPEG_LAYER_III", len(samples))


def _coded(samples: Audio, rate: int, container: str, codec: str, length: int) -> Audio:
    buffer = io.BytesIO()
    sf.write(buffer, np.clip(samples, -1, 1), rate, format=container, subtype=codec)
    buffer.seek(0)
    decoded, rate = sf.read(buffer, dtype="float32")
    if rate != SAMPLE_RATE:
        decoded = soxr.resample(decoded, rate, SAMPLE_RATE, quality="LQ")
    return np.resize(decoded, length) if len(decoded) < length else decoded[:length]


def coloured_noise(length: int, rng: Generator) -> Audio:
    """Noise (n,) between white and brown at RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    slope = rng.uniform(0.0, 1.0)
    spectrum *= np.maximum(np.arange(len(spectrum)), 10.0) ** -slope
    noise = np.fft.irfft(spectrum, length).astype(np.float32)
    return noise / (float(noise.std()) + 1e-9)
