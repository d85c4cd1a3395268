"""Windows to learn from: where in a bank of mixed clips which word has just ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.wake.bank import Heard

STRANGER = -1
"""Class of a window that no word of the vocabulary ends in."""
EARLIEST, LATEST = -1, 2
"""A window may end so many steps before or after the first step that has heard the whole word."""
BESIDE = 4
"""Steps around a word in which a window is neither the word nor a stranger."""


@dataclass(frozen=True)
class Examples:
    """Windows of a bank, named by clip and last step."""

    columns: npt.NDArray[np.float16]
    """(clips, 125, width): the trunk's hypercolumns."""
    clips: npt.NDArray[np.int64]
    """(n,) of each word that was said: the clip."""
    steps: npt.NDArray[np.int64]
    """(n,) the first step that has heard it whole."""
    words: npt.NDArray[np.int64]
    """(n,) which word."""
    strangers: npt.NDArray[np.int64]
    """(m, 2): clip and step of windows without a word."""
    window: int

    def cut(
        self, clips: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float16]:
        """Windows (n, window, width) that end with the given steps."""
        offsets = np.arange(1 - self.window, 1)
        windows: npt.NDArray[np.float16] = self.columns[clips[:, None], steps[:, None] + offsets]
        return windows


def find_examples(heard: Heard, window: int) -> Examples:
    """Every word that a bank's labels tell of, and every step that is far from all of them."""
    whole = heard.labels == 1
    first = whole & ~np.concatenate([np.zeros_like(whole[:, :1]), whole[:, :-1]], axis=1)
    clips, steps, words = np.nonzero(first)
    last = heard.labels.shape[1] - 1
    fits = (steps + EARLIEST >= window - 1) & (steps + LATEST <= last)
    near = np.zeros(heard.labels.shape[:2], bool)
    for offset in range(-BESIDE, BESIDE + 3):
        near[clips, np.clip(steps + offset, 0, last)] = True
    near[:, : window - 1] = True
    return Examples(
        heard.steps,
        clips[fits],
        steps[fits],
        words[fits],
        np.argwhere(~near),
        window,
    )
