"""A bare Debian in a folder, for tests that show what a newcomer's machine lacks.

Made with debootstrap and entered with systemd-nspawn. The pristine system and the wheels that
Porter needs are kept in Porter's cache, so only the first run takes minutes. Python packages are
fetched by this machine's pip, with whatever index and certificates it is set up with, and installed
inside from a folder without an index; Debian's packages come through apt on this machine's network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
RELEASE = "bookworm"
PYTHON = "3.11"
"""Python of that release."""
WHEELS = "/wheels"
"""Where the container sees the wheels."""
INSTALL_SECONDS = 900

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "porter"


def require() -> None:
    """Skip the test, and say why, where no container can be made."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for debootstrap and systemd-nspawn")
    for program, package in (
        ("debootstrap", "debootstrap"),
        ("systemd-nspawn", "systemd-container"),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}; on Debian: apt-get install {package}")


def bare_system(packages: tuple[str, ...] = ()) -> Path:
    """A tar file of a minimal Debian with `packages`, made on the first call.

    Skips the test when the Debian mirror cannot be reached.
    """
    archive = _CACHE / "debian" / f"{'-'.join((RELEASE, *packages))}.tar"
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    root = archive.with_suffix(".partial")
    shutil.rmtree(root, ignore_errors=True)
    included = [f"--include={','.join(packages)}"] if packages else []
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", *included, RELEASE, root, *_mirror()],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    if made.returncode:
        last = (made.stdout + made.stderr).strip().splitlines()[-1:]
        pytest.skip(f"debootstrap cannot make a Debian here: {' '.join(last)}")
    partial = archive.with_suffix(".tmp")
    subprocess.run(["tar", "-C", root, "-cf", partial, "."], check=True)
    partial.replace(archive)
    shutil.rmtree(root)
    return archive


def _mirror() -> list[str]:
    """This machine's own mirror, if it follows the same release; else debootstrap's choice."""
    if shutil.which("apt-get") is None:
        return []
    sites = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages",
         f"Codename: {RELEASE}", "Component: main"],
        capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    return sites[:1]


def wheelhouse() -> Path:
    """A folder with every wheel that installing the runtime from a checkout needs."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = [*settings["project"]["dependencies"], *settings["build-system"]["requires"]]
    constraints = PROJECT / "constraints.txt"
    digest = hashlib.sha256(repr(wanted).encode() + constraints.read_bytes()).hexdigest()[:16]
    folder = _CACHE / "wheels" / digest
    if folder.exists():
        return folder
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # Wheels may ask for any glibc up to the release's own (2.36).
    platforms = [
        f"--platform=manylinux_2_{minor}_{os.uname().machine}" for minor in (34, 31, 28, 27, 17)
    ]
    platforms.append(f"--platform=manylinux2014_{os.uname().machine}")
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--dest", partial, "-c", constraints,
         "--only-binary=:all:", f"--python-version={PYTHON}", *platforms, *wanted, "editables"],
        capture_output=True, text=True, timeout=INSTALL_SECONDS,
    )  # fmt: skip
    if fetched.returncode:
        last = fetched.stderr.strip().splitlines()[-1:]
        pytest.skip(f"pip cannot fetch the wheels that Porter needs: {' '.join(last)}")
    partial.replace(folder)
    return folder


@contextmanager
def unpacked(archive: Path, folder: Path) -> Iterator[Path]:
    """The system in a folder of its own, with the project in /srv/porter; removed afterwards."""
    root = folder / "debian"
    root.mkdir()
    try:
        subprocess.run(["tar", "-C", root, "-xf", archive], check=True)
        _copy_project(root / "srv" / "porter")
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _copy_project(target: Path) -> None:
    listed = subprocess.run(
        ["git", "-C", PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if (source := PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)


def nspawn(root: Path, *arguments: str) -> list[str]:
    """The command line that enters a system; without machined, which a bare host may lack."""
    return [
        "systemd-nspawn", "--quiet", "--directory", str(root), "--register=no", "--keep-unit",
        f"--bind-ro={wheelhouse()}:{WHEELS}", *arguments,
    ]  # fmt: skip


OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
"""Environment in which pip installs from the wheels alone."""


def run_inside(
    root: Path, *command: str, user: str = "root", timeout: float = INSTALL_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command in a system that is not booted, from the project's folder."""
    settings = [f"--setenv={name}={value}" for name, value in OFFLINE.items()]
    return subprocess.run(
        nspawn(root, "--chdir=/srv/porter", "--pipe", f"--user={user}", *settings, *command),
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def own_lines(stderr: str) -> list[str]:
    """What was said inside; systemd-nspawn itself may say a word about the host at the end."""
    return [line for line in stderr.splitlines() if "/run/systemd/nspawn" not in line]
