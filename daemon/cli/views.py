"""What `porter listen` shows while it listens."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import click
import numpy as np
import numpy.typing as npt

from daemon.audio.detector import Detection
from daemon.audio.features import STEP_SECONDS
from daemon.cards import WakeWord

Array = npt.NDArray[np.float32]

HELD_STEPS = 8
"""Steps for which a peak stays visible."""
PLAIN_STEPS = 25
"""Steps in a line where nothing can be redrawn: two seconds."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of sound and what the models made of it."""

    pcm: Array
    """(steps * 1280,); overwritten by the next block."""
    probabilities: Array
    """(steps, words)."""
    detections: list[Detection]


class View(Protocol):
    """Something that shows one block after the other."""

    def show(self, block: Block) -> None:
        """Show the next block."""

    def finish(self, padding: int) -> None:
        """The sound has ended; its last `padding` samples were added silence."""


class JsonSteps:
    """A JSON line for each step: its end in seconds, the probability of each word, detections."""

    def __init__(self, words: list[WakeWord]) -> None:
        self._words = [word.word for word in words]
        self._step = 0

    def show(self, block: Block) -> None:
        """Print a line for each step."""
        heard: dict[int, list[str]] = {}
        for found in block.detections:
            heard.setdefault(round(found.decided / STEP_SECONDS), []).append(found.word.word)
        for row in block.probabilities.tolist():
            self._step += 1
            line = {
                "time": round(self._step * STEP_SECONDS, 2),
                "probability": {w: round(p, 6) for w, p in zip(self._words, row)},
                "detected": heard.get(self._step, []),
            }
            click.echo(json.dumps(line, ensure_ascii=False))

    def finish(self, padding: int) -> None:
        """Nothing is left to print."""


class Meter:
    """A line for each word, redrawn in place: a bar with the threshold in it, and a count."""

    def __init__(self, words: list[WakeWord]) -> None:
        self._words = words
        self._name = max(len(word.word) for word in words)
        self._held = np.zeros((HELD_STEPS, len(words)), np.float32)
        self._heard: Counter[str] = Counter()
        self._drawn = False

    def show(self, block: Block) -> None:
        """Draw the lines anew."""
        self._heard.update(found.word.word for found in block.detections)
        self._held = np.concatenate([self._held, block.probabilities])[-HELD_STEPS:]
        lines = [
            self._line(word, now, peak)
            for word, now, peak in zip(self._words, block.probabilities.max(0), self._held.max(0))
        ]
        up = f"\x1b[{len(lines)}A" if self._drawn else ""
        click.echo(up + "".join(f"\r{line}\x1b[K\n" for line in lines), nl=False)
        self._drawn = True

    def finish(self, padding: int) -> None:
        """The last lines stay."""

    def _line(self, word: WakeWord, now: float, peak: float) -> str:
        width = max(10, min(60, shutil.get_terminal_size().columns - self._name - 22))
        bar = ["█" if (i + 0.5) / width < now else "·" for i in range(width)]
        bar[min(width - 1, int(word.threshold * width))] = "│"
        colour = "green" if peak >= word.threshold else None
        text = click.style("".join(bar), fg=colour)
        return f"{word.word:<{self._name}} {text} {peak:.2f}  heard {self._heard[word.word]}"


class PlainMeter:
    """A line every two seconds with the highest probability of each word, for a log or a pipe."""

    def __init__(self, words: list[WakeWord]) -> None:
        self._words = [word.word for word in words]
        self._peak = np.zeros(len(words), np.float32)
        self._step = self._since = 0

    def show(self, block: Block) -> None:
        """Print detections, and the peaks of the last two seconds."""
        for found in block.detections:
            click.echo(
                f"{found.decided:8.2f} s  {found.word.word}: detected, "
                f"probability {found.probability:.2f}, from {found.onset:.2f} to {found.end:.2f} s"
            )
        for row in block.probabilities:
            self._peak = np.maximum(self._peak, row)
            self._step += 1
            self._since += 1
            if self._since == PLAIN_STEPS:
                self._print()

    def finish(self, padding: int) -> None:
        """Print what is left."""
        if self._since:
            self._print()

    def _print(self) -> None:
        peaks = ", ".join(f"{word} {peak:.2f}" for word, peak in zip(self._words, self._peak))
        click.echo(f"{self._step * STEP_SECONDS:8.2f} s  {peaks}")
        self._peak = np.zeros_like(self._peak)
        self._since = 0


def meter(words: list[WakeWord]) -> View:
    """A meter that suits standard output."""
    return Meter(words) if sys.stdout.isatty() else PlainMeter(words)
