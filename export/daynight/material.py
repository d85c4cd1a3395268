"""Labelled pictures, which of them are near-duplicates, and folds that keep those together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from daemon.errors import SourceError
from daemon.vision.frames import Image
from daemon.vision.light.prepare import LABELS
from daemon.vision.pictures import pictures_of, read_image

HASH_SIDE = 16
ALIKE_BITS = 26
"""Of the 256 bits of two perceptual hashes, how many may differ in near-duplicates."""
ALIKE_LEVELS = 12.0
"""Mean difference of their thumbnails, of 255; dark flat pictures have nearly equal hashes."""

Labels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures in memory."""

    paths: tuple[Path, ...]
    images: tuple[Image, ...]
    """(height, width, 3) BGR each, as they were read."""
    labels: Labels
    """(n,) 1 is night."""

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, places: npt.NDArray[np.intp]) -> Pictures:
        """Some of them."""
        return Pictures(
            tuple(self.paths[each] for each in places),
            tuple(self.images[each] for each in places),
            self.labels[places],
        )


def read(folders: Sequence[Path], skipped: Callable[[str], None]) -> Pictures:
    """The pictures of `day/` and `night/` of each folder; those that cannot be read are named.

    Raises:
        SourceError: a folder does not have both, or one of them holds no picture that can be read.
    """
    paths: list[Path] = []
    images: list[Image] = []
    labels: list[float] = []
    for folder in folders:
        if not all((folder / name).is_dir() for name in LABELS):
            wanted = " and ".join(f"{name}/" for name in LABELS)
            raise SourceError(f"{folder}: must have {wanted} in it, a folder of pictures each")
        for number, name in enumerate(LABELS):
            before = len(paths)
            for path in pictures_of(folder / name):
                try:
                    image = read_image(path)
                except SourceError as error:
                    skipped(str(error))
                    continue
                paths.append(path)
                images.append(image)
                labels.append(float(number))
            if len(paths) == before:
                raise SourceError(f"{folder / name}: holds no picture that can be read")
    return Pictures(tuple(paths), tuple(images), np.array(labels, np.float32))


class _Prints:
    """What pictures are compared by: signs of differences in a grid, and a thumbnail."""

    def __init__(self, images: Sequence[Image]) -> None:
        size = (HASH_SIDE + 1, HASH_SIDE)
        thumbs = np.empty((len(images), HASH_SIDE, HASH_SIDE + 1), np.float32)
        for place, image in enumerate(images):
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            thumbs[place] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        rising = (thumbs[:, :, 1:] > thumbs[:, :, :-1]).reshape(len(images), -1)
        self._signs = np.where(rising, np.float32(1), np.float32(-1))
        self._flat = thumbs.reshape(len(images), -1)

    def alike(self, others: _Prints) -> npt.NDArray[np.bool_]:
        """(n, m) which of these are near-duplicates of which of those."""
        differing = (self._signs.shape[1] - self._signs @ others._signs.T) / 2
        found: npt.NDArray[np.bool_] = differing <= ALIKE_BITS
        for own, other in zip(*np.nonzero(found)):
            off = np.abs(self._flat[own] - others._flat[other]).mean()
            found[own, other] = off <= ALIKE_LEVELS
        return found


def near_duplicates(images: Sequence[Image]) -> npt.NDArray[np.bool_]:
    """(n, n) which pictures are alike, by a difference hash and the mean level of a thumbnail.

    The hash says of each cell of a grid whether it is lighter than its neighbour (Krawetz, "Kind of
    like that", 2013): scaled, recompressed and toned copies keep nearly all bits.
    """
    prints = _Prints(images)
    return prints.alike(prints)


def folds(images: Sequence[Image], count: int, seed: int) -> npt.NDArray[np.intp]:
    """(n,) number of the fold of each picture; near-duplicates share one."""
    _, groups = connected_components(csr_matrix(near_duplicates(images)), directed=False)
    rng = np.random.default_rng(seed)
    places = rng.permutation(groups.max() + 1) % count
    return np.asarray(places[groups], np.intp)


def apart_from(pictures: Pictures, others: Pictures) -> Pictures:
    """Those pictures that have no near-duplicate among others."""
    return pictures.take(np.flatnonzero(~seen_among(pictures.images, others)))


def seen_among(images: Sequence[Image], others: Pictures) -> npt.NDArray[np.bool_]:
    """(n,) which images have a near-duplicate among others."""
    return np.asarray(_Prints(images).alike(_Prints(others.images)).any(1))
