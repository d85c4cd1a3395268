"""The long-running daemon: starts the pipeline, minds it, reloads, stops, and tells systemd.

The pipeline is a thread of its own. Everything here runs on one event loop: signals, the watchdog,
and the sinks that events go to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Literal

from daemon import log as diagnostics
from daemon import process
from daemon.audio.detector import Detector, open_detectors
from daemon.audio.pipeline import Orders, Pipeline, describe_model
from daemon.audio.sources import make_source
from daemon.bus import Bus, Sink
from daemon.config import Config
from daemon.errors import PorterError
from daemon.events import Data, Event, Started, Stopped, event_source, rfc3339
from daemon.notify import Notifier, watchdog_seconds
from daemon.sinks.command import Commands
from daemon.sinks.jsonl import open_file, standard_output

log = logging.getLogger(__name__)

PIPELINE_PATIENCE = 0.4
"""Seconds that a stopping pipeline may take; a device driver can hang."""
SINK_PATIENCE = 0.4
"""Seconds that sinks may take to deliver the rest after a signal."""

Reason = Literal["end of input", "signal", "error"]


def serve(load: Callable[[], Config]) -> None:
    """Run until the sound ends, a signal, or a failure.

    Args:
        load: reads the configuration; called again on SIGHUP.

    Raises:
        PorterError: what ended it, if that was not the end of the sound or a signal.
    """
    asyncio.run(Service(load).run())


class Service:
    """One run of the daemon."""

    def __init__(self, load: Callable[[], Config]) -> None:
        self._load = load
        self._notifier = Notifier()
        self._bus = Bus(failed=self._end_by)
        self._pipeline: Pipeline | None = None
        self._replaceable: list[Sink] = []
        self._config = Config()
        self._source = ""
        self._ready = False
        self._ending: asyncio.Future[tuple[Reason, str | None]]
        self._failure: BaseException | None = None
        self._draining: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Start, wait for the end, and stop."""
        loop = asyncio.get_running_loop()
        self._ending = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, "signal", number.name)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._start(loop)
        watchdog = asyncio.create_task(self._watch())
        reason, message = await self._ending
        watchdog.cancel()
        await self._stop(reason, message)
        if self._failure is not None:
            raise self._failure

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        config = self._config = self._load()
        diagnostics.configure(config.log.level)
        detectors = open_detectors(config)
        self._replaceable = _sinks(config)
        if config.audio.enabled:
            source = make_source(config.audio)
            source.open()
            self._pipeline = Pipeline(
                source,
                detectors,
                config.audio.reopen_backoff,
                publish=lambda data: _call(loop, self._bus.publish, self._event(data)),
                listening=lambda: _call(loop, self._become_ready),
                finished=lambda: _call(loop, self._pipeline_ended),
            )
        for sink in (standard_output(), *self._replaceable):
            self._bus.add(sink)
        self._source = event_source(config.audio.source if self._pipeline else "daemon")
        self._publish(self._started(detectors))
        if self._pipeline:
            self._pipeline.start()
        else:
            self._become_ready()

    def _started(self, detectors: list[Detector]) -> Started:
        provider = detectors[0].provider
        words = [word.word for detector in detectors for word in detector.words]
        audio = self._pipeline.source.description if self._pipeline else None
        log.info("listening for %s on %s (%s)", ", ".join(words), audio, provider)
        return Started(
            version=version("porter"),
            audio=audio,
            camera=None,
            door=f"{self._config.door.mode}, {self._config.door.actuator}",
            people=None,
            words=words,
            models=[describe_model(detector.card) for detector in detectors],
            provider=provider,
            startup_ms=round(process.age() * 1000, 1),
        )

    def _become_ready(self) -> None:
        self._ready = True
        self._notifier.ready()

    def _publish(self, data: Data) -> None:
        self._bus.publish(self._event(data))

    def _event(self, data: Data) -> Event:
        """What has happened now, on whatever thread."""
        return Event(source=self._source, time=rfc3339(time.time()), data=data)

    def _pipeline_ended(self) -> None:
        if self._pipeline and self._pipeline.failure:
            self._end_by(self._pipeline.failure)
        else:
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
        if self._pipeline:
            self._pipeline.stop()
            deadline = time.monotonic() + PIPELINE_PATIENCE
            while self._pipeline.is_alive() and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            if self._pipeline.is_alive():
                log.warning("the audio device does not let go; leaving without it")
        self._publish(self._stopped(reason, message))
        slowest = max((hook.timeout for hook in self._config.on.values()), default=0.0)
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
            pictures=0,
            overflows=pipeline.overflows if pipeline else 0,
            detections=dict(pipeline.detections) if pipeline else {},
            unlocks=0,
            cpu_seconds=round(time.process_time(), 3),
            wall_seconds=round(process.age(), 3),
            peak_memory_mb=round(process.peak_memory() / 1e6, 1),
        )

    async def _watch(self) -> None:
        """Feed systemd's watchdog while the pipeline shows life."""
        period = watchdog_seconds()
        if period is None:
            return
        beats = -1
        while True:
            now = self._pipeline.beats if self._pipeline else beats + 1
            if now != beats:
                self._notifier.alive()
            beats = now
            await asyncio.sleep(period / 3)

    def _reload(self) -> None:
        """Read the configuration again; when it is wrong, say so and stay as we are."""
        if not self._ready:
            return
        self._notifier.reloading()
        try:
            config = self._load()
            detectors = open_detectors(config)
            sinks = _sinks(config)
        except PorterError as error:
            for line in str(error).splitlines():
                log.error("not reloaded: %s", line)
        else:
            self._apply(config, detectors, sinks)
            log.info("reloaded")
        self._notifier.ready()

    def _apply(self, config: Config, detectors: list[Detector], sinks: list[Sink]) -> None:
        diagnostics.configure(config.log.level)
        if self._pipeline:
            unchanged = config.audio == self._config.audio
            source = None if unchanged else make_source(config.audio)
            orders = Orders(detectors, config.audio.reopen_backoff, source)
            self._pipeline.change(orders)
        slowest = max((hook.timeout for hook in self._config.on.values()), default=0.0)
        chore = asyncio.create_task(self._bus.remove(self._replaceable, slowest + SINK_PATIENCE))
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)
        for sink in sinks:
            self._bus.add(sink)
        self._replaceable = sinks
        self._config = config


def _sinks(config: Config) -> list[Sink]:
    """The sinks that a configuration asks for, besides standard output."""
    sinks: list[Sink] = []
    if config.events.path is not None:
        sinks.append(open_file(config.events.path))
    if config.on:
        sinks.append(Commands(config.on))
    return sinks


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *values: Event) -> None:
    """Call on the loop, from the pipeline's thread; a loop that is gone needs no news."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *values)
