"""How far a share can be trusted that was counted."""

from __future__ import annotations

import math

Z = 1.96
"""Standard deviations that 95 % of a normal distribution lie within, to either side."""


def wilson(count: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927).

    >>> low, high = wilson(98, 100)
    >>> round(low, 3), round(high, 3)
    (0.93, 0.994)
    """
    if not of:
        return 0.0, 1.0
    share, total = count / of, 1 + Z**2 / of
    middle = (share + Z**2 / (2 * of)) / total
    reach = Z * math.sqrt(share * (1 - share) / of + Z**2 / (4 * of**2)) / total
    return max(0.0, middle - reach), min(1.0, middle + reach)
