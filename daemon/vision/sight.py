"""The side of the daemon that looks: networks, people and pipeline, as configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.cards import ModelCard
from daemon.config import Config
from daemon.control import Control, Peer
from daemon.door.events import DoorChallenge
from daemon.door.inputs import Input
from daemon.door.state import Armed, Challenged, Phase
from daemon.events import Data
from daemon.inference import choose_providers
from daemon.people.capture import COMMAND, CaptureDesk, CaptureOrder, Observer
from daemon.people.normalisation import stranger_distance
from daemon.people.roster import Roster
from daemon.people.visitor_keeper import VisitorKeeper
from daemon.vision.detector import open_detector
from daemon.vision.encoder import Encoder, open_encoder
from daemon.vision.examination import Examiner
from daemon.vision.light.classifier import open_light
from daemon.vision.light.prepare import LABELS, Light
from daemon.vision.light.settings import Conditions, conditions
from daemon.vision.light.watch import LightWatch
from daemon.vision.lookers import InTurn
from daemon.vision.objects.watch import open_watch
from daemon.vision.pipeline import CameraPipeline, Looker
from daemon.vision.recognition import Recognizer
from daemon.vision.settings import CameraConfig


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration leads to, loaded and checked."""

    recognizer: Recognizer
    looker: Looker
    """The recogniser, alone or with others."""
    roster: Roster
    keeper: VisitorKeeper
    examiner: Examiner
    watch: LightWatch | None
    """None: nobody asks for the light."""
    camera: CameraConfig | None
    """None: the camera stays as it is."""


STRANGERS_ALIKE = 0.01
"""Share of pairs of strangers who are as near as pictures of one face that follow each other."""


