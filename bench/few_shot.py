"""A wake word from three recordings: misses at one false accept, over many draws of the three.

    python -m bench.few_shot --local-wake FOLDER

Three recordings of one group of "computer" or "alexa" that pass the checks of `porter words
enroll` are enrolled; all others of the word are to be heard. False accepts are counted over all
negatives of the shared recordings, heard as one stream. A group is a source of the manifest: those
of one collection, made in the same kinds of rooms. The network never learnt these words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.common import json_option, need, plain_errors, shared_option, show, table
from bench.local_wake import SLIDE, LocalWake
from bench.wake_accuracy import WORDS, recordings
from daemon.audio.features import HOP, SAMPLE_RATE, STEP_SECONDS
from daemon.audio.wake import WakeModel, open_wake_model
from daemon.audio.words.encoder import WordEncoder, open_word_encoder
from daemon.audio.words.enrolled import REFRACTORY
from daemon.audio.words.enrolment import Enroller
from daemon.audio.words.takes import Recording, check
from daemon.cards import load_wake_card
from daemon.errors import SourceError
from daemon.inference import CPU
from export.data.manifests import Audio, Clip
from export.wake.conditions import Condition
from export.wake.scoring import firings, threshold_for

ENROLLED = 3
Series = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One system, over the draws from one group."""

    word: str
    group: str
    system: str
    draws: int
    everybody: float
    """Share of all other recordings of the word that is missed, at one false accept: mean."""
    spread: float
    """Its standard deviation over the draws."""
    worst: float
    same_group: float
    """The mean over recordings of the same group alone."""
    own_misses: float | None = None
    """At the threshold that enrolment chose: misses over everybody, and false accepts."""
    own_false_accepts: float | None = None


@click.command()
@click.option("--model", default="activate", show_default=True, help="The wake model that listens.")
@click.option("--encoder", default="wordembed", show_default=True, help="What compares words.")
@click.option("--word", "words", multiple=True, type=click.Choice(list(WORDS)))
@click.option("--draws", type=click.IntRange(1), default=20, show_default=True)
@click.option("--allowed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--local-wake",
    "peer",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of `pip install --target FOLDER local-wake`: measure it, too, as it installs.",
)
@click.option(
    "--peer-draws", type=click.IntRange(1), default=3, show_default=True, help="It takes long."
)
@click.option("--seed", default=0, show_default=True)
@shared_option
@json_option
def main(
    model: str,
    encoder: str,
    words: tuple[str, ...],
    draws: int,
    allowed: int,
    peer: Path | None,
    peer_draws: int,
    seed: int,
    shared: Path,
    as_json: bool,
) -> None:
    """Misses of words that were enrolled with three recordings, beside local-wake."""
    rows: list[Row] = []
    with plain_errors():
        audio = need(shared / "data/audio", "the shared recordings")
        bench = _Porter(model, encoder)
        other = LocalWake(peer) if peer else None
        for word in words or WORDS:
            positives, negatives = recordings(word, audio)
            sounds = {clip.name: clip.read() for clip in positives}
            ours = bench.hear(positives, negatives)
            theirs = _PeerEar(other, positives, negatives) if other else None
            for group in sorted({clip.source for clip in positives}):
                chosen = list(_draws(positives, sounds, group, draws, seed))
                same = np.array([clip.source == group for clip in positives])
                rows.append(_porter(bench, ours, word, group, chosen, same, allowed))
                if theirs:
                    part = chosen[:peer_draws]
                    rows.append(_peer(theirs, sounds, word, group, part, same, allowed))
    show({"rows": [asdict(row) for row in rows]}, _text(rows, allowed), as_json)


Draw = list[tuple[int, Recording]]
"""Places among the positives, and the recordings."""


def _draws(
    positives: Sequence[Clip], sounds: dict[str, Audio], group: str, draws: int, seed: int
) -> Iterator[Draw]:
    """Enrolments of three recordings of a group, among those that enrolment would accept."""
    fit: Draw = []
    for place, clip in enumerate(positives):
        if clip.source == group:
            taken = check(clip.name, sounds[clip.name])
            if isinstance(taken, Recording):
                fit.append((place, taken))
    if len(fit) < ENROLLED:
        raise SourceError(f"{group}: fewer than {ENROLLED} recordings pass the checks")
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        yield [fit[int(i)] for i in rng.choice(len(fit), ENROLLED, replace=False)]


@dataclass(frozen=True)
class _Vectors:
    """Everything as the encoder sees it, with the statistics that normalise it."""

    vectors: npt.NDArray[np.float16]
    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    cuts: npt.NDArray[np.int64]
    """Where each positive starts; the last is where the negatives do."""


