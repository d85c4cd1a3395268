"""A network camera for benchmarks: motion JPEG over HTTP, in a process of its own."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection

import cv2
import numpy as np

from daemon.vision.frames import Image

NOISE_LEVELS = 2.0
"""Deviation of the noise that a sensor adds to each picture."""
VARIANTS = 16
"""Pictures with different noise that are shown in turn."""


class PictureStream:
    """Shows one picture, with fresh noise, until it is told to show another one."""

    def __init__(self, fps: float) -> None:
        context = get_context("spawn")
        self._commands, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, fps), daemon=True)
        self._process.start()
        self.url = f"http://127.0.0.1:{self._commands.recv()}/camera.mjpg"

    def show(self, picture: Image) -> float:
        """Show `picture` from now on; the wall time at which it was first ready to be sent."""
        self._commands.send(picture)
        shown: float = self._commands.recv()
        return shown

    def __enter__(self) -> PictureStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _serve(commands: Connection, fps: float) -> None:
    pictures: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number, due = 0, time.monotonic()
            while True:
                jpeg = pictures[number % len(pictures)]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                except OSError:
                    return  # whoever looked has gone
                number += 1
                due += 1 / fps
                time.sleep(max(0.0, due - time.monotonic()))

        def log_message(self, *_: object) -> None:
            """Nothing: a benchmark prints its table only."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    commands.send(server.server_address[1])
    rng = np.random.default_rng(0)
    started = False
    while True:
        picture = commands.recv()
        noisy = [picture + rng.normal(0, NOISE_LEVELS, picture.shape) for _ in range(VARIANTS)]
        fresh = [
            cv2.imencode(".jpg", np.clip(each, 0, 255).astype(np.uint8))[1].tobytes()
            for each in noisy
        ]
        pictures[:] = fresh
        commands.send(time.time())
        if not started:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            started = True
