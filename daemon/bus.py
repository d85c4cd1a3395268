"""Bounded fan-out from pipelines to sinks: a slow sink loses events, never delays a pipeline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from daemon.errors import OutputError
from daemon.events import Event

log = logging.getLogger(__name__)

QUEUE_EVENTS = 256
"""Events that wait for a slow sink before the newest are dropped."""


class Sink(Protocol):
    """Where events go."""

    name: str

    async def send(self, event: Event) -> None:
        """Deliver one event.

        Raises:
            OutputError: it cannot be delivered, nor can any later one.
        """

    async def drain(self) -> None:
        """Wait until everything that was sent is delivered."""

    async def close(self) -> None:
        """Give up what is not delivered yet, and release everything."""


class Bus:
    """Gives every event to every sink, each in its own task. Belongs to one event loop."""

    def __init__(self, failed: Callable[[OutputError], None]) -> None:
        self._failed = failed
        self._outlets: list[_Outlet] = []
        self._leaving: dict[asyncio.Task[None], _Outlet] = {}

    def add(self, sink: Sink) -> None:
        """Give `sink` every event from now on."""
        self._outlets.append(_Outlet(sink, self._failed))

    def publish(self, event: Event) -> None:
        """Hand an event out. Call it on the event loop."""
        for outlet in self._outlets:
            outlet.put(event)

    def remove(self, sinks: list[Sink], patience: float) -> None:
        """Give `sinks` nothing any more; they have `patience` seconds to deliver what waits."""
        for outlet in [outlet for outlet in self._outlets if outlet.sink in sinks]:
            self._outlets.remove(outlet)
            task = asyncio.create_task(outlet.finish(patience))
            self._leaving[task] = outlet
            task.add_done_callback(self._leaving.pop)

    async def close(self, patience: float) -> None:
        """Remove every sink, and wait for those that were removed before, but no longer either."""
        everyone = [*self._outlets, *self._leaving.values()]
        self._outlets.clear()
        await asyncio.gather(*(outlet.finish(patience) for outlet in everyone))


class _Outlet:
    """A sink, its queue and the task between them."""

    def __init__(self, sink: Sink, failed: Callable[[OutputError], None]) -> None:
        self.sink = sink
        self._failed = failed
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._dropped = 0
        self._broken = self._ending = False
        self._task = asyncio.create_task(self._deliver(), name=f"sink {sink.name}")

    def put(self, event: Event) -> None:
        """Queue an event, or drop it when the sink is too far behind."""
        if self._broken:
            return
        if self._queue.qsize() < QUEUE_EVENTS:
            self._queue.put_nowait(event)
            return
        self._dropped += 1
        if self._dropped & (self._dropped - 1) == 0:  # 1, 2, 4, ...: say it, but not each time
            log.warning("%s is too slow: %d events dropped", self.sink.name, self._dropped)

    async def finish(self, patience: float) -> None:
        """Deliver what waits, for at most `patience` seconds."""
        if not self._ending:
            self._queue.put_nowait(None)
        self._ending = True
        _, late = await asyncio.wait([self._task], timeout=patience)
        if late:
            left = self._dropped + self._queue.qsize() - 1  # the last is the end
            log.warning("%s did not finish in time: %d events dropped", self.sink.name, left)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _deliver(self) -> None:
        try:
            while (event := await self._queue.get()) is not None:
                await self.sink.send(event)
            await self.sink.drain()
        except OutputError as error:
            self._break(error)
        except Exception as error:
            log.exception("%s cannot go on", self.sink.name)
            self._break(OutputError(f"{self.sink.name}: {type(error).__name__}: {error}"))
        finally:
            await self.sink.close()

    def _break(self, error: OutputError) -> None:
        self._broken = True
        self._failed(error)