class Sight:
    """Everything that looks. Belongs to the event loop; its pipeline is a thread of its own."""

    def __init__(
        self,
        config: Config,
        publish: Callable[[Data], None],
        tell: Callable[[Input], None],
        looking: Callable[[], None],
        finished: Callable[[], None],
    ) -> None:
        """Load the networks and the gallery.

        `publish` takes what there is to say, `tell` what the door has to know; they and the others
        are called on the thread of the pipeline.

        Raises:
            ModelError: a network is missing, damaged or not what its card says.
            ConfigError: the encoder has no threshold for the false match rate that is asked for.
            GalleryError: the gallery cannot be read.
        """
        self._publish = publish
        self._tell = tell
        self._config = config
        self._challenged = False
        self.cards: list[ModelCard] = []
        loaded = self.prepare(config)
        self._recognizer, self._roster = loaded.recognizer, loaded.roster
        self._keeper, self._watch = loaded.keeper, loaded.watch
        self.pipeline = CameraPipeline(
            config.camera, loaded.looker, publish, looking, finished, loaded.watch
        )
        self._desk = self._make_desk(loaded.examiner, config)

    def open(self) -> None:
        """Open the camera.

        Raises:
            SourceError: it cannot be had.
        """
        self.pipeline.open()
        self._keeper.start()

    def resolve(self, identity: str) -> str | None:
        """The person whom a claim names, if there is one."""
        return self._roster.resolve(identity)

    @property
    def people(self) -> int:
        """How many are known."""
        return self._roster.count

    @property
    def light(self) -> Light | None:
        """day or night; None: it is not asked for, or nothing clear was seen yet."""
        return self._watch.light if self._watch else None

    def obey(self, control: Control) -> None:
        """Take pictures for `porter enroll --camera`, while the camera goes on being looked at."""

        async def capture(order: CaptureOrder, peer: Peer) -> Mapping[str, Any]:
            return await self._desk.capture(order, peer)

        control.on(COMMAND, CaptureOrder, capture)

    def _make_desk(self, examiner: Examiner, config: Config) -> CaptureDesk:
        return CaptureDesk(
            examiner,
            lambda: self.pipeline.description,
            config.gallery.keep_pictures,
            self._observe,
        )

    def _observe(self, observer: Observer | None) -> None:
        def change() -> None:
            self._recognizer.observer = observer

        self.pipeline.do(change)

    def begin_challenge(self, asked: DoorChallenge) -> None:
        """Watch whether a tracked face turns as it was asked to."""
        recognizer = self._recognizer
        self.pipeline.do(lambda: recognizer.begin_challenge(asked))

    def remember(self, event: str, person: str, track: int) -> None:
        """Keep the face that an event rests on for a while: it may have been a mistake."""
        recognizer, roster = self._recognizer, self._roster

        def keep() -> None:
            probe = recognizer.probe(track)
            if probe is not None:
                roster.remember(event, person, probe)

        self.pipeline.do(keep)

    def close(self) -> None:
        """Let go of the gallery, and of the file of visitors."""
        if not self.pipeline.is_alive():
            self._recognizer.finish()
        self._keeper.close()
        self._roster.close()

    def follow(self, phase: Phase) -> None:
        """Look as the door needs it: at every picture while it waits for a face, and for whom."""
        recognizer = self._recognizer
        waiting = isinstance(phase, Armed | Challenged)
        claim = phase.claimed if isinstance(phase, Armed | Challenged) else None
        if (recognizer.claim, recognizer.waiting) != (claim, waiting):
            # Plain assignments, each seen whole by the other thread.
            recognizer.claim, recognizer.waiting = claim, waiting
        if self._challenged and not isinstance(phase, Challenged):
            self.pipeline.do(recognizer.end_challenges)
        self._challenged = isinstance(phase, Challenged)

    def prepare(self, config: Config) -> Change:
        """Load what a new configuration asks for.

        Raises:
            PorterError: as when Porter starts.
        """
        providers = choose_providers(config.inference.provider)
        threads = config.inference.threads
        detector = open_detector(config.faces.detector, providers, threads)
        encoder = open_encoder(config.faces.encoder, providers, threads)
        self.cards = [detector.card, encoder.card]
        keeper = VisitorKeeper(config.gallery, config.visitors, encoder.card)
        roster = Roster(config.gallery, encoder.card, config.faces)
        recognizer = Recognizer(
            detector,
            encoder,
            roster,
            config.faces,
            self._publish,
            self._tell,
            live=config.camera.pace == "realtime",
            continuity=stranger_distance(encoder.card, STRANGERS_ALIKE),
            keep=keeper.keep if config.visitors.enabled else None,
        )
        examiner = Examiner(detector, encoder, config.faces.quality)
        looker: Looker = recognizer
        if config.objects.enabled:
            objects = open_watch(config.objects, providers, threads, self._publish)
            self.cards.append(objects.card)
            looker = InTurn(recognizer, objects)
        same = config.camera == self._config.camera
        return Change(
            recognizer,
            looker,
            roster,
            keeper,
            examiner,
            watch=self._make_watch(config, providers, encoder, recognizer, roster),
            camera=None if same else config.camera,
        )

    def _make_watch(
        self,
        config: Config,
        providers: list[str],
        encoder: Encoder,
        recognizer: Recognizer,
        roster: Roster,
    ) -> LightWatch | None:
        if not config.light.enabled:
            return None
        classifier = open_light(config.light.model, providers, config.inference.threads)
        self.cards.append(classifier.card)
        for light in LABELS:
            rate = config.light.rules(light).fmr
            if rate is not None:
                encoder.card.threshold(rate, f"light.{light}.fmr")

        def changed(light: Light) -> None:
            now = _conditions(config, light)
            recognizer.adopt(now.faces)
            roster.adopt(now.faces)
            self.pipeline.adopt(now.motion)

        return LightWatch(classifier, config.light, self._publish, changed)

    def change(self, change: Change, config: Config) -> None:
        """Look with what was prepared from now on."""
        self._roster.close()
        self._keeper.close()
        self._recognizer, self._roster, self._config = change.recognizer, change.roster, config
        self._keeper = change.keeper
        self._keeper.start()
        self._desk = self._make_desk(change.examiner, config)
        before, self._watch = self._watch, change.watch

        def swap() -> None:
            self.pipeline.change(change.looker, change.camera, change.watch)
            self.pipeline.adopt(config.camera.motion)
            if before is not None and change.watch is not None:
                change.watch.take_over(before)

        self.pipeline.do(swap)


def _conditions(config: Config, light: Light) -> Conditions:
    return conditions(config.faces, config.camera.motion, config.light.rules(light))
