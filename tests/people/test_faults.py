"""What breaks: killed in the middle, a full disk, damaged files, many at once, a newer format."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import GalleryError, OutputError
from daemon.people import database
from daemon.people.gallery import Gallery
from tests.people.people import gallery_in, key_for, template

ROOT = Path(__file__).resolve().parent.parent.parent

ENROL = """
import sys
from pathlib import Path
from tests.people.people import gallery_in, template
gallery = gallery_in(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    gallery.enrol(f"person {number}", [template(number, n) for n in range(5)])
    print(number, flush=True)
"""


def enrolling(folder: Path, first: int, last: int) -> subprocess.Popen[str]:
    """Another process that enrols people, five templates each, and says when one is done."""
    command = [sys.executable, "-c", ENROL, str(folder), str(first), str(last)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def check_whole(folder: Path, least: int) -> None:
    """Everybody has all templates, and the file is sound."""
    with gallery_in(folder) as gallery:
        people = gallery.people()
        assert {each.templates for each in people} <= {5}
        assert len(people) >= least
        assert len(gallery.templates()) == 5 * len(people)
    with sqlite3.connect(folder / "gallery.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


@pytest.mark.slow
def test_a_kill_in_the_middle_of_enrolling_leaves_the_gallery_whole(tmp_path: Path) -> None:
    rng = random.Random(11)
    gallery_in(tmp_path).close()
    done = 0
    for _ in range(5):
        process = enrolling(tmp_path, done, done + 1000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.communicate()
        done = int(rest[-1]) + 1 if rest else done + 1
        check_whole(tmp_path, done)
        with gallery_in(tmp_path) as gallery:
            done = len(gallery.people())


@pytest.mark.slow
def test_a_kill_while_the_gallery_is_made_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / str(number)
        process = enrolling(folder, 0, 3)
        deadline = time.monotonic() + 20
        while not folder.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.004 * number)
        process.kill()
        process.communicate()
        with gallery_in(folder) as gallery:
            gallery.enrol("Ada", [template(1, n) for n in range(5)])
        check_whole(folder, 1)


def test_two_processes_enrol_at_once(tmp_path: Path) -> None:
    both = [enrolling(tmp_path, 0, 15), enrolling(tmp_path, 100, 115)]
    for process in both:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    check_whole(tmp_path, 30)


def test_a_program_that_writes_for_too_long_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.2)
    gallery, other = gallery_in(tmp_path), gallery_in(tmp_path)
    other._database.execute("BEGIN IMMEDIATE")
    with pytest.raises(GalleryError, match="another program has been using it") as raised:
        gallery.enrol("Ada", [template(1)])
    assert "\n" not in str(raised.value)
    other._database.execute("ROLLBACK")
    gallery.enrol("Ada", [template(1)])


def fill(gallery: Gallery, most: int = 3000) -> None:
    for number in range(most):
        gallery.enrol(f"person {number}", [template(number, n) for n in range(5)])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_while_enrolling_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        gallery = gallery_in(disk)
        (disk / "ballast").write_bytes(bytes(100_000))
        with pytest.raises(OutputError, match="no space left on the disk") as raised:
            fill(gallery)
        assert "\n" not in str(raised.value)
        known = len(gallery.people())
        assert known > 10
        gallery.close()
        check_whole(disk, known)
        (disk / "ballast").unlink()
        with gallery_in(disk) as again:
            again.remove("person 1")
            assert len(again.people()) == known - 1
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_must_not_grow_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    program = f"""
        import resource, sys
        from pathlib import Path
        from daemon.errors import PorterError
        from tests.people.people import gallery_in
        from tests.people.test_faults import fill
        gallery = gallery_in(Path({str(tmp_path)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        try:
            fill(gallery)
        except PorterError as error:
            print(type(error).__name__, error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.startswith(f"OutputError {tmp_path}/gallery.db: ")
    assert done.stdout.count("\n") == 1
    check_whole(tmp_path, 5)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def scribble(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    for at in range(4096 + 100, len(raw), 1500):
        raw[at : at + 600] = os.urandom(len(raw[at : at + 600]))
    path.write_bytes(raw)


def other_file(path: Path) -> None:
    path.write_bytes(b"what has this to do with people?" * 200)


def other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE recipes (name)")
    raw.close()


def read_all(folder: Path) -> None:
    with gallery_in(folder) as gallery:
        gallery.people()
        gallery.templates()


@pytest.mark.parametrize("damage", [cut, empty, scribble, other_file, other_database])
def test_a_damaged_gallery_is_one_line(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    with gallery_in(tmp_path) as gallery:
        fill(gallery, 20)
    damage(tmp_path / "gallery.db")
    with pytest.raises(GalleryError, match=r"gallery\.db: ") as raised:
        read_all(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_gallery_of_a_newer_porter_is_refused(tmp_path: Path) -> None:
    gallery_in(tmp_path).close()
    with sqlite3.connect(tmp_path / "gallery.db") as raw:
        raw.execute("PRAGMA user_version = 2")
    raw.close()
    with pytest.raises(
        GalleryError, match=r"written by a newer Porter \(format 2, .* update Porter"
    ):
        gallery_in(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="cannot be written"):
        Gallery(tmp_path / "file/gallery.db", key_for(tmp_path))
