"""The thread that listens: from a source through the detectors to events.

Nothing on its path waits for another thread, except for sound. What it has to say goes out through
one callable; what it is told (stop, other models, another source) it takes between two blocks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.audio.detector import Detection, Detector
from daemon.audio.features import HOP, SAMPLE_RATE
from daemon.audio.sources import SLICE_SECONDS, AudioLost, Source, make_source
from daemon.cards import ModelCard
from daemon.config import AudioConfig
from daemon.errors import SourceError
from daemon.events import AudioLost as AudioLostEvent
from daemon.events import AudioRestored, Data, Model, WakeDetected, rfc3339

log = logging.getLogger(__name__)

WARNING_SECONDS = 60.0
"""Least time from one warning about lost sound to the next."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the pipeline shall follow from now on."""

    detectors: list[Detector]
    audio: AudioConfig
    number: int
    """Of these orders: events say by which they came about."""


class Pipeline(threading.Thread):
    """Listens until the sound ends, a failure, or :meth:`stop`.

    Its three callables run on this thread and must return at once: `publish` for what there is to
    say, with the number of the orders by which it came about; `listening` after the first block,
    `finished` at the end.
    """

    def __init__(
        self,
        source: Source,
        orders: Orders,
        publish: Callable[[Data, int], None],
        listening: Callable[[], None],
        finished: Callable[[], None],
    ) -> None:
        super().__init__(name=f"listen to {source.name}", daemon=True)
        self.source = source
        self.beats = 0
        """Signs of life. Grows with every block of sound, and while sound is waited for."""
        self.heard = 0
        """Samples at 16 kHz that went through the detectors."""
        self.detections: Counter[str] = Counter()
        self.failure: BaseException | None = None
        """Why it ended, if it did not end well."""
        self._detectors = orders.detectors
        self._pcm = np.zeros(source.hops * HOP, np.float32)
        self._backoff = orders.audio.reopen_backoff
        self._audio = orders.audio
        """What the present source was made by."""
        self._number = orders.number
        self._tell = publish
        self._listening = listening
        self._finished = finished
        self._orders: Orders | None = None
        self._stopping = False
        self._past_overflows = 0
        self._warned = 0
        self._warn_after = 0.0

    @property
    def audio_seconds(self) -> float:
        """Sound that went through the detectors, without the silence after its end."""
        return max(0, self.heard - self.source.padding) / SAMPLE_RATE

    @property
    def overflows(self) -> int:
        """Times that sound was lost because nobody took it in time."""
        return self._past_overflows + self.source.overflows

    def stop(self) -> None:
        """End soon. From any thread."""
        self._stopping = True
        self.source.stop()

    def change(self, orders: Orders) -> None:
        """Follow `orders` after the present block. From any thread."""
        self._orders = orders

    def run(self) -> None:
        """Listen. The source is open already, and closed when this returns."""
        try:
            self._listen()
        except BaseException as failure:  # whatever it is, the service must hear of it
            self.failure = failure
        finally:
            self.source.close()
            self._finished()

    def _listen(self) -> None:
        while not self._stopping:
            taken = self._next_block()
            if taken is None:
                return
            self._hear(self._pcm, taken)
            if self.overflows != self._warned:
                self._warn()

    def _hear(self, pcm: npt.NDArray[np.float32], taken: float) -> None:
        """Give a block, whose last sample was taken at wall time `taken`, to the detectors."""
        first = self.heard == 0
        self.heard += len(pcm)
        for detector in self._detectors:
            for detection in detector.hear(pcm):
                self.detections[detection.word.word] += 1
                self._publish(self._describe(detection, taken - self.heard / SAMPLE_RATE))
        if first:
            self._listening()
        self._live()

    def _live(self) -> None:
        self.beats += 1

    def _describe(self, found: Detection, origin: float) -> WakeDetected:
        """The event of a detection in a stream that began at wall time `origin`."""
        end = origin + found.end
        return WakeDetected(
            word=found.word.word,
            enrolled=found.enrolled,
            model=describe_model(found.card),
            probability=round(found.probability, 4),
            threshold=found.threshold,
            second_look=None if found.second_look is None else round(found.second_look, 4),
            onset=round(found.onset, 3),
            end=round(found.end, 3),
            onset_time=rfc3339(origin + found.onset),
            end_time=rfc3339(end),
            latency_ms=round((time.time() - end) * 1000, 1) if self.source.live else None,
        )

    def _next_block(self) -> float | None:
        """Fill the buffer, however long it takes; None at the end of the sound."""
        try:
            self._follow()
            return self.source.read(self._pcm, self._live)
        except AudioLost as lost:
            return self._recover(str(lost))

    def _recover(self, reason: str) -> float | None:
        """Wait for the source, with longer and longer waits between two attempts."""
        lost_at = time.monotonic()
        self._publish(AudioLostEvent(reason=reason))
        patience = self._backoff.initial
        attempt_at = lost_at + patience
        while not self._stopping:
            self._live()
            if not self._follow(lost=True):
                left = attempt_at - time.monotonic()
                if left > 0 and not self.source.wait(min(left, SLICE_SECONDS)):
                    continue
                patience = min(2 * patience, self._backoff.maximum)
                attempt_at = time.monotonic() + patience
                if not self.source.reopen():
                    continue
            try:
                taken = self.source.read(self._pcm, self._live)
            except AudioLost:
                continue
            if taken is not None:
                self._restored(time.monotonic() - lost_at)
            return taken
        return None

    def _publish(self, data: Data) -> None:
        self._tell(data, self._number)

    def _restored(self, seconds: float) -> None:
        for detector in self._detectors:
            detector.reset()
        audio = self.source.description
        self._publish(AudioRestored(seconds_lost=round(seconds, 3), audio=audio))

    def _follow(self, lost: bool = False) -> bool:
        """Follow the orders, if there are any.

        Returns:
            Whether there is another source now.

        Raises:
            AudioLost: another source cannot be opened, and the old one cannot be opened again.
        """
        orders, self._orders = self._orders, None
        if orders is None:
            return False
        self._number = orders.number
        self._backoff = orders.audio.reopen_backoff
        self._detectors = orders.detectors
        for detector in self._detectors:
            detector.seek(self.heard // HOP)
        return orders.audio != self._audio and self._replace(orders.audio, lost)

    def _replace(self, audio: AudioConfig, lost: bool) -> bool:
        source, old = make_source(audio), self.source
        # A device may be open only once; a file would begin anew.
        let_go = old.name == "microphone"
        if let_go:
            old.close()
        try:
            source.open()
        except SourceError as error:
            log.error("%s; staying with %s", error, old.description)
            if let_go:
                self._open_again(old, lost)
            return False
        old.close()
        self._past_overflows += old.overflows
        self.source, self._audio = source, audio
        self._pcm = np.zeros(source.hops * HOP, np.float32)
        if self._stopping:  # stop() may have told the old one only
            source.stop()
        log.info("now listening to %s", source.description)
        return True

    def _open_again(self, source: Source, lost: bool) -> None:
        try:
            source.open()
        except SourceError as error:
            if not lost:
                raise AudioLost(str(error)) from None

    def _warn(self) -> None:
        """Say that sound was lost; not more than once a minute."""
        now = time.monotonic()
        if now < self._warn_after:
            return
        self._warn_after = now + WARNING_SECONDS
        new, self._warned = self.overflows - self._warned, self.overflows
        log.warning("sound was lost %d times: the machine is too busy", new)


def describe_model(card: ModelCard) -> Model:
    """A model as it appears in events."""
    return Model(name=card.name, version=card.version, sha256=card.sha256[:12])
