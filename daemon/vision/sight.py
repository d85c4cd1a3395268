"""The side of the daemon that looks: networks, people and pipeline, as configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.cards import ModelCard
from daemon.config import Config
from daemon.control import Control, Peer
from daemon.door.events import DoorChallenge
from daemon.door.inputs import Input, TrackLost
from daemon.door.state import Armed, Challenged, Phase
from daemon.events import Data
from daemon.inference import choose_providers
from daemon.people.capture import COMMAND, CaptureDesk, CaptureOrder, Observer
from daemon.people.normalisation import stranger_distance
from daemon.people.roster import Roster
from daemon.people.visitor_keeper import VisitorKeeper
from daemon.vision.cards import EncoderCard
from daemon.vision.detector import open_detector
from daemon.vision.encoder import open_encoder
from daemon.vision.examination import Examiner
from daemon.vision.light.classifier import LightClassifier, open_light
from daemon.vision.light.prepare import LABELS, Light
from daemon.vision.light.settings import Conditions, conditions
from daemon.vision.light.watch import LightWatch
from daemon.vision.lookers import InTurn
from daemon.vision.objects.watch import open_watch
from daemon.vision.pipeline import CameraPipeline, Looker
from daemon.vision.recognition import Recognizer

Handover = Callable[[Callable[..., Any]], Callable[..., None]]
"""Makes of a function one that another thread may call: it runs on the event loop, soon."""

STRANGERS_ALIKE = 0.01
"""Share of pairs of strangers who are as near as pictures of one face that follow each other."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a configuration leads to, loaded and checked."""

    config: Config
    cards: list[ModelCard]
    recognizer: Recognizer
    looker: Looker
    """The recogniser, alone or with others."""
    roster: Roster
    keeper: VisitorKeeper
    examiner: Examiner
    watch: LightWatch | None
    """None: nobody asks for the light."""

    def close(self) -> None:
        """Write what waits, and let go of the gallery and of the file of visitors."""
        self.keeper.close()
        self.roster.close()


