"""Half precision is taken only where the processor computes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export import precision


@pytest.mark.parametrize(
    ("flags", "fastest"),
    [
        ("flags\t\t: fpu avx2 fma", "float32"),
        ("flags\t\t: fpu avx2 avx512_bf16 amx_tile", "bfloat16"),
        ("Features\t: fp asimd i8mm bf16", "bfloat16"),
    ],
)
def test_a_processor_s_flags_decide(
    flags: str, fastest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Path, "read_text", lambda _: flags)
    precision.knows_bfloat16.cache_clear()
    try:
        assert precision.fastest() == fastest
    finally:
        precision.knows_bfloat16.cache_clear()
