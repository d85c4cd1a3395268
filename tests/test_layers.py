"""The runtime stands alone: it never needs what only training needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "daemon").rglob("*.py")
)
FORBIDDEN = ("torch", "onnx", "matplotlib", "scipy", "export")

PROBE = """
import importlib, sys
for name in {modules!r}:
    try:
        importlib.import_module(name)
    except OSError as error:  # sounddevice without PortAudio
        assert "PortAudio" in str(error), error
found = [name for name in {forbidden!r} if name in sys.modules]
assert not found, found
"""


def test_the_import_contracts_hold():
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert program, "import-linter is not installed beside this Python"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_of_the_daemon_imports_what_training_needs():
    assert "daemon.config" in MODULES
    program = PROBE.format(modules=MODULES, forbidden=FORBIDDEN)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["config", "path"]])
def test_what_needs_no_model_imports_no_runtime(arguments):
    program = (
        "import sys\nfrom daemon.cli.main import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try: main()\nexcept SystemExit as done: assert not done.code\n"
        "heavy = [n for n in ('numpy', 'onnxruntime', 'sounddevice') if n in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
