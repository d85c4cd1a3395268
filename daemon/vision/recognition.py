"""From pictures to who is there: finds, follows, judges and compares faces, and says so.

Everything about one face hangs on its track. A face counts only while it is good enough, alive as
far as can be told, and the same as in the pictures before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from daemon.door import inputs
from daemon.door.events import DoorChallenge, Evidence
from daemon.events import Data, rfc3339
from daemon.people.matching import Match
from daemon.vision.challenge import FRONT, Challenge
from daemon.vision.consensus import Agreement, Consensus
from daemon.vision.detector import FaceDetector
from daemon.vision.encoder import Encoder
from daemon.vision.events import (
    FaceRecognized,
    FaceRejected,
    FaceSeen,
    FaceUnknown,
    FaceUnsure,
    Quality,
)
from daemon.vision.frames import Frame
from daemon.vision.liveness import PassiveLiveness
from daemon.vision.quality import Reason as Fault
from daemon.vision.quality import fault, measure
from daemon.vision.settings import FacesConfig
from daemon.vision.tracking import WEAK_SCORE, Track, Tracker

MOST_FACES = 4
"""Faces of a picture that are compared, the largest first."""
WORTH_SAYING = 2
"""Pictures in which a face must be found before it is announced; one can be a mistake."""


class Roster(Protocol):
    """Who is known, kept current."""

    def identify(self, probe: npt.NDArray[np.float32]) -> Match:
        """Who it is among all (1:N)."""

    def verify(self, probe: npt.NDArray[np.float32], person: str) -> Match:
        """Whether it is this person (1:1)."""

    def refusal(self, person: str) -> str | None:
        """Why the person may not come in at this time; None: they may."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one good picture says; equal verdicts agree."""

    decision: str
    person: str | None
    reason: str | None
    claim: str | None


@dataclass(slots=True)
class Visitor:
    """What is known of a tracked face."""

    consensus: Consensus[Verdict]
    liveness: PassiveLiveness = field(default_factory=PassiveLiveness)
    flat: bool = False
    """Whether it once moved as only a flat picture does; it stays one."""
    last_seen: float = 0.0
    """On the clock of the pictures."""
    sightings: int = 0
    good_since: float | None = None
    """:func:`time.monotonic` of the first good picture."""
    said: set[object] = field(default_factory=set)
    """What was announced already: verdicts, and reasons of rejection."""
    probe: npt.NDArray[np.float32] | None = None
    challenge: Challenge | None = None
    passed: bool = False
    """Whether the challenge is passed; it counts once the pictures after it agree, too."""
    stranger: tuple[npt.NDArray[np.float32], float, float | None] | None = None
    """Embedding, wall time, and score of the nearest person, when it was agreed that it is nobody
    who is known."""

    @property
    def stays_unknown(self) -> bool:
        """Whether nothing was ever agreed on but that it is nobody who is known."""
        verdicts = [each for each in self.said if isinstance(each, Verdict)]
        return not self.flat and all(each.decision == "unknown" for each in verdicts)


