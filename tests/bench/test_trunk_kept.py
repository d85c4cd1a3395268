"""The streams that the trunk and its teacher are compared on."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch

from bench.trunk_kept import LOOKS_BACK, HeadScorer, SecondLook, TeacherStream, TrunkStream
from daemon.audio.features import HOP
from export.trunk.model import RECEPTIVE_FRAMES, Trunk
from export.trunk.teacher import Scale, SpeechTeacher


def windowed_mean(levels: np.ndarray) -> np.ndarray:
    """A network as wide and as slow as the teacher: (frames, 32) to (steps, 32)."""
    windows = np.lib.stride_tricks.sliding_window_view(levels, RECEPTIVE_FRAMES, axis=0)[::8]
    mean: np.ndarray = windows.mean(2)
    return mean


@pytest.mark.parametrize("kind", ["teacher", "trunk"])
def test_a_stream_in_pieces_is_the_stream_in_one(kind: str) -> None:
    torch.manual_seed(0)
    stream: TeacherStream | TrunkStream = (
        TeacherStream(
            cast(SpeechTeacher, windowed_mean),
            Scale(torch.full((32,), 3.0), torch.full((32,), 2.0)),
        )
        if kind == "teacher"
        else TrunkStream(Trunk().eval())
    )
    sound = np.random.default_rng(0).standard_normal(20 * HOP).astype(np.float32) * 0.1
    whole = stream(sound)
    stream.reset()
    pieces = [stream(sound[: 3 * HOP]), stream(sound[3 * HOP : 4 * HOP]), stream(sound[4 * HOP :])]
    assert len(whole) == 20
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-5)


class Told:
    """A head whose answers are known beforehand."""

    def __init__(self, answers: np.ndarray) -> None:
        self._answers = answers
        self.reset()

    def reset(self) -> None:
        self._at = 0

    def process(self, pcm: np.ndarray) -> np.ndarray:
        self._at += len(pcm) // HOP
        return self._answers[self._at - len(pcm) // HOP : self._at]


def test_a_second_look_answers_only_when_asked_and_for_the_last_two_seconds() -> None:
    small, large = np.zeros(100, np.float32), np.zeros(100, np.float32)
    small[[30, 50, 99]] = 0.5
    large[20], large[51] = 0.9, 0.8
    both = SecondLook(cast(HeadScorer, Told(small)), cast(HeadScorer, Told(large)), 0.4)
    sound = np.zeros(100 * HOP, np.float32)
    whole = both.process(sound)
    assert whole[30] == pytest.approx(0.9)
    assert whole[50] == 0, "what comes after is not known yet, and step 20 is too long ago"
    assert LOOKS_BACK <= 30
    assert whole.sum() == pytest.approx(0.9)
    both.reset()
    pieces = [both.process(sound[: 7 * HOP]), both.process(sound[7 * HOP :])]
    assert np.concatenate(pieces) == pytest.approx(whole)
