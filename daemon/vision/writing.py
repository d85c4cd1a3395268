"""Writes pictures and videos, through OpenCV; what is written appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from daemon.errors import OutputError
from daemon.paths import write_whole
from daemon.vision.frames import Image
from daemon.vision.pictures import SUFFIXES, quiet

VIDEO_CODECS = {".avi": "MJPG", ".mkv": "mp4v", ".mov": "mp4v", ".mp4": "mp4v"}
"""How videos are coded that can be written, by their names: what OpenCV's wheels bring."""
QUALITY = 95
"""Of JPEG and WebP."""


def check_name(path: Path, *, video: bool = False) -> None:
    """Check that a name says how to write a picture or a video, before anything long begins.

    Raises:
        OutputError: it does not; the message says which names do.
    """
    known = sorted(VIDEO_CODECS if video else SUFFIXES)
    if path.suffix.lower() not in known:
        kind = "video" if video else "picture"
        raise OutputError(f"{path}: no {kind}'s name; use one of {', '.join(known)}")


def write_image(path: Path, image: Image) -> None:
    """Write a picture in the format that its name says.

    Raises:
        OutputError: the name says no format, or the file cannot be written.
    """
    check_name(path)
    suffix = path.suffix.lower()
    options = {".webp": [cv2.IMWRITE_WEBP_QUALITY, QUALITY]}.get(
        suffix, [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if suffix in (".jpg", ".jpeg") else []
    )
    coded = cv2.imencode(suffix, image, options)[1]
    write_whole(path, coded.tobytes(), str(path))


def write_video(path: Path, pictures: Iterable[Image], rate: float) -> int:
    """Write a video of pictures of one size; returns how many there were.

    What fails among the pictures, an interruption too, is raised when the video of those before it
    is complete.

    Raises:
        OutputError: the name says no format, or the file cannot be written.
    """
    check_name(path, video=True)
    codec = VIDEO_CODECS[path.suffix.lower()]
    quiet()
    partial = path.with_name(f".{path.stem}.tmp{path.suffix}")
    writer: cv2.VideoWriter | None = None
    count = 0
    try:
        for picture in pictures:
            if writer is None:
                height, width = picture.shape[:2]
                writer = cv2.VideoWriter(
                    str(partial), cv2.VideoWriter.fourcc(*codec), rate, (width, height)
                )
                if not writer.isOpened():
                    raise OutputError(f"{path}: cannot be written; is the folder there?")
            writer.write(np.ascontiguousarray(picture))
            count += 1
    finally:
        if writer is not None:
            writer.release()
        # OpenCV says nothing of a disk that is full.
        whole = count > 0 and _has_pictures(partial, count)
        if whole:
            partial.replace(path)
        else:
            partial.unlink(missing_ok=True)
    if count and not whole:
        raise OutputError(f"{path}: cannot be written whole; is the disk full?")
    return count


def _has_pictures(path: Path, count: int) -> bool:
    """Whether a video has so many pictures, and shows the last of them."""
    video = cv2.VideoCapture(str(path))
    try:
        # Some formats keep no count, so that it is reckoned from the length.
        if abs(round(video.get(cv2.CAP_PROP_FRAME_COUNT)) - count) > 1:
            return False
        video.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
        return bool(video.read()[0])
    finally:
        video.release()
