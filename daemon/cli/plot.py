"""The picture of `porter listen --plot`: waveform, spectrogram and probability over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.audio.detector import Detection
from daemon.audio.features import (
    FRAME,
    HOP,
    MEL_BANDS,
    SAMPLE_RATE,
    STEP_SECONDS,
    WINDOW,
    log_mel,
)
from daemon.cards import WakeWord
from daemon.cli.figures import save
from daemon.cli.views import Block

Array = npt.NDArray[np.float32]

LONGEST_SECONDS = 600
"""Sound that a picture shows; of more, the last ten minutes."""
_PIXELS = 3_000


class Picture:
    """Collects the sound and what the models made of it, and draws it at the end."""

    def __init__(self, words: list[WakeWord], path: Path) -> None:
        self._words = words
        self._path = path
        self._sound: list[Array] = []
        self._probabilities: list[Array] = []
        self._detections: list[Detection] = []

    def show(self, block: Block) -> None:
        """Keep the block."""
        self._sound.append(block.pcm.copy())
        self._probabilities.append(block.probabilities.copy())
        self._detections += block.detections

    def finish(self, padding: int) -> None:
        """Draw.

        Raises:
            OutputError: the picture cannot be written.
        """
        if not self._sound:
            return
        sound = np.concatenate(self._sound)
        probabilities = np.concatenate(self._probabilities)
        skipped = max(0, len(probabilities) - round(LONGEST_SECONDS / STEP_SECONDS))
        kept = sound[skipped * HOP : len(sound) - padding]
        figure = _draw(
            kept, probabilities[skipped:], self._words, self._detections, skipped * STEP_SECONDS
        )
        save(figure, self._path, "--plot", dpi=120)


def _draw(
    sound: Array,
    probabilities: Array,
    words: list[WakeWord],
    detections: list[Detection],
    start: float,
) -> Any:
    from matplotlib.figure import Figure

    end = start + len(sound) / SAMPLE_RATE
    figure = Figure(figsize=(12, 7), layout="constrained")
    wave, mel, probability = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1.4, 1.2])
    low, high, times = _envelope(sound)
    wave.fill_between(start + times, low, high, color="0.35", linewidth=0.4)
    wave.set(ylabel="sample", ylim=(-1.02, 1.02) if np.abs(sound).max() > 0.5 else None)
    if len(sound) >= WINDOW:
        levels = log_mel(sound)
        extent = (start, start + len(levels) * FRAME / SAMPLE_RATE, -0.5, MEL_BANDS - 0.5)
        mel.imshow(
            levels.T,
            origin="lower",
            aspect="auto",
            extent=extent,
            cmap="magma",
            interpolation="none",
        )
    mel.set(ylabel="mel band")
    steps = start + (np.arange(len(probabilities)) + 1) * STEP_SECONDS
    for index, word in enumerate(words):
        colour = f"C{index}"
        label = f"{word.word} (threshold {word.threshold:g})"
        probability.plot(steps, probabilities[:, index], color=colour, label=label, linewidth=1.2)
        probability.axhline(word.threshold, color=colour, linestyle=":", linewidth=1)
    names = [word.word for word in words]
    for found in detections:
        if found.decided < start:
            continue
        colour = f"C{names.index(found.word.word)}"
        for axis in (wave, mel, probability):
            axis.axvspan(found.onset, found.end, color=colour, alpha=0.18, linewidth=0)
            axis.axvline(found.decided, color=colour, linewidth=1)
        wave.annotate(
            found.word.word,
            (found.decided, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, 2),
            textcoords="offset points",
            color=colour,
            fontsize=8,
            annotation_clip=False,
        )
    probability.set(ylabel="probability", xlabel="seconds", ylim=(-0.02, 1.02), xlim=(start, end))
    probability.legend(loc="upper left", fontsize=8)
    return figure


def _envelope(sound: Array) -> tuple[Array, Array, npt.NDArray[np.float64]]:
    """Lowest and highest sample in each of at most 3,000 stretches, and where each begins."""
    width = max(1, len(sound) // _PIXELS)
    starts = np.arange(0, len(sound), width)
    return (
        np.minimum.reduceat(sound, starts),
        np.maximum.reduceat(sound, starts),
        starts / SAMPLE_RATE,
    )
