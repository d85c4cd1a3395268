"""Reading and turning pictures, through OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from daemon.errors import SourceError
from daemon.listing import Skip, files_of, list_files
from daemon.vision.frames import Image

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}
"""Files that count as pictures in a folder."""


def list_pictures(
    given: Iterable[Path], *, recursive: bool = False, skip: Skip | None = None
) -> list[Path]:
    """The pictures that are meant by files, folders and patterns; see :func:`list_files`.

    Raises:
        SourceError: a folder cannot be listed or holds no pictures, or nothing fits a pattern.
    """
    return list_files(given, SUFFIXES, "pictures", recursive=recursive, skip=skip)


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder, in the order of their names.

    Raises:
        SourceError: it cannot be listed or holds none.
    """
    return files_of(folder, SUFFIXES, "pictures")


def read_image(path: Path) -> Image:
    """Read a picture as blue, green, red; turned upright if its EXIF data say how.

    Raises:
        SourceError: it cannot be read, or is no picture.
    """
    import cv2

    quiet()
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) == 0:
        raise SourceError(f"{path}: the file is empty")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise SourceError(f"{path}: not a picture, or damaged (JPEG, PNG, WebP or BMP is needed)")
    return np.asarray(image, np.uint8)


def rotate(image: Image, degrees: int, into: Image | None = None) -> Image:
    """`image` turned clockwise by 0, 90, 180 or 270 degrees, into a buffer if it fits."""
    import cv2

    codes = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    if degrees not in codes:
        return image
    return np.asarray(cv2.rotate(image, codes[degrees], into), np.uint8)


def quiet() -> None:
    """OpenCV and FFmpeg report on standard error in their own words; Porter says it in its own."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
