"""How much of the speech teacher's accuracy the trunk keeps, under the same head.

    python -m bench.trunk_kept --bank ~/.cache/porter/wake/NAME/learn --word computer

Two heads learn from the same clips of a bank that `porter-export wake` has mixed: one listens to
the trunk, the other to the teacher. Both are measured on the same real recordings; so is what a
second look would bring: the teacher, twice as large, has the last word when the trunk's head fires
at a loose threshold.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import torch

from bench.common import ROOT, json_option, need, plain_errors, shared_option, show, table
from bench.wake_accuracy import WORDS, recordings
from daemon.audio.decision import Rule
from daemon.audio.features import FRAME, HOP, WINDOW, log_mel
from daemon.audio.second_look import LENGTH
from export.data.manifests import Audio
from export.data.mixing import Databases
from export.trunk.model import RECEPTIVE_FRAMES, Trunk
from export.trunk.teacher import Scale, SpeechTeacher
from export.trunk.train import load
from export.wake.bank import Bank, Heard
from export.wake.calibrate import REFRACTORY, SMOOTHING
from export.wake.conditions import Condition
from export.wake.evaluate import Evaluation, measure
from export.wake.model import Committee
from export.wake.train import HeadRecipe, train

PAST = WINDOW - FRAME + (RECEPTIVE_FRAMES - HOP // FRAME) * FRAME
"""Samples before a hop that its embedding hears."""
ALLOWED = (0, 1, 3)
"""False accepts at the points shown."""
LOOSE = 30
"""False accepts of the trunk's head alone at the threshold from which the teacher is asked."""
LOOKS_BACK = LENGTH // HOP
"""Steps of the two seconds that the daemon keeps for a second look."""


class TeacherStream:
    """The teacher's embeddings of a stream, brought to mean 0 and deviation 1."""

    def __init__(self, teacher: SpeechTeacher, scale: Scale) -> None:
        self._teacher, self._scale = teacher, scale
        self.reset()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._past = np.zeros(PAST, np.float32)

    def __call__(self, pcm: Audio) -> Audio:
        """(1280 k,) samples that follow the ones before, to (k, 96)."""
        samples = np.concatenate([self._past, pcm])
        self._past = samples[-PAST:]
        embeddings = torch.from_numpy(self._teacher(log_mel(samples)))
        result: Audio = self._scale.standard(embeddings).numpy()
        return result


class TrunkStream:
    """The trunk's embeddings of a stream."""

    def __init__(self, trunk: Trunk) -> None:
        self._trunk = trunk
        self.reset()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._state = self._trunk.initial_state()

    def __call__(self, pcm: Audio) -> Audio:
        """(1280 k,) samples that follow the ones before, to (k, 96)."""
        with torch.inference_mode():
            samples = torch.from_numpy(pcm.astype(np.float32))[None]
            embeddings, self._state = self._trunk.stream(samples, self._state)
        result: Audio = embeddings[0].numpy()
        return result


class HeadScorer:
    """A head on a stream of embeddings."""

    def __init__(self, stream: TeacherStream | TrunkStream, head: Committee) -> None:
        self._stream, self._head = stream, head
        self.reset()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._stream.reset()
        self._state = self._head.initial_state()

    def process(self, pcm: Audio) -> Audio:
        """(1280 k,) samples that follow the ones before, to (k,) probabilities of the word."""
        with torch.inference_mode():
            embeddings = torch.from_numpy(self._stream(pcm))[None]
            logits, self._state = self._head.stream(embeddings, self._state)
        result: Audio = torch.sigmoid(logits)[0].numpy()
        return result


class SecondLook:
    """The larger network's surest answer of the last two seconds, if the small one fires."""

    def __init__(self, small: HeadScorer, large: HeadScorer, loose: float) -> None:
        self._small, self._large, self._loose = small, large, loose
        self.reset()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._small.reset()
        self._large.reset()
        self._past = np.zeros(LOOKS_BACK - 1, np.float32)

    def process(self, pcm: Audio) -> Audio:
        """(1280 k,) samples that follow the ones before, to (k,) probabilities of the word."""
        answers = np.concatenate([self._past, self._large.process(pcm)])
        self._past = answers[1 - LOOKS_BACK :]
        surest = np.lib.stride_tricks.sliding_window_view(answers, LOOKS_BACK).max(-1)
        return np.where(self._small.process(pcm) >= self._loose, surest, 0).astype(np.float32)


