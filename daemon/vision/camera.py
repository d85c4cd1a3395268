"""Pictures from a V4L2 device or a network stream, through OpenCV."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from daemon.errors import SourceError
from daemon.vision.frames import CameraLost, Frame, Image
from daemon.vision.pictures import quiet, rotate
from daemon.vision.settings import CameraConfig

if TYPE_CHECKING:
    import cv2

BUFFERS = 2
"""Pictures that a source holds: the newest, and the one that is being filled."""
OPEN_SECONDS = 5.0
"""Longest wait for a stream to begin."""


class CameraSource:
    """A camera that never ends: when no picture comes, it is lost."""

    endless = True
    live = True

    def __init__(self, config: CameraConfig) -> None:
        self.name: str = config.source
        self._config = config
        if config.source == "stream":
            assert config.url is not None, "the configuration is checked for this"
            self._place: str = config.url
            self.description = without_password(config.url)
        else:
            device = config.device
            self._place = f"/dev/video{device}" if isinstance(device, int) else device
            self.description = self._place
        self._capture: cv2.VideoCapture | None = None
        self._stopped = False
        self._number = self._slot = 0
        self._next = 0.0
        self._buffers: list[Image | None] = [None] * BUFFERS
        self._upright: list[Image | None] = [None] * BUFFERS

    def open(self) -> None:
        """Open the device or connect to the stream."""
        import cv2

        quiet()
        if self.name == "stream":
            timeouts = [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * OPEN_SECONDS)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * self._config.stall_seconds)),
            ]
            capture = cv2.VideoCapture(self._place, cv2.CAP_FFMPEG, timeouts)
            if not capture.isOpened():
                raise SourceError(
                    f"{self.description}: no pictures from this stream; check camera.url "
                    "(ffplay or a browser should show it)"
                )
        else:
            _check_device(self._place)
            capture = cv2.VideoCapture(self._place, cv2.CAP_V4L2)
            if not capture.isOpened():
                raise SourceError(
                    f"{self._place}: not a camera, or another program uses it (fuser {self._place})"
                )
            # Compressed pictures are what most cameras give at more than 10 a second.
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._config.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._config.height)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture = capture
        width, height = (
            int(capture.get(each)) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        size = f" ({width} x {height})" if width and height else ""
        self.description = f"{without_password(self._place)}{size}"
        self._next = 0.0

    def read(self) -> Frame | None:
        """Wait for a picture. Those that come faster than they are wanted are not decoded."""
        assert self._capture is not None, "read before open"
        while not self._stopped:
            if not self._capture.grab():
                raise CameraLost(f"{self.description}: no picture came")
            captured, taken = time.monotonic(), time.time()
            self._number += 1
            if captured < self._next:
                continue
            # A little early counts, or every other picture of a 10 Hz camera would be late.
            self._next = max(captured, self._next) + 0.9 / self._config.fps
            self._slot = slot = (self._slot + 1) % BUFFERS
            got, picture = self._capture.retrieve(self._buffers[slot])
            if not got or picture is None or picture.size == 0:
                raise CameraLost(f"{self.description}: a picture is damaged")
            image = self._buffers[slot] = np.asarray(picture, np.uint8)
            return Frame(self._turned(image, slot), self._number, captured, captured, taken)
        return None

    def stop(self) -> None:
        """End with the next picture."""
        self._stopped = True

    def close(self) -> None:
        """Let go of the device."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _turned(self, image: Image, slot: int) -> Image:
        if not self._config.rotate:
            return image
        turned = self._upright[slot] = rotate(image, self._config.rotate, self._upright[slot])
        return turned


_SECRET = re.compile(r"(?i)(user|login|pass|pwd|secret|token|auth|key)")


def without_password(place: str) -> str:
    """A URL without what it may tell of user and password; anything else as it is.

    Many cameras take both as `user=...&password=...`.
    """
    parts = urlsplit(place)
    if not parts.netloc:
        return place
    told = [
        f"{name}=..." if value and _SECRET.search(name) else f"{name}{sign}{value}"
        for name, sign, value in (each.partition("=") for each in parts.query.split("&"))
    ]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query="&".join(told)))


def list_cameras() -> list[tuple[str, str]]:
    """V4L2 devices of this machine that can capture: path and name."""
    found = []
    root = Path("/sys/class/video4linux")
    for entry in sorted(root.glob("video*"), key=lambda path: int(re.sub(r"\D", "", path.name))):
        with contextlib.suppress(OSError):  # it is being unplugged
            if (entry / "index").read_text().strip() == "0":
                found.append((f"/dev/{entry.name}", (entry / "name").read_text().strip()))
    return found


def _check_device(place: str) -> None:
    try:
        os.close(os.open(place, os.O_RDWR | os.O_NONBLOCK))
    except FileNotFoundError:
        there = ", ".join(path for path, _ in list_cameras()) or "none"
        raise SourceError(
            f"{place}: no such camera; there is {there} (porter devices lists them)"
        ) from None
    except PermissionError:
        raise SourceError(
            f"{place}: no permission; add the user to the group video: usermod -aG video USER"
        ) from None
    except OSError as error:
        raise SourceError(f"{place}: cannot be opened: {error.strerror}") from None
