"""Ctrl-C ends a training in one line, with the code that shells give."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_an_interrupted_training_says_so_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export.cli", "daynight", "--quick", "--work", str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=PROJECT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr is not None
    seen = ""
    while "step/s" not in seen:
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(30) == 130
    assert "Traceback" not in rest
    assert "porter-export: error: interrupted" in rest.splitlines()[-1]
