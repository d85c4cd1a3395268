"""The ring gives every frame once, in order, or says that it was dropped."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.audio.ring import Ring
from daemon.audio.second_look import LENGTH, Recent

moves = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=80)


@given(moves, st.integers(1, 10), st.integers(1, 3))
def test_behaves_as_a_bounded_queue(
    steps: list[tuple[bool, int]], capacity: int, channels: int
) -> None:
    ring, model, number, dropped = Ring(capacity, channels), deque[float](), 0, 0
    for is_write, count in steps:
        if is_write:
            new = np.arange(number, number + count, dtype=np.float32)
            number += count
            fits = count <= capacity - len(model)
            assert ring.write(np.repeat(new[:, None], channels, axis=1)) == fits
            dropped += 0 if fits else count
            model.extend(new.tolist() if fits else [])
        else:
            out = np.full((count, channels), -1, np.float32)
            assert ring.read(out) == (count <= len(model))
            if count <= len(model):
                expected = [model.popleft() for _ in range(count)]
                assert out[:, 0].tolist() == out[:, -1].tolist() == expected
        assert (ring.available, ring.dropped) == (len(model), dropped)


def test_two_threads_lose_and_mix_up_nothing() -> None:
    ring, total, got = Ring(1_000), 200_000, []

    def write() -> None:
        sent = 0
        while sent < total:
            block = np.arange(sent, min(sent + 160, total), dtype=np.float32)[:, None]
            while ring.available + len(block) > 1_000:
                pass
            assert ring.write(block)
            sent += len(block)

    writer = threading.Thread(target=write)
    writer.start()
    out = np.zeros((80, 1), np.float32)
    while len(got) < total // 80:
        if ring.read(out):
            got.append(out[:, 0].copy())
    writer.join()
    np.testing.assert_array_equal(np.concatenate(got), np.arange(total))
    assert ring.dropped == 0


@given(st.lists(st.integers(1, 3 * LENGTH // 2), max_size=8))
def test_recent_sound_is_always_in_one_piece(sizes: list[int]) -> None:
    recent, heard = Recent(), np.zeros(LENGTH, np.float32)
    number = 1
    for size in sizes:
        new = (np.arange(number, number + size) % 65_536).astype(np.float32)
        number += size
        recent.append(new)
        heard = np.concatenate([heard, new])[-LENGTH:]
        np.testing.assert_array_equal(recent.view(), heard)
