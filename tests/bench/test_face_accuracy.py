"""The benchmark of the face encoder says what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_missing_pictures_are_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bench.face_accuracy", "--shared", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 66
    assert done.stderr.splitlines()[-1] == (
        f"bench: {tmp_path / 'data/faces'}: the shared pictures of faces not found; "
        "pass --shared FOLDER or set PORTER_SHARED"
    )
