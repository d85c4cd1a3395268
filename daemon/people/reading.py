"""Looking into the gallery, which needs no right to write where there is none yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from daemon.people.gallery import Gallery, gallery_path, open_gallery
from daemon.people.settings import GalleryConfig


@contextmanager
def read_gallery(settings: GalleryConfig) -> Iterator[Gallery]:
    """The gallery of a configuration, to read; an empty one that leaves nothing if there is none.

    Raises:
        GalleryError: it cannot be used; the message says why and what to do.
    """
    if gallery_path(settings).exists():
        with open_gallery(settings) as gallery:
            yield gallery
        return
    with TemporaryDirectory(prefix="porter-") as folder:
        place = Path(folder)
        empty = GalleryConfig(path=place / "gallery.db", key=place / "gallery.key")
        with open_gallery(empty) as gallery:
            yield gallery