class Sight:
    """Everything that looks. Belongs to the event loop; its pipeline is a thread of its own."""

    def __init__(
        self,
        config: Config,
        here: Handover,
        publish: Callable[[Data], None],
        tell: Callable[[Input], None],
        looking: Callable[[], None],
        finished: Callable[[], None],
    ) -> None:
        """Load the networks and the gallery.

        `publish` takes what there is to say, `tell` what the door has to know; they and the others
        are called on the event loop.

        Raises:
            ModelError: a network is missing, damaged or not what its card says.
            ConfigError: the encoder has no threshold for the false match rate that is asked for.
            GalleryError: the gallery cannot be read.
        """
        self._publish = here(publish)
        self._tell = tell
        self._report = here(self._heed)
        self._challenged = False
        self._loaded = self.prepare(config)
        self.pipeline = CameraPipeline(
            config.camera,
            self._loaded.looker,
            self._publish,
            here(looking),
            here(finished),
            self._loaded.watch,
        )
        self._desk = self._make_desk()

    def open(self) -> None:
        """Open the camera.

        Raises:
            SourceError: it cannot be had.
        """
        self.pipeline.open()
        self._loaded.keeper.start()

    @property
    def cards(self) -> list[ModelCard]:
        """Of the networks."""
        return self._loaded.cards

    def resolve(self, identity: str) -> str | None:
        """The person whom a claim names, if there is one."""
        return self._loaded.roster.resolve(identity)

    @property
    def people(self) -> int:
        """How many are known."""
        return self._loaded.roster.count

    @property
    def light(self) -> Light | None:
        """day or night; None: it is not asked for, or nothing clear was seen yet."""
        watch = self._loaded.watch
        return watch.light if watch else None

    def obey(self, control: Control) -> None:
        """Take pictures for `porter enroll --camera`, while the camera goes on being looked at."""

        async def capture(order: CaptureOrder, peer: Peer) -> Mapping[str, Any]:
            return await self._desk.capture(order, peer)

        control.on(COMMAND, CaptureOrder, capture)

    def _make_desk(self) -> CaptureDesk:
        return CaptureDesk(
            self._loaded.examiner,
            lambda: self.pipeline.description,
            self._loaded.config.gallery.keep_pictures,
            self._observe,
        )

    def _observe(self, observer: Observer | None) -> None:
        def change() -> None:
            self._loaded.recognizer.observer = observer

        self.pipeline.do(change)

    def begin_challenge(self, asked: DoorChallenge) -> None:
        """Watch whether a tracked face turns as it was asked to."""
        recognizer = self._loaded.recognizer
        self.pipeline.do(lambda: recognizer.begin_challenge(asked))

    def remember(self, event: str, person: str, track: int) -> None:
        """Keep the face that an event rests on for a while: it may have been a mistake."""
        recognizer, roster = self._loaded.recognizer, self._loaded.roster

        def keep() -> None:
            probe = recognizer.probe(track)
            if probe is not None:
                roster.remember(event, person, probe)

        self.pipeline.do(keep)

    def close(self) -> None:
        """Let go of the gallery, and of the file of visitors."""
        if not self.pipeline.is_alive():
            self._loaded.recognizer.finish()
        self._loaded.close()

    def follow(self, phase: Phase) -> None:
        """Look as the door needs it: at every picture while it waits for a face, and for whom."""
        recognizer = self._loaded.recognizer
        waiting = isinstance(phase, Armed | Challenged)
        claim = phase.claimed if isinstance(phase, Armed | Challenged) else None
        if (recognizer.claim, recognizer.waiting) != (claim, waiting):
            # Plain assignments, each seen whole by the other thread.
            recognizer.claim, recognizer.waiting = claim, waiting
        if self._challenged and not isinstance(phase, Challenged):
            self.pipeline.do(recognizer.end_challenges)
        self._challenged = isinstance(phase, Challenged)

    def prepare(self, config: Config) -> Loaded:
        """Load what a new configuration asks for. From any thread.

        Raises:
            PorterError: as when Porter starts.
        """
        providers = choose_providers(config.inference.provider)
        threads = config.inference.threads
        detector = open_detector(config.faces.detector, providers, threads)
        encoder = open_encoder(config.faces.encoder, providers, threads)
        continuity = stranger_distance(encoder.card, STRANGERS_ALIKE)
        cards: list[ModelCard] = [detector.card, encoder.card]
        objects = light = None
        if config.objects.enabled:
            objects = open_watch(config.objects, providers, threads, self._publish)
            cards.append(objects.card)
        if config.light.enabled:
            light = _open_light(config, encoder.card, providers)
            cards.append(light.card)
        keeper = VisitorKeeper(config.gallery, config.visitors, encoder.card)
        # The last that can fail: it has a thread, and nobody would end that.
        roster = Roster(config.gallery, encoder.card, config.faces)
        recognizer = Recognizer(
            detector,
            encoder,
            roster,
            config.faces,
            self._publish,
            lambda given: self._report(recognizer, given),
            live=config.camera.pace == "realtime",
            continuity=continuity,
            keep=keeper.keep if config.visitors.enabled else None,
        )
        return Loaded(
            config,
            cards,
            recognizer,
            InTurn(recognizer, objects) if objects else recognizer,
            roster,
            keeper,
            Examiner(detector, encoder, config.faces.quality),
            self._make_watch(config, light, recognizer, roster) if light else None,
        )

    def _make_watch(
        self, config: Config, classifier: LightClassifier, recognizer: Recognizer, roster: Roster
    ) -> LightWatch:
        def changed(light: Light) -> None:
            now = _conditions(config, light)
            recognizer.adopt(now.faces)
            roster.adopt(now.faces)
            self.pipeline.adopt(now.motion)

        return LightWatch(classifier, config.light, self._publish, changed)

    def change(self, loaded: Loaded) -> Loaded:
        """Look with what was prepared from now on.

        Returns:
            What was there before, to be closed: that may have to wait for a disk. What its
            recogniser still tells has no effect, but that a face has gone.
        """
        before, self._loaded = self._loaded, loaded
        self._desk = self._make_desk()
        camera = loaded.config.camera

        def swap() -> None:
            same = camera == before.config.camera
            self.pipeline.change(loaded.looker, None if same else camera, loaded.watch)
            self.pipeline.adopt(camera.motion)
            if before.watch is not None and loaded.watch is not None:
                loaded.watch.take_over(before.watch)

        self.pipeline.do(swap)
        return before

    def _heed(self, recognizer: Recognizer, given: Input) -> None:
        """Tell the door, unless it was judged by settings that are not in force any more."""
        if recognizer is self._loaded.recognizer or isinstance(given, TrackLost):
            self._tell(given)


def _open_light(config: Config, encoder: EncoderCard, providers: list[str]) -> LightClassifier:
    for light in LABELS:
        rate = config.light.rules(light).fmr
        if rate is not None:
            encoder.threshold(rate, f"light.{light}.fmr")
    return open_light(config.light.model, providers, config.inference.threads)


def _conditions(config: Config, light: Light) -> Conditions:
    return conditions(config.faces, config.camera.motion, config.light.rules(light))
