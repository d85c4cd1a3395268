"""Diagnostics on standard error: readable in a terminal, with priorities under systemd."""

from __future__ import annotations

import logging
import os
import sys

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)


def configure(level: str = "info") -> None:
    """Send log records to standard error; a second call only changes the least severe level.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Journal() if under_journald() else _terminal())
        root.addHandler(handler)
    root.setLevel(level.upper())


def under_journald() -> bool:
    """Whether standard error is a stream to the journal, which adds the time by itself."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def priority(level: int) -> int:
    """The syslog priority of a level of :mod:`logging`."""
    return next((number for least, number in _PRIORITIES if level >= least), 7)


def report(message: str) -> None:
    """Print what ends the program: `porter: error: ...`, once for each line."""
    prefix = f"<{priority(logging.ERROR)}>" if under_journald() else ""
    for line in message.splitlines():
        print(f"{prefix}porter: error: {line}", file=sys.stderr)


class _Journal(logging.Formatter):
    """A priority that journald reads, on every line, since it takes each as a message."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{priority(record.levelno)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def _terminal() -> logging.Formatter:
    return logging.Formatter("%(asctime)s %(levelname)s: %(message)s", "%H:%M:%S")
