"""Running speech for negatives: plain sentences put together from what people say near a door."""

from __future__ import annotations

import numpy as np

_OPENINGS = ("can you", "please", "I want to", "we have to", "did you", "they will", "let us",
             "she said we could", "do not", "somebody should", "I forgot to", "he used to",
             "you never", "why would anyone", "it is time to", "remember to", "I am going to")  # fmt: skip
_VERBS = ("open", "close", "find", "bring", "carry", "paint", "clean", "lock", "check", "answer",
          "repair", "move", "watch", "sell", "borrow", "return", "cover", "test", "expect", "follow",
          "connect", "collect", "update", "remove", "cook", "wash", "count", "visit", "measure")  # fmt: skip
_OBJECTS = ("the kitchen window", "a cup of coffee", "the front door", "my old camera", "the letters",
            "a package from the post office", "the electric car", "your next lecture", "the actors",
            "the community garden", "a complete list", "the television", "some fresh bread",
            "the active volcano", "their accurate map", "a lexicon", "the extra chairs", "the relaxed cat",
            "our company dinner", "the commuter train", "an activity for the children", "the battery",
            "a cultivated field", "the new neighbours", "an election poster", "the competition")  # fmt: skip
_ENDS = ("before noon", "tomorrow morning", "again", "with your brother", "in the living room",
         "on the way home", "if it rains", "at seven thirty", "as fast as possible", "for a while",
         "next to the station", "without a key", "and then call me back", "after the concert",
         "because it is late", "", "", "")  # fmt: skip


def sentence(rng: np.random.Generator) -> str:
    """A sentence of five to fifteen words that contains no wake word."""
    parts = (_OPENINGS, _VERBS, _OBJECTS, _ENDS)
    words = " ".join(str(rng.choice(part)) for part in parts).strip()
    return words[0].upper() + words[1:] + str(rng.choice([".", ".", "?", "!"]))
