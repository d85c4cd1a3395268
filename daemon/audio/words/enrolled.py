"""The enrolled words of a running daemon: which ones, decided how, on whose trunk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.audio.words.cards import WordEncoderCard
from daemon.audio.words.encoder import open_word_encoder
from daemon.audio.words.listener import WordListener
from daemon.audio.words.store import Word, open_store, shown
from daemon.cards import WakeCard, WakeWord
from daemon.errors import ModelError, WordError

if TYPE_CHECKING:
    from daemon.config import EnrolledConfig

log = logging.getLogger(__name__)

SMOOTHING = 1
"""Steps over which a score is averaged: a window of a second is smooth by itself."""
REFRACTORY = 1.0
DELAY = 0.1
"""Median seconds from the end of a word to the crossing of the threshold."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Enrolled words, ready to be listened for."""

    card: WordEncoderCard
    words: list[WakeWord]
    """How each is decided."""
    listener: WordListener
    host: WakeCard
    """The wake model whose trunk they listen to."""

    def on(self, card: WakeCard) -> Enrolled | None:
        """Themselves, for the wake model that is their host."""
        return self if card is self.host else None


def open_enrolled(
    wanted: EnrolledConfig, cards: Sequence[WakeCard], providers: list[str], threads: int = 1
) -> Enrolled | None:
    """Load the enrolled words and the network that compares them; None if there are none.

    Args:
        wanted: what is configured.
        cards: of the wake models.
        providers: execution providers in the order of preference.
        threads: of the processor, for one run.

    Raises:
        ModelError: the network is missing or damaged, or was trained on another trunk than any of
            the wake models has.
        WordError: a word has the name of a trained one.
    """
    if not wanted.enabled:
        return None
    words, damaged = open_store().read()
    for each in damaged:
        log.warning("%s; it is not listened for", each.message)
    if not words:
        return None
    encoder = open_word_encoder(wanted.encoder, providers, threads)
    host = find_host(encoder.card, cards)
    check_names(words, cards)
    present = [word for word in words if word.encoder == encoder.card.id]
    for word in words:
        if word not in present:
            log.warning(
                "%s: enrolled with %s, the encoder is now %s: not listened for; enrol it again: "
                "porter words enroll %s RECORDING...",
                word.name,
                word.encoder,
                encoder.card.id,
                shown(word.name),
            )
    present = [word for word in present if _is_whole(word, encoder.card.dimension)]
    for name in wanted.words:
        if name not in [word.name for word in words]:
            log.warning("wake.enrolled.words.%s: no such word is enrolled", name)
    if not present:
        return None
    return Enrolled(
        encoder.card,
        [_decided(word, wanted) for word in present],
        WordListener(encoder, present),
        host,
    )


def is_needed(wanted: EnrolledConfig, words: Sequence[Word]) -> bool:
    """Whether the network that compares words must be there: for words, or because it is named."""
    return wanted.enabled and bool(words or "encoder" in wanted.model_fields_set)


def find_host(card: WordEncoderCard, cards: Sequence[WakeCard]) -> WakeCard:
    """The wake model that has the trunk of the network.

    Raises:
        ModelError: none has.
    """
    for each in cards:
        if each.trunk == card.trunk:
            return each
    have = ", ".join(f"{each.name} has {each.trunk or 'none that it names'}" for each in cards)
    raise ModelError(
        f"{card.path}: compares words on trunk {card.trunk}, but {have}; train it again on that "
        "trunk (porter-export wordembed), or set wake.enrolled.enabled: false"
    )


def check_names(words: Sequence[Word], cards: Sequence[WakeCard]) -> None:
    """Whether the enrolled words have names of their own.

    Raises:
        WordError: one has the name of a trained word.
    """
    trained = {word.word.casefold(): card.name for card in cards for word in card.words}
    for word in words:
        if word.name.casefold() in trained:
            raise WordError(
                f"{word.name}: enrolled, and a word of the model {trained[word.name.casefold()]}, "
                f"too; keep one: porter words remove {shown(word.name)}"
            )


def _is_whole(word: Word, dimension: int) -> bool:
    try:
        word.vectors(dimension)
    except WordError as error:
        log.warning("%s; it is not listened for", error)
        return False
    return True


def _decided(word: Word, wanted: EnrolledConfig) -> WakeWord:
    decided = WakeWord(
        word=word.name,
        threshold=word.threshold,
        smoothing=SMOOTHING,
        refractory=REFRACTORY,
        duration=word.duration,
        delay=DELAY,
    )
    override = wanted.words.get(word.name)
    return (
        decided.model_copy(update=override.model_dump(exclude_none=True)) if override else decided
    )