@click.command()
@click.option(
    "--bank",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder `learn` of a run of porter-export wake.",
)
@click.option(
    "--bank-word",
    "bank_words",
    multiple=True,
    default=("activate", "computer", "alexa"),
    show_default=True,
    help="The words of that run, in their order.",
)
@click.option("--word", type=click.Choice(list(WORDS)), default="computer", show_default=True)
@click.option("--clips", default=4_000, show_default=True, help="Of the bank, to learn from.")
@click.option(
    "--trunk",
    "trunk_path",
    type=click.Path(exists=True, path_type=Path),
    default=ROOT / "models/trunk.pt",
    help="[default: the one that ships]",
)
@shared_option
@json_option
def main(
    bank: Path,
    bank_words: tuple[str, ...],
    word: str,
    clips: int,
    trunk_path: Path,
    shared: Path,
    as_json: bool,
) -> None:
    """Misses under the same head: on the teacher's embeddings, and on the trunk's."""
    with plain_errors():
        path = need(shared / "teachers/speech_embedding.onnx", "the speech teacher")
        column, trunk = bank_words.index(word), load(trunk_path)
        mixed = Bank(bank, clips, 0, lambda: Databases({}, [], []))
        heard = mixed.hear(trunk)
        shards = [mixed.path(shard) for shard in mixed.shards]
        # Forked from a process in which torch has threads, workers could hang.
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
            parts = list(processes.map(_heard_by_teacher, [path] * len(shards), shards))
        taught = torch.from_numpy(np.concatenate(parts))
        scale = Scale.of(taught.flatten(0, 1))
        standard = scale.standard(taught).numpy().astype(np.float16)
        large = HeadScorer(
            TeacherStream(SpeechTeacher(path), scale),
            _learn(Heard(standard, heard.labels), column, word),
        )
        small = HeadScorer(TrunkStream(trunk), _learn(heard, column, word))
        teacher, student = (_measure(each, word, shared) for each in (large, small))
        both = SecondLook(small, large, student.allowing(LOOSE).threshold)
        measured = {
            "teacher": teacher,
            "trunk": student,
            "trunk, with the teacher's second look": _measure(both, word, shared),
        }
    points = {
        name: {count: evaluation.allowing(count) for count in ALLOWED}
        for name, evaluation in measured.items()
    }
    facts = {name: {n: asdict(point) for n, point in of.items()} for name, of in points.items()}
    rows = [
        [name, *(f"{100 * point.misses.value:.1f} %" for point in of.values())]
        for name, of in points.items()
    ]
    header = ["embeddings", *(f"misses at <= {count} false accepts" for count in ALLOWED)]
    title = f"{word}: {clips} clips, {teacher.negative_hours:.2f} h of negatives"
    show(facts, f"{title}\n{table(header, rows)}", as_json)


def _heard_by_teacher(path: Path, shard: Path) -> Audio:
    """A shard's clips as the teacher hears them, each from silence: (clips, 125, 96)."""
    teacher = SpeechTeacher(path)
    with np.load(shard) as stored:
        samples = stored["samples"].astype(np.float32) / 32_768
    silence = np.zeros(PAST, np.float32)
    return np.stack([teacher(log_mel(np.concatenate([silence, clip]))) for clip in samples])


def _learn(heard: Heard, column: int, word: str) -> Committee:
    with TemporaryDirectory() as folder:
        return train(HeadRecipe(), heard, column, Path(folder), word)


def _measure(scorer: HeadScorer | SecondLook, word: str, shared: Path) -> Evaluation:
    audio = need(shared / "data/audio", "the shared recordings")
    rule = Rule(0.5, SMOOTHING, REFRACTORY)
    return measure(scorer, rule, *recordings(word, audio), Condition())


if __name__ == "__main__":
    main()
