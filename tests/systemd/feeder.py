"""Plays raw sound into a FIFO for ever, by the wall clock. Runs inside the container.

Usage: feeder.py FIFO SOUND, where SOUND is 16-bit mono at 16 kHz.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

BLOCK = 2_560
SECONDS = 0.08

# Open for reading too: then there is no end of file when the service goes away and comes back.
fifo = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
sound = Path(sys.argv[2]).read_bytes()
began = time.monotonic()
played = 0
while True:
    start = played * BLOCK % (len(sound) - BLOCK)
    # A FIFO that nobody reads is full, as a microphone that nobody reads loses sound.
    with contextlib.suppress(BlockingIOError):
        os.write(fifo, sound[start : start + BLOCK])
    played += 1
    time.sleep(max(0.0, began + played * SECONDS - time.monotonic()))
