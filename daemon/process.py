"""What this process has used so far."""

from __future__ import annotations

import os
import re
import resource
import time
from pathlib import Path


def age() -> float:
    """Seconds since this process was started, interpreter and imports included."""
    try:
        # Field 22, counted from 1; the second is a name in parentheses that may hold spaces.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, AttributeError):  # not Linux
        return time.perf_counter()


def peak_memory() -> int:
    """Largest resident memory of this process, in bytes."""
    try:
        # getrusage would report the parent's peak, if that was larger when it forked.
        status = Path("/proc/self/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
