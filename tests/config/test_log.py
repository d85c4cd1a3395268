"""Diagnostics: times in a terminal, priorities in the journal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging
from daemon import log
log.configure()
logging.getLogger("daemon.x").debug("not shown")
logging.getLogger("daemon.x").warning("two\\nlines")
log.configure("debug")
logging.getLogger("daemon.x").debug("shown")
log.configure("error")
logging.getLogger("daemon.x").warning("not shown")
"""


def said(stderr: Path, journal: str = "") -> list[str]:
    with stderr.open("wb") as file:
        status = os.fstat(file.fileno())
        stream = {"here": f"{status.st_dev}:{status.st_ino}", "elsewhere": "1:2"}.get(journal, "")
        environment = os.environ | {"JOURNAL_STREAM": stream}
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=file, env=environment, check=True)
    return stderr.read_text().splitlines()


def test_a_terminal_gets_the_time(tmp_path):
    for journal in ("", "elsewhere"):
        lines = said(tmp_path / "log", journal)
        assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING: two", lines[0])
        assert re.fullmatch(r"\d\d:\d\d:\d\d DEBUG: shown", lines[-1])
        assert len(lines) == 3


def test_the_journal_gets_a_priority_on_every_line(tmp_path):
    assert said(tmp_path / "log", "here") == ["<4>two", "<4>lines", "<7>shown"]
