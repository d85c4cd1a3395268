"""The long-running daemon: starts the pipelines and the door, minds them, reloads, and stops.

Each pipeline is a thread of its own. Everything here runs on one event loop: the door, signals, the
watchdog, the control socket, and the sinks that events go to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from daemon import log as diagnostics
from daemon import process
from daemon.audio.detector import Detector, open_detectors
from daemon.audio.pipeline import Orders, Pipeline, describe_model
from daemon.audio.sources import make_source
from daemon.bus import Bus, Sink
from daemon.config import Config
from daemon.door import inputs
from daemon.door.entrance import Entrance
from daemon.door.events import DoorEvent
from daemon.errors import PorterError
from daemon.events import (
    AudioLost,
    Data,
    Event,
    Started,
    Stopped,
    WakeDetected,
    event_source,
    rfc3339,
)
from daemon.fields import CommandHook
from daemon.inference import choose_providers
from daemon.notify import Notifier, watchdog_seconds
from daemon.sinks.command import Commands
from daemon.sinks.jsonl import open_file, standard_output
from daemon.vision.events import FaceRecognized, LightChanged

if TYPE_CHECKING:
    from daemon.vision.pipeline import CameraPipeline
    from daemon.vision.sight import Loaded, Sight

log = logging.getLogger(__name__)

PIPELINE_PATIENCE = 0.4
"""Seconds that stopping pipelines may take; a device driver can hang."""
SINK_PATIENCE = 0.4
"""Seconds that sinks may take to deliver the rest after a signal."""

Reason = Literal["end of input", "signal", "error"]


def serve(load: Callable[[], Config]) -> None:
    """Run until sound and pictures end, a signal, or a failure.

    Args:
        load: reads the configuration; called again on SIGHUP.

    Raises:
        PorterError: what ended it, if that was not the end of the input or a signal.
    """
    asyncio.run(Service(load).run())


@dataclass(frozen=True, slots=True)
class Renewal:
    """What takes the place of what runs, at a reload."""

    config: Config
    detectors: list[Detector]
    sight: Loaded | None
    sinks: list[Sink]


class Service:
    """One run of the daemon."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self._load = load
        self._notifier = Notifier()
        self._bus = Bus(failed=self._end_by)
        self._config = Config()
        self._pipeline: Pipeline | None = None
        self._sight: Sight | None = None
        self._door: Entrance | None = None
        self._early: list[Event] | None = []
        """What the door said before it was said that Porter has started; None since then."""
        self._unready = 0
        """Pipelines that have not run once yet."""
        self._running = 0
        self._replaceable: list[Sink] = []
        self._ending: asyncio.Future[tuple[Reason, str | None]]
        self._failure: BaseException | None = None
        self._draining: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        """Set by SIGHUP: the configuration shall be read again."""
        self._ordered = 0
        """Number of the orders that the pipeline of sound was given last."""

    async def run(self) -> None:
        """Start, wait for the end, and stop."""
        loop = asyncio.get_running_loop()
        self._ending = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, "signal", number.name)
        loop.add_signal_handler(signal.SIGHUP, self._asked.set)
        try:
            await self._start(loop)
            duties = [asyncio.create_task(each()) for each in (self._watch, self._reload_if_asked)]
            reason, message = await self._ending
            for duty in duties:
                duty.cancel()
            await self._stop(reason, message)
        finally:
            if self._door:  # also when something failed on the way: the door is locked
                await self._door.stop()
        if self._failure is not None:
            raise self._failure

    async def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        config = self._config = self._load()
        diagnostics.configure(config.log.level)
        detectors = open_detectors(config) if config.audio.enabled else []
        self._replaceable = _sinks(config)

        def here(function: Callable[..., Any]) -> Callable[..., None]:
            """`function` for another thread to call: it runs on the loop."""
            return lambda *values: _call(loop, function, *values)

        if config.camera.enabled:
            from daemon.vision.sight import Sight  # OpenCV is large, and not everybody looks

            self._sight = Sight(
                config,
                here,
                publish=self._say_seen,
                tell=self._tell_door,
                looking=self._one_is_ready,
                finished=self._one_ended,
            )
            self._sight.open()
        if config.audio.enabled:
            source = make_source(config.audio)
            source.open()
            self._pipeline = Pipeline(
                source,
                Orders(detectors, config.audio, self._ordered),
                publish=here(self._say_heard),
                listening=here(self._one_is_ready),
                finished=here(self._sound_ended),
            )
        for sink in (standard_output(), *self._replaceable):
            self._bus.add(sink)
        self._door = Entrance(config, self._sight, self._say_door, self._status, self._end_by)
        await self._door.start()
        self._publish(self._started(detectors), "daemon")
        early, self._early = self._early, None
        for event in early or []:
            self._bus.publish(event)
        self._unready = self._running = len(self._threads)
        if not self._threads:
            self._become_ready()
        for thread in self._threads:
            thread.start()

    @property
    def _threads(self) -> list[Pipeline | CameraPipeline]:
        camera = self._sight.pipeline if self._sight else None
        return [each for each in (self._pipeline, camera) if each is not None]

    def _started(self, detectors: list[Detector]) -> Started:
        sight, door = self._sight, self._config.door
        words = [word.word for detector in detectors for word in detector.words]
        audio = self._pipeline.source.description if self._pipeline else None
        camera = sight.pipeline.description if sight else None
        provider = (
            detectors[0].provider
            if detectors
            else choose_providers(self._config.inference.provider)[0]
        )
        if audio:
            log.info("listening for %s on %s (%s)", ", ".join(words), audio, provider)
        if sight:
            log.info("looking at %s, %d people known", camera, sight.people)
        cards = [card for detector in detectors for card in detector.cards]
        cards += sight.cards if sight else []
        return Started(
            version=version("porter"),
            audio=audio,
            camera=camera,
            door=f"{door.mode}, {door.actuator}",
            people=sight.people if sight else None,
            words=words,
            models=[describe_model(card) for card in cards],
            provider=provider,
            startup_ms=round(process.age() * 1000, 1),
        )

    def _one_is_ready(self) -> None:
        self._unready -= 1
        if self._unready == 0:
            self._become_ready()

    def _become_ready(self) -> None:
        self._notifier.ready()

    def _say_heard(self, data: Data, orders: int) -> None:
        self._publish(data, self._config.audio.source)
        if not isinstance(data, WakeDetected):
            return
        if orders == self._ordered:
            self._tell_door(inputs.WakeHeard(word=data.word))
        else:
            log.info("%s was heard by the settings before: the door is not told", data.word)

    def _say_seen(self, data: Data) -> None:
        event = self._publish(data, "camera")
        if self._sight and isinstance(data, FaceRecognized):
            self._sight.remember(event.id, data.person, data.track)

    def _say_door(self, data: DoorEvent) -> Event:
        event = self._event(data, "door")
        if self._early is None:
            self._bus.publish(event)
        else:
            self._early.append(event)
        return event

    def _tell_door(self, given: inputs.Input) -> None:
        if self._door:
            self._door.handle(given)

    def _status(self) -> dict[str, Any]:
        """What `porter status` shows besides the door."""
        return {
            "audio": {"source": self._pipeline.source.description} if self._pipeline else None,
            "camera": {
                "source": self._sight.pipeline.description,
                "people": self._sight.people,
                "pictures": self._sight.pipeline.pictures,
                "light": self._sight.light,
            }
            if self._sight
            else None,
        }

    def _publish(self, data: Data, pipeline: str) -> Event:
        event = self._event(data, pipeline)
        self._bus.publish(event)
        return event

    def _event(self, data: Data, pipeline: str) -> Event:
        """What has happened now."""
        return Event(source=event_source(pipeline), time=rfc3339(time.time()), data=data)

    def _sound_ended(self) -> None:
        self._one_ended()
        pipeline = self._pipeline
        # A file was to end; a writer that closes its pipe leaves a daemon that cannot hear.
        if pipeline and pipeline.source.name == "pipe" and not self._ending.done():
            log.warning("standard input was closed; going on without sound")
            self._publish(AudioLost(reason="standard input was closed"), "pipe")

    def _one_ended(self) -> None:
        self._running -= 1
        for thread in self._threads:
            if thread.failure:
                self._end_by(thread.failure)
        if self._running == 0:
            self._end("end of input", None)

    def _end_by(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        self._end("error", str(failure) or type(failure).__name__)

    def _end(self, reason: Reason, message: str | None) -> None:
        if not self._ending.done():
            self._ending.set_result((reason, message))
        elif self._draining and reason == "signal":
            self._draining.cancel()

    async def _stop(self, reason: Reason, message: str | None) -> None:
        self._notifier.stopping()
        if self._door:
            await self._door.stop()
        for thread in self._threads:
            thread.stop()
        deadline = time.monotonic() + PIPELINE_PATIENCE
        while any(each.is_alive() for each in self._threads) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for thread in self._threads:
            if thread.is_alive():
                log.warning("%s: the device does not let go; leaving without it", thread.name)
        if self._sight:
            self._sight.close()
        self._publish(self._stopped(reason, message), "daemon")
        slowest = _slowest(self._config)
        patience = SINK_PATIENCE if reason == "signal" else slowest + SINK_PATIENCE
        self._draining = asyncio.create_task(self._bus.close(patience))
        with contextlib.suppress(asyncio.CancelledError):
            await self._draining

    def _stopped(self, reason: Reason, message: str | None) -> Stopped:
        pipeline = self._pipeline
        return Stopped(
            reason=reason,
            message=message,
            audio_seconds=round(pipeline.audio_seconds, 3) if pipeline else 0.0,
            pictures=self._sight.pipeline.pictures if self._sight else 0,
            overflows=pipeline.overflows if pipeline else 0,
            detections=dict(pipeline.detections) if pipeline else {},
            unlocks=self._door.unlocks if self._door else 0,
            cpu_seconds=round(time.process_time(), 3),
            wall_seconds=round(process.age(), 3),
            peak_memory_mb=round(process.peak_memory() / 1e6, 1),
        )

    async def _watch(self) -> None:
        """Feed systemd's watchdog while every pipeline shows life."""
        period = watchdog_seconds()
        if period is None:
            return
        last = [-1 for _ in self._threads]
        while True:
            beats = [each.beats for each in self._threads]
            stuck = [
                each.is_alive() and now == then
                for each, now, then in zip(self._threads, beats, last)
            ]
            if not any(stuck):
                self._notifier.alive()
            last = beats
            await asyncio.sleep(period / 3)

    async def _reload_if_asked(self) -> None:
        """One after the other; being asked again meanwhile leads to one more."""
        while await self._asked.wait():
            self._asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        """Read the configuration again; when it is wrong, say so and stay as we are."""
        was_ready = self._unready == 0
        if was_ready:
            self._notifier.reloading()
        try:
            # It takes a while, and the door must not wait for it to be locked.
            renewal = await asyncio.to_thread(self._renew)
            await self._apply(renewal)
        except PorterError as error:
            for line in str(error).splitlines():
                log.error("not reloaded: %s", line)
        except Exception:  # a mistake of ours: no reason to leave the door without its daemon
            log.exception("not reloaded")
        else:
            log.info("reloaded")
        if was_ready:
            self._notifier.ready()

    def _renew(self) -> Renewal:
        """Load what the configuration asks for by now. On another thread than the rest.

        Raises:
            PorterError: it cannot be had; then nothing of it stays.
        """
        config = self._load()
        for section in ("audio", "camera"):
            running = getattr(self._config, section)
            if getattr(config, section).enabled != running.enabled:
                log.warning("%s.enabled takes effect when Porter is started again", section)
                config = config.model_copy(update={section: running})
        detectors = open_detectors(config) if config.audio.enabled else []
        with contextlib.ExitStack() as undoing:
            sight = self._sight.prepare(config) if self._sight else None
            if sight:
                undoing.callback(sight.close)
            sinks = _sinks(config)
            undoing.pop_all()
        return Renewal(config, detectors, sight, sinks)

    async def _apply(self, new: Renewal) -> None:
        config = new.config
        diagnostics.configure(config.log.level)
        # Before the door's rules, and nothing in between: no match that was judged by the old
        # settings may meet the new rules.
        replaced = self._sight.change(new.sight) if self._sight and new.sight else None
        if self._door:
            self._door.change(config)
        if self._pipeline:
            self._ordered += 1
            self._pipeline.change(Orders(new.detectors, config.audio, self._ordered))
        slowest = _slowest(self._config)
        self._bus.remove(self._replaceable, slowest + SINK_PATIENCE)
        for sink in new.sinks:
            self._bus.add(sink)
        self._replaceable = new.sinks
        self._config = config
        if replaced and new.sight:
            await asyncio.to_thread(replaced.close)
            new.sight.keeper.start()


def _sinks(config: Config) -> list[Sink]:
    """The sinks that a configuration asks for, besides standard output."""
    sinks: list[Sink] = []
    if config.events.path is not None:
        sinks.append(open_file(config.events.path))
    if config.on:
        sinks.append(Commands("commands", lambda event: config.on.get(event.type)))
    if config.light.hooks:
        sinks.append(Commands("light commands", lambda event: _light_hook(config, event)))
    return sinks


def _light_hook(config: Config, event: Event) -> CommandHook | None:
    changed = event.data
    return config.light.rules(changed.light).run if isinstance(changed, LightChanged) else None


def _slowest(config: Config) -> float:
    """Seconds that the most patient command may take."""
    hooks = (*config.on.values(), *config.light.hooks)
    return max((hook.timeout for hook in hooks), default=0.0)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *values: Any) -> None:
    """Call on the loop, from a pipeline's thread; a loop that is gone needs no news."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *values)
