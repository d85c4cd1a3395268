"""Pictures, videos and streams made by the tests themselves."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def noise(seed: int, width: int = 160, height: int = 120, level: int = 128) -> Image:
    """A picture as a sensor gives it: even, with noise."""
    rng = np.random.default_rng(seed)
    picture = rng.normal(level, 3, (height, width, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def numbered(number: int, width: int = 160, height: int = 120) -> Image:
    """A picture whose brightness is its number."""
    return np.full((height, width, 3), number, np.uint8)


def write_video(path: Path, pictures: list[Image], fps: float = 10.0) -> Path:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


class Stream:
    """A camera on the network: motion JPEG over HTTP; it can stall, and be cut and brought back."""

    def __init__(self, fps: float = 20.0) -> None:
        self.picture = noise(0)
        self.stalled = False
        self.moves = True
        """Whether every picture differs a little from the one before."""
        self._period = 1 / fps
        self._server: ThreadingHTTPServer | None = None
        self._cut = threading.Event()
        self.port = 0

    @property
    def runs(self) -> bool:
        return self._server is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/video.mjpg"

    def start(self) -> None:
        stream = self
        self._cut.clear()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                number = 0
                try:
                    while not stream._cut.wait(stream._period):
                        if stream.stalled:
                            continue
                        number += 1
                        picture = stream.picture.copy()
                        if stream.moves:
                            picture[8 * (number % 12), ::8] = 255 - picture[8 * (number % 12), ::8]
                        jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                        self.wfile.write(head.encode() + b"\r\n\r\n" + jpeg + b"\r\n")
                except OSError:
                    pass  # whoever looked has gone

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def cut(self) -> None:
        """The network goes away: every connection ends, and no new one is taken."""
        assert self._server is not None
        self._cut.set()
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        time.sleep(2 * self._period)