class _Porter:
    def __init__(self, model: str, encoder: str) -> None:
        self.encoder: WordEncoder = open_word_encoder(encoder, [CPU])
        self.model: WakeModel = open_wake_model(load_wake_card(model), [CPU])
        self.enroller = Enroller(self.model, self.encoder)
        self.scale = self.encoder.scale()

    def hear(self, positives: Sequence[Clip], negatives: Sequence[Clip]) -> _Vectors:
        """Each positive alone, the negatives as one stream."""
        condition, parts = Condition(), []
        before = self.encoder.card.window - 1
        past = np.zeros((before, self.encoder.column.shape[1]), np.float32)
        clips = [*positives, *negatives]
        for number, clip in enumerate(tqdm(clips, desc="Porter", unit="clip", leave=False)):
            if number <= len(positives):
                self.model.reset()
                past = np.zeros_like(past)
            columns = self._columns(condition.surround(clip.read(), clip.name))
            whole = np.concatenate([past, columns])
            past = whole[-before:]
            parts.append(self.encoder.embed(whole).astype(np.float16))
        vectors = np.concatenate(parts)
        statistics = [
            self.scale.statistics(vectors[at : at + 20_000].astype(np.float32))
            for at in range(0, len(vectors), 20_000)
        ]
        mean, deviation = (np.concatenate(each) for each in zip(*statistics))
        cuts = np.cumsum([0, *map(len, parts[: len(positives)])])
        return _Vectors(vectors, mean, deviation, cuts)

    def _columns(self, pcm: Audio) -> Audio:
        parts = []
        for at in range(0, len(pcm), 64 * HOP):
            self.model.process(pcm[at : at + 64 * HOP])
            parts.append(self.model.columns.copy())
        return np.concatenate(parts)

    def scores(self, heard: _Vectors, templates: Audio) -> Series:
        """The score of every step, as the daemon's listener gives it."""
        mean, deviation = self.scale.statistics(templates)
        parts = []
        for at in range(0, len(heard.vectors), 20_000):
            part = slice(at, at + 20_000)
            similar = heard.vectors[part].astype(np.float32) @ templates.T
            seen = (similar - heard.mean[part, None]) / heard.deviation[part, None]
            alike = (seen + (similar - mean) / deviation) / 2
            parts.append(self.scale.score(alike.max(1)))
        return np.concatenate(parts).astype(np.float64)


def _porter(
    bench: _Porter,
    heard: _Vectors,
    word: str,
    group: str,
    draws: Sequence[Draw],
    same: npt.NDArray[np.bool_],
    allowed: int,
) -> Row:
    missed, near, own, false = [], [], [], []
    for draw in tqdm(draws, desc=f"{word}, {group}", leave=False):
        enrolled = bench.enroller.word(word, [bench.enroller.encode(each) for _, each in draw])
        scores = bench.scores(heard, enrolled.vectors(bench.encoder.card.dimension))
        stream = scores[heard.cuts[-1] :]
        peaks = np.maximum.reduceat(scores, heard.cuts[:-1])
        rest = _others(len(peaks), draw)
        misses = peaks < threshold_for(stream, REFRACTORY, allowed)
        missed.append(misses[rest].mean())
        near.append(misses[rest & same].mean())
        own.append((peaks < enrolled.threshold)[rest].mean())
        false.append(len(firings(stream, enrolled.threshold, REFRACTORY)))
    return _row(word, group, "Porter", missed, near, own, false)


class _PeerEar:
    """The peer's features of everything, made once."""

    def __init__(
        self, peer: LocalWake, positives: Sequence[Clip], negatives: Sequence[Clip]
    ) -> None:
        self.peer = peer
        condition = Condition()
        parts = []
        for clip in tqdm([*positives, *negatives], desc="local-wake", unit="clip", leave=False):
            # Each from silence: at the seams of the negatives its buffer holds one clip, not two.
            parts.append(peer.buffers(condition.surround(clip.read(), clip.name)))
        self.buffers = np.concatenate(parts).astype(np.float32)
        self.cuts = np.cumsum([0, *map(len, parts[: len(positives)])])


def _peer(
    ear: _PeerEar,
    sounds: dict[str, Audio],
    word: str,
    group: str,
    draws: Sequence[Draw],
    same: npt.NDArray[np.bool_],
    allowed: int,
) -> Row:
    missed, near = [], []
    # It forgets its two seconds after a detection; the pause is counted in its own steps.
    pause = 2 * SAMPLE_RATE / SLIDE * STEP_SECONDS
    for draw in tqdm(draws, desc=f"local-wake {word}, {group}", leave=False):
        references = [ear.peer.reference(sounds[each.source]) for _, each in draw]
        closeness = 1 - ear.peer.distances(ear.buffers, references)
        peaks = np.maximum.reduceat(closeness, ear.cuts[:-1])
        rest = _others(len(peaks), draw)
        misses = peaks < threshold_for(closeness[ear.cuts[-1] :], pause, allowed)
        missed.append(misses[rest].mean())
        near.append(misses[rest & same].mean())
    return _row(word, group, "local-wake", missed, near)


def _others(count: int, draw: Draw) -> npt.NDArray[np.bool_]:
    rest = np.ones(count, bool)
    rest[[place for place, _ in draw]] = False
    return rest


def _row(
    word: str,
    group: str,
    system: str,
    missed: Sequence[float],
    near: Sequence[float],
    own: Sequence[float] | None = None,
    false: Sequence[int] | None = None,
) -> Row:
    return Row(
        word,
        group,
        system,
        len(missed),
        float(np.mean(missed)),
        float(np.std(missed)),
        float(np.max(missed)),
        float(np.mean(near)),
        None if own is None else float(np.mean(own)),
        None if false is None else float(np.mean(false)),
    )


def _text(rows: Sequence[Row], allowed: int) -> str:
    header = [
        "word", "enrolled from", "system", "draws", f"misses at <= {allowed} FA", "worst draw",
        "same group", "own threshold: misses", "FA",
    ]  # fmt: skip
    cells: list[list[Any]] = []
    for row in rows:
        own = row.own_misses, row.own_false_accepts
        cells.append(
            [
                row.word,
                row.group,
                row.system,
                row.draws,
                f"{100 * row.everybody:.1f} % +- {100 * row.spread:.1f}",
                f"{100 * row.worst:.1f} %",
                f"{100 * row.same_group:.1f} %",
                "-" if own[0] is None else f"{100 * own[0]:.1f} %",
                "-" if own[1] is None else f"{own[1]:.1f}",
            ]
        )
    return table(header, cells)


if __name__ == "__main__":
    main()
