"""Mixed hours: the same seed gives the same sound, and nothing in it says the word."""

from __future__ import annotations

import numpy as np

from bench import stream
from export.data.casting import pronunciation
from export.data.mixing import Databases
from export.data.pools import Pool


def test_no_text_sounds_out_the_word() -> None:
    target = "".join(pronunciation("activate"))
    assert stream._says("please activate it", target)
    assert stream._says("Activated.", target)
    assert not stream._says("the active actor", target)


def test_a_seed_repeats_the_hours() -> None:
    rng = np.random.default_rng(0)
    speech, noise = Pool(), Pool()
    speech.add(rng.uniform(-0.5, 0.5, (4, 8_000)).astype(np.float32))
    noise.add(rng.uniform(-0.1, 0.1, (1, 200_000)).astype(np.float32))
    data = Databases({}, [(1.0, speech)], [(1.0, noise)])

    def first(seed: int, processes: int = 1) -> list[np.ndarray]:
        return list(stream.clips(data, 20 / 3600, seed, processes, progress=False))

    assert all(np.array_equal(a, b) for a, b in zip(first(1), first(1)))
    assert all(np.array_equal(a, b) for a, b in zip(first(1), first(1, processes=2)))
    assert not np.array_equal(first(1)[0], first(2)[0])
    one, other = first(1)
    assert not np.array_equal(one, other)
