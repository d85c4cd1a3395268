"""Where training starts: the directions in which words differ most and voices least.

Linear discriminant analysis (Fisher, 1936) over single steps, pooled over all places in a word:
within-class covariance of the same step of the same word said by others, between-class covariance
of the words' means. Whitening by the former is the within-class covariance normalisation of Hatch
et al., "Within-class covariance normalization for SVM-based speaker recognition" (ICSLP 2006).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from export.wordembed.examples import Examples

Array = npt.NDArray[np.float32]

SHRINKAGE = 0.2
"""Share of the mean variance that is added to every direction before whitening."""


def discriminant(examples: Examples, features: int) -> tuple[Array, Array]:
    """The projection (width, features) and the centre (width,) of hypercolumns.

    Args:
        examples: words, each said several times.
        features: how many directions to keep.
    """
    windows = examples.cut(examples.clips, examples.steps + 1).astype(np.float64)
    centre = windows.mean((0, 1))
    size = windows.shape[2]
    within, spoken, means = np.zeros((size, size)), 0, []
    for word in np.unique(examples.words):
        own = windows[examples.words == word]
        means.append(own.mean(0))
        if len(own) > 1:
            rest = (own - own.mean(0)).reshape(-1, size)
            within += rest.T @ rest * len(own) / (len(own) - 1)
            spoken += len(rest)
    within /= max(1, spoken)
    between = np.cov(np.concatenate(means).T)
    shrunk = within + SHRINKAGE * np.trace(within) / size * np.eye(size)
    values, vectors = np.linalg.eigh(shrunk)
    whitening = (vectors * values**-0.5) @ vectors.T
    _, directions = np.linalg.eigh(whitening @ between @ whitening)
    return (whitening @ directions[:, -features:]).astype(np.float32), centre.astype(np.float32)
