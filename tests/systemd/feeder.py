"""Plays raw sound into a FIFO for ever, by the wall clock. Runs inside the container.

Usage: feeder.py FIFO SOUND, where SOUND is 16-bit mono at 16 kHz.
"""

import os
import sys
import time

BLOCK = 2_560
SECONDS = 0.08

# Open for reading too: then there is no end of file when the service goes away and comes back.
fifo = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
with open(sys.argv[2], "rb") as file:
    sound = file.read()
began = time.monotonic()
played = 0
while True:
    start = played * BLOCK % (len(sound) - BLOCK)
    try:
        os.write(fifo, sound[start : start + BLOCK])
    except BlockingIOError:
        pass  # nobody listens, as with a microphone that nobody reads
    played += 1
    time.sleep(max(0.0, began + played * SECONDS - time.monotonic()))