class Recognizer:
    """Looks at one picture after the other.

    `publish` takes what there is to say, `tell` what the door has to know; both must return at
    once.
    """

    def __init__(
        self,
        detector: FaceDetector,
        encoder: Encoder,
        roster: Roster,
        settings: FacesConfig,
        publish: Callable[[Data], None],
        tell: Callable[[inputs.Input], None],
        *,
        live: bool,
        continuity: float,
        keep: Callable[[npt.NDArray[np.float32], float, float | None], None] | None = None,
    ) -> None:
        """Look for whom it is asked to.

        Args:
            live: whether the pictures come by the wall clock.
            continuity: squared distance from one picture of a face to the next from which it is
                somebody else's.
            keep: takes the face of a stranger who has gone: embedding (d,), wall time, and score of
                the nearest person; must return at once.
        """
        self._keep = keep
        self._continuity = continuity
        self._detector = detector
        self._encoder = encoder
        self._roster = roster
        self._settings = settings
        self._publish = publish
        self._tell = tell
        self._live = live
        self._tracker = Tracker()
        self._visitors: dict[int, Visitor] = {}
        self._worth_saying = min(WORTH_SAYING, settings.consensus.frames)
        self.claim: str | None = None
        """Who is said to be there; then faces are compared with this person first."""
        self.waiting = False
        """Whether the door waits for a face: then every picture counts, also a still one."""
        self.observer: Callable[[Frame, list[Track]], None] | None = None
        """Is shown every picture with its faces; for enrolment."""

    @property
    def attentive(self) -> bool:
        """Whether every picture is wanted, also when nothing moves."""
        return self.waiting or self.observer is not None

    def look(self, frame: Frame) -> None:
        """Look at a picture."""
        sure = self._detector.threshold
        faces = self._detector.detect(frame.image, least=min(sure, WEAK_SCORE))
        present, gone = self._tracker.update(faces, frame.time, sure)
        self._forget(gone)
        for track in present[:MOST_FACES]:
            self._judge(frame, track)
        if self.observer is not None:
            self.observer(frame, [track for track in present if track.sure])

    def pause(self, time: float) -> None:
        """Nothing new is to be seen at `time`: whoever was there may have gone."""
        _, gone = self._tracker.update([], time)
        self._forget(gone)

    def adopt(self, settings: FacesConfig) -> None:
        """Judge by other rules from now on; what was judged by the old ones counts no more."""
        if settings == self._settings:
            return
        self._settings = settings
        for visitor in self._visitors.values():
            visitor.consensus = Consensus(settings.consensus)

    def reset(self) -> None:
        """Forget whom it follows, as after a gap."""
        self._forget(self._tracker.reset())

    def finish(self) -> None:
        """No picture will come any more: whoever is there now goes as they are."""
        for visitor in self._visitors.values():
            self._keep_stranger(visitor)

    def begin_challenge(self, asked: DoorChallenge) -> None:
        """Watch whether a tracked face turns as it was asked to."""
        visitor = self._visitors.get(asked.track)
        if visitor is None:
            self._tell(inputs.ChallengeFailed(track=asked.track, reason="the face has gone"))
        else:
            visitor.challenge = Challenge(tuple(asked.steps), asked.seconds, visitor.last_seen)
            visitor.passed = False

    def probe(self, track: int) -> npt.NDArray[np.float32] | None:
        """The last good embedding of a tracked face, (d,); None when it has gone."""
        visitor = self._visitors.get(track)
        return visitor.probe if visitor else None

    def end_challenges(self) -> None:
        """The door does not wait for a challenge any more."""
        for visitor in self._visitors.values():
            visitor.challenge, visitor.passed = None, False

    def _visitor(self, track: Track) -> Visitor:
        visitor = self._visitors.get(track.number)
        if visitor is None:
            visitor = Visitor(Consensus(self._settings.consensus))
            self._visitors[track.number] = visitor
        return visitor

    def _forget(self, gone: list[Track]) -> None:
        for track in gone:
            visitor = self._visitors.pop(track.number, None)
            self._tell(inputs.TrackLost(track=track.number))
            if visitor is not None:
                self._keep_stranger(visitor)

    def _keep_stranger(self, visitor: Visitor) -> None:
        if self._keep is not None and visitor.stranger is not None and visitor.stays_unknown:
            self._keep(*visitor.stranger)

    def _judge(self, frame: Frame, track: Track) -> None:
        crop = self._encoder.align(frame.image, track.face.landmarks)
        quality = measure(track.face, crop)
        height, width = frame.image.shape[:2]
        flaw = fault(track.face, quality, width, height, self._settings.quality)
        vector = None if flaw or not track.sure else self._encoder.embed_crops(crop[None])[0]
        if vector is not None:
            if not track.is_same_person(vector, self._continuity):
                self._forget([track])
                track = self._tracker.restart(track)
            track.embedding = vector
        visitor = self._visitor(track)
        visitor.last_seen = frame.time
        visitor.sightings += 1
        if visitor.sightings == self._worth_saying:
            self._seen(frame, track, quality)
        flat = self._looks_flat(frame, track, visitor, quality)
        self._follow_challenge(frame, track, visitor, flat)
        if flaw is not None and track.sure:
            self._reject(frame, track, visitor, quality, flaw.reason, flaw.message)
        elif vector is not None and not flat and not _turned_by_order(visitor, quality):
            self._compare(frame, track, visitor, vector)

    def _compare(
        self, frame: Frame, track: Track, visitor: Visitor, vector: npt.NDArray[np.float32]
    ) -> None:
        if visitor.good_since is None:
            visitor.good_since = frame.captured
        visitor.probe = vector
        match = self._match(vector)
        verdict = Verdict(match.decision, match.person, match.reason, self.claim)
        found = visitor.consensus.add(verdict, frame.time)
        if found is not None:
            self._agree(frame, track, visitor, match, found)

    def _match(self, probe: npt.NDArray[np.float32]) -> Match:
        """1:1 with whoever is claimed to be there; if it is not them, who it is."""
        if self.claim is not None:
            match = self._roster.verify(probe, self.claim)
            if match.decision != "unknown":
                return match
        return self._roster.identify(probe)

    def _agree(
        self, frame: Frame, track: Track, visitor: Visitor, match: Match, found: Agreement[Verdict]
    ) -> None:
        news = found.verdict not in visitor.said
        visitor.said.add(found.verdict)
        first, last = _wall(frame, found.first), _wall(frame, found.last)
        if match.decision == "match" and match.person is not None:
            self._recognized(frame, track, visitor, match, found, news)
        elif match.decision == "unsure":
            self._tell(inputs.Unsure(track=track.number, people=tuple(match.people)))
            if news:
                self._publish(
                    FaceUnsure(
                        track=track.number,
                        people=list(match.people),
                        scores=[round(each, 4) for each in match.scores],
                        reason="decoy" if match.reason == "decoy" else "near-tie",
                        frames=found.frames,
                        last=last,
                    )
                )
        else:
            message = "nobody is known"
            if match.score is not None:
                message = f"score {match.score:.3f}, below {match.threshold:.3f} is a match"
            self._tell(inputs.Unknown(track=track.number, message=message))
            if visitor.probe is not None:
                visitor.stranger = visitor.probe, frame.taken, match.score
            if news:
                self._publish(
                    FaceUnknown(
                        track=track.number,
                        score=None if match.score is None else round(match.score, 4),
                        threshold=round(match.threshold, 4),
                        frames=found.frames,
                        first=first,
                        last=last,
                    )
                )

    def _recognized(
        self,
        frame: Frame,
        track: Track,
        visitor: Visitor,
        match: Match,
        found: Agreement[Verdict],
        news: bool,
    ) -> None:
        person, score, distance = match.person, match.score, match.distance
        assert person is not None
        assert score is not None
        assert distance is not None
        passed = visitor.passed
        mode = self._settings.liveness.mode
        liveness = "challenge" if passed else "off" if mode == "off" else "passive"
        evidence = Evidence(
            track=track.number,
            score=round(score, 4),
            distance=round(distance, 4),
            threshold=round(match.threshold, 4),
            frames=found.frames,
            first=_wall(frame, found.first),
            last=_wall(frame, found.last),
            liveness=liveness,
        )
        if news:
            since = visitor.good_since
            card = self._encoder.card
            self._publish(
                FaceRecognized(
                    track=track.number,
                    person=person,
                    score=evidence.score,
                    distance=evidence.distance,
                    threshold=evidence.threshold,
                    fmr=self._settings.fmr,
                    runner_up=None if match.runner_up is None else round(match.runner_up, 4),
                    frames=found.frames,
                    first=evidence.first,
                    last=evidence.last,
                    liveness=liveness,
                    model=f"{card.name} {card.version}",
                    latency_ms=round((time.monotonic() - since) * 1000, 1)
                    if self._live and since is not None
                    else None,
                )
            )
        refusal = self._roster.refusal(person)
        if passed:
            visitor.challenge, visitor.passed = None, False
            self._tell(
                inputs.ChallengePassed(
                    person=person, evidence=evidence, taken=frame.captured, refusal=refusal
                )
            )
        else:
            self._tell(
                inputs.Recognized(
                    person=person,
                    evidence=evidence,
                    taken=frame.captured,
                    refusal=refusal,
                )
            )

    def _looks_flat(self, frame: Frame, track: Track, visitor: Visitor, quality: Quality) -> bool:
        if self._settings.liveness.mode == "off":
            return False
        finding = visitor.liveness.update(frame.time, track.face.landmarks)
        if finding.verdict == "flat" and not visitor.flat:
            visitor.flat = True
            message = (
                f"it was tilted by {finding.tilt:.0f} degrees and showed the depth of a head "
                f"turned by {finding.parallax:.0f}: a picture of a face"
            )
            self._reject(frame, track, visitor, quality, "flat", message)
            self._tell(inputs.NotLive(track=track.number, message=message))
        return visitor.flat

    def _follow_challenge(self, frame: Frame, track: Track, visitor: Visitor, flat: bool) -> None:
        if visitor.challenge is None or visitor.passed:
            return
        progress = visitor.challenge.update(frame.time, track.face.landmarks, flat=flat)
        if progress.state == "passed":
            visitor.passed = True
        elif progress.state == "failed":
            visitor.challenge = None
            reason = progress.failure or "failed"
            self._tell(inputs.ChallengeFailed(track=track.number, reason=reason))

    def _seen(self, frame: Frame, track: Track, quality: Quality) -> None:
        self._publish(
            FaceSeen(
                track=track.number,
                box=[round(float(each), 1) for each in track.face.box],
                score=round(track.face.score, 3),
                quality=quality,
                captured=rfc3339(frame.taken),
            )
        )

    def _reject(
        self,
        frame: Frame,
        track: Track,
        visitor: Visitor,
        quality: Quality,
        reason: Fault | Literal["flat"],
        message: str,
    ) -> None:
        if reason in visitor.said or visitor.sightings < self._worth_saying:
            return
        visitor.said.add(reason)
        self._publish(
            FaceRejected(
                track=track.number,
                reason=reason,
                message=message,
                quality=quality,
                captured=rfc3339(frame.taken),
            )
        )


def _turned_by_order(visitor: Visitor, quality: Quality) -> bool:
    """Whether the head is turned because it was asked to: no time to compare the face."""
    return visitor.challenge is not None and abs(quality.yaw) > FRONT


def _wall(frame: Frame, moment: float) -> str:
    """A time on the clock of the pictures as wall time."""
    return rfc3339(frame.taken - (frame.time - moment))
