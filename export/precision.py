"""The precision in which convolutions learn fastest here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""As Linux names them: the first two of Intel and AMD, the last of ARM."""


@cache
def knows_bfloat16() -> bool:
    """Whether the processor computes in bfloat16.

    One that does takes half the time of float32; on any other PyTorch emulates it, which takes
    several times as long.
    """
    return not _FLAGS.isdisjoint(Path("/proc/cpuinfo").read_text().split())


def fastest() -> Precision:
    """Of the convolutions of a network that learns on this machine."""
    return "bfloat16" if torch.cuda.is_available() or knows_bfloat16() else "float32"
