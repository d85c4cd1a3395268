"""Checks of the enrolled words and of the network that compares them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from daemon.errors import ModelError, PorterError

if TYPE_CHECKING:
    from daemon.audio.words.encoder import WordEncoder
    from daemon.audio.words.store import Word
    from daemon.cards import WakeCard
    from daemon.config import Config
    from daemon.doctor import Check

GROUP = "enrolled words"
STEP_LIMIT_MS = 20.0
"""A step lasts 80 ms, and the wake model needs its part of that."""
_TRIAL_STEPS = 25


def word_checks(config: Config) -> Iterator[Check]:
    """The words that are enrolled, and the network on an empty step."""
    from daemon.audio.words.encoder import open_word_encoder
    from daemon.audio.words.enrolled import check_names, find_host, is_needed
    from daemon.audio.words.store import open_store
    from daemon.doctor import Check
    from daemon.inference import choose_providers

    wanted = config.wake.enrolled
    if not wanted.enabled:
        yield Check(GROUP, "words", None, "switched off (wake.enrolled.enabled)")
        return
    words, damaged = open_store().read()
    for each in damaged:
        fix = "enrol the word again, or remove the file"
        yield Check(GROUP, each.name, False, each.message.removesuffix(f"; {fix}"), fix)
    if not words:
        yield Check(GROUP, "words", None, "no word is enrolled (porter words enroll)")
    if not is_needed(wanted, words):
        return
    try:
        providers = choose_providers(config.inference.provider)
        encoder = open_word_encoder(wanted.encoder, providers, config.inference.threads)
        cards = _wake_cards(config)
        if len(cards) == len(config.wake.models):
            find_host(encoder.card, cards)
            check_names(words, cards)
    except PorterError as error:
        fix = "copy the model and its card again, or train it: docs/train.md"
        if not isinstance(error, ModelError):
            fix = "correct what it names"
        yield Check(GROUP, "encoder", False, " ".join(str(error).split()), fix)
        return
    yield from _trial(encoder)
    for word in words:
        yield _word(word, encoder)


def _wake_cards(config: Config) -> Sequence[WakeCard]:
    """Those that are whole; the checks of the models say what is wrong with the others."""
    from daemon.cards import load_wake_card

    found = []
    for each in config.wake.models:
        try:
            found.append(load_wake_card(each.model))
        except ModelError:
            continue
    return found


def _trial(encoder: WordEncoder) -> Iterator[Check]:
    from daemon.doctor import Check

    card = encoder.card
    yield Check(GROUP, "encoder", True, f"{card.name} {card.version}, {card.licence}")
    encoder.run()
    began = time.perf_counter()
    for _ in range(_TRIAL_STEPS):
        encoder.run()
    milliseconds = 1000 * (time.perf_counter() - began) / _TRIAL_STEPS
    fits = milliseconds < STEP_LIMIT_MS
    advice = None if fits else "this machine is too slow for it, or too busy"
    yield Check(GROUP, "runs", fits, f"{milliseconds:.2f} ms for a step of 80 ms", advice)


def _word(word: Word, encoder: WordEncoder) -> Check:
    from daemon.audio.words.store import shown
    from daemon.doctor import Check

    again = f"enrol it again: porter words enroll {shown(word.name)} RECORDING..."
    if word.encoder != encoder.card.id:
        detail = f"enrolled with {word.encoder}, the encoder is now {encoder.card.id}"
        return Check(GROUP, word.name, False, detail, again)
    try:
        count = len(word.vectors(encoder.card.dimension))
    except PorterError as error:
        return Check(GROUP, word.name, False, str(error), again)
    return Check(GROUP, word.name, True, f"takes: {count}, threshold {word.threshold:.3f}")
