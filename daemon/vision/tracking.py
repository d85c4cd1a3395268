"""Which face in this picture is which in the last one.

A track is one face followed through pictures. It ends when the face is away for too long, or when
what is under the box turns out to be somebody else: nobody inherits what another has shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
import numpy.typing as npt

from daemon.vision.boxes import overlap
from daemon.vision.face import Face

LEAST_OVERLAP = 0.25
"""Intersection over union of a face's box in two pictures that follow each other."""
PATIENCE_SECONDS = 0.7
"""A face that is not found for this long has gone."""
WEAK_SCORE = 0.4
"""Score from which a find where a face was can be that face, turned aside or blurred, though it is
no face by itself (ByteTrack: Zhang et al., ECCV 2022, sec. 3)."""
WEAK_SECONDS = 3.0
"""For this long: what stays weak may be something else in the place where a face was."""


class Track:
    """One face, followed. What others know about it hangs on its number."""

    __slots__ = ("embedding", "face", "first_seen", "last_seen", "last_sure", "number", "sure")

    def __init__(self, number: int, face: Face, time: float) -> None:
        self.number = number
        self.face = face
        self.sure = True
        """Whether the present picture shows a face by itself, not only by where it is."""
        self.first_seen = self.last_seen = self.last_sure = time
        self.embedding: npt.NDArray[np.float32] | None = None
        """Of the last good picture."""

    def is_same_person(self, embedding: npt.NDArray[np.float32], limit: float) -> bool:
        """Whether a new embedding can be of the face that was followed so far.

        Args:
            embedding: (d,) of length 1.
            limit: squared distance to the last one from which it is somebody else. From one picture
                to the next a face changes far less than faces of one person differ at large.
        """
        if self.embedding is None:
            return True
        return float(np.sum((embedding - self.embedding) ** 2)) < limit


_numbers = count(1)
"""Of the whole process: when the configuration is read again, a new tracker goes on counting, and a
number still means one face."""


class Tracker:
    """Follows every face in view."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []

    def update(
        self, faces: Sequence[Face], time: float, sure: float = 0.0
    ) -> tuple[list[Track], list[Track]]:
        """Take the faces of a picture of `time` (seconds).

        Args:
            faces: what was found.
            time: of the picture.
            sure: score from which a find is a face; others only continue what is followed.

        Returns:
            Tracks that are in the picture, largest face first, with `face` up to date; and those
            that ended with it.
        """
        free = [face for face in faces if face.score >= sure]
        weak = [face for face in faces if face.score < sure]
        for track in self._pairs(self._tracks, free):
            track.last_seen = track.last_sure = time
            track.sure = True
        hidden = [
            track
            for track in self._tracks
            if track.last_seen < time and time - track.last_sure <= WEAK_SECONDS
        ]
        for track in self._pairs(hidden, weak):
            track.last_seen = time
            track.sure = False
        for face in free:
            self._tracks.append(self._begin(face, time))
        gone = [each for each in self._tracks if time - each.last_seen > PATIENCE_SECONDS]
        self._tracks = [each for each in self._tracks if each not in gone]
        present = [each for each in self._tracks if each.last_seen == time]
        present.sort(key=lambda each: -each.face.size)
        return present, gone

    def restart(self, track: Track) -> Track:
        """End `track` and follow its face as somebody new."""
        fresh = self._begin(track.face, track.last_seen)
        self._tracks[self._tracks.index(track)] = fresh
        return fresh

    def reset(self) -> list[Track]:
        """Forget every face, as after a gap; the tracks that ended with it."""
        gone, self._tracks = self._tracks, []
        return gone

    def _begin(self, face: Face, time: float) -> Track:
        return Track(next(_numbers), face, time)

    def _pairs(self, tracks: Sequence[Track], free: list[Face]) -> list[Track]:
        """Give each track the face that overlaps most, best pairs first; takes them from `free`."""
        if not free or not tracks:
            return []
        old = np.stack([each.face.box for each in tracks])
        shared = overlap(old, np.stack([each.box for each in free]))
        followed, taken = [], set()
        for index in np.argsort(-shared, axis=None):
            row, column = divmod(int(index), len(free))
            track = tracks[row]
            if shared[row, column] < LEAST_OVERLAP:
                break
            if track in followed or column in taken:
                continue
            track.face = free[column]
            followed.append(track)
            taken.add(column)
        free[:] = [face for column, face in enumerate(free) if column not in taken]
        return followed
