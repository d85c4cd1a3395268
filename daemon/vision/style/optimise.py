"""Changes a picture step by step until its loss is low; keeps the best, also when interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from daemon.errors import MissingExtra, PorterError
from daemon.vision.style.gradient import Floats, Loss

Optimiser = Literal["lbfgs", "adam"]
Doubles = npt.NDArray[np.float64]
Evaluate = Callable[[Floats], tuple[Loss, Floats]]
"""(1, 3, h, w) to the loss and its gradient."""
Report = Callable[[int, Loss, Floats], None]
"""Number of the step from 1 on, its loss, and its picture."""

CORRECTIONS = 4
"""Pairs of steps and gradients that L-BFGS remembers: each costs two pictures of memory."""
FEW_CORRECTIONS = 2
LARGE = 2_000_000
"""Numbers in a picture from which on it remembers few, so that memory suffices."""
RATE = 0.02
"""Of Adam, in brightness of 0 to 1; falls to a tenth."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best picture that was seen."""

    image: Floats
    """(1, 3, h, w)"""
    start: Loss
    loss: Loss
    steps: int
    """Gradients that were computed."""
    interrupted: bool


class _Enough(Exception):
    """The steps are used up."""


class _Search:
    """Counts the steps of an optimiser, and keeps the best picture."""

    def __init__(self, evaluate: Evaluate, start: Floats, steps: int, report: Report) -> None:
        self._evaluate = evaluate
        self._shape = start.shape
        self._left = steps
        self._report = report
        self.steps = 0
        self.best = start
        self.start: Loss | None = None
        self.loss: Loss | None = None

    def __call__(self, flat: Doubles) -> tuple[float, Doubles]:
        """Loss and gradient of a picture as SciPy sees it: a vector."""
        if self._left == 0:
            raise _Enough
        self._left -= 1
        image = flat.astype(np.float32).reshape(self._shape)
        loss, gradient = self._evaluate(image)
        self.steps += 1
        self.start = self.start or loss
        if self.loss is None or loss.total < self.loss.total:
            self.best, self.loss = image, loss
        self._report(self.steps, loss, image)
        return loss.total, gradient.ravel().astype(np.float64)


def optimise(
    evaluate: Evaluate, start: Floats, steps: int, optimiser: Optimiser, report: Report
) -> Found:
    """Look for a picture with a low loss.

    A keyboard interrupt ends it early; what was best by then counts.

    Args:
        evaluate: loss and gradient.
        start: (1, 3, h, w) where to begin.
        steps: how many gradients may be computed, 1 or more.
        optimiser: how to go on from a gradient.
        report: called after each step.

    Raises:
        PorterError: SciPy is missing, or the loss is no number.
        KeyboardInterrupt: before the first step was done.
    """
    search = _Search(evaluate, start, steps, report)
    interrupted = False
    try:
        (_lbfgs if optimiser == "lbfgs" else _adam)(search, start, steps)
    except _Enough:
        pass
    except KeyboardInterrupt:
        if search.loss is None:
            raise
        interrupted = True
    assert search.start is not None
    assert search.loss is not None
    if not np.isfinite(search.loss.total):
        raise PorterError("the loss is no number; lower the weights")
    return Found(search.best, search.start, search.loss, search.steps, interrupted)


def require_scipy() -> None:
    """Check that L-BFGS is there, before anything long begins.

    Raises:
        PorterError: it is not; the message says how to get it.
    """
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise MissingExtra(
            "style transfer by optimisation needs SciPy, unlike --optimiser adam and --fast", "desk"
        ) from None


def _lbfgs(search: _Search, start: Floats, steps: int) -> None:
    """Limited-memory BFGS (Zhu, Byrd, Lu and Nocedal, 1997), which the paper uses, too."""
    from scipy.optimize import minimize

    flat = start.ravel().astype(np.float64)
    corrections = CORRECTIONS if start.size < LARGE else FEW_CORRECTIONS
    options = {"maxiter": steps, "maxfun": 10 * steps, "maxcor": corrections, "ftol": 0, "gtol": 0}
    while search.steps < steps:
        before = search.steps
        minimize(search, flat, jac=True, method="L-BFGS-B", options=options)
        # A line search can fail by rounding: begin anew from the best picture.
        flat = search.best.ravel().astype(np.float64)
        if search.steps - before < 3:
            break


def _adam(search: _Search, start: Floats, steps: int) -> None:
    """Adam (Kingma and Ba, 2015), in place: no more than four pictures of memory."""
    image = start.ravel().astype(np.float64)
    mean, square = np.zeros_like(image), np.zeros_like(image)
    for step in range(1, steps + 1):
        _, gradient = search(image)
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient * gradient - square)
        rate = RATE * (1 - 0.9 * (step - 1) / steps)
        scale = rate / (1 - 0.9**step)
        image -= scale * mean / (np.sqrt(square / (1 - 0.999**step)) + 1e-12)
