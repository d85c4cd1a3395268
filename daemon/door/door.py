"""The door: holds the policy's state, keeps its times, and passes its decisions on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from daemon.door.actuators import Actuator
from daemon.door.events import DoorEvent, DoorUnlocked, Turn
from daemon.door.inputs import (
    ActuatorFailed,
    Input,
    Recognized,
    RulesChanged,
    Starting,
    Stopping,
    Tick,
)
from daemon.door.memory import Memory
from daemon.door.policy import Lock, Rules, Unlock, deadline, step
from daemon.door.state import Armed, State


@dataclass(frozen=True, slots=True)
class DoorStatus:
    """How the door is, for people."""

    state: str
    """Name of the phase."""
    mode: str
    actuator: str
    seconds_left: float | None
    """Until the phase ends by itself; None: it does not."""
    claimed: str | None
    failures: int
    """That count towards a lockout."""
    unlocks: int
    """Since the start."""


class Door:
    """The one place that opens the door. Belongs to one event loop.

    Args:
        rules: the settings that the policy follows.
        actuator: what works the lock.
        publish: gets every event, in order, on the event loop.
        draw: draws a challenge, at random (:func:`daemon.vision.challenge.draw`).
        memory: keeps failures and lockouts over a restart; without one they are forgotten.
    """

    def __init__(
        self,
        rules: Rules,
        actuator: Actuator,
        publish: Callable[[DoorEvent], None],
        draw: Callable[[], tuple[Turn, ...]],
        memory: Memory | None = None,
    ) -> None:
        self._rules = rules
        self._actuator = actuator
        self._publish = publish
        self._draw = draw
        self._memory = memory
        self._state = State()
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self.unlocks = 0

    @property
    def state(self) -> State:
        """What the policy knows."""
        return self._state

    @property
    def rules(self) -> Rules:
        """The settings that the policy follows; new ones end a wait for a face, but no pulse."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._rules = rules
        self.handle(RulesChanged())

    async def start(self) -> None:
        """Lock, and take inputs from now on.

        Raises:
            DoorError: the lock cannot be worked.
        """
        await self._actuator.start(self._actuator_failed)
        if self._memory:
            self._state = self._memory.recall(self._rules.door.lockout, time.monotonic())
        self._running = True
        self.handle(Starting())

    def handle(self, given: Input) -> tuple[DoorEvent, ...]:
        """Let the policy decide, and do what it says; the events that came of it.

        Call it on the event loop; it does not block. Before the start and after the end nothing
        happens.
        """
        if not self._running:
            return ()
        if isinstance(given, Recognized) and self._rules.liveness.mode == "challenge":
            given = replace(given, challenge=self._draw())
        self._state, actions = step(self._state, given, time.monotonic(), self._rules)
        if self._memory:
            self._memory.note(self._state)
        said: list[DoorEvent] = []
        for action in actions:
            match action:
                case Unlock(seconds=seconds):
                    self._actuator.unlock(seconds)
                case Lock():
                    self._actuator.lock()
                case event:
                    said.append(event)
        self._wait()
        for event in said:
            self.unlocks += isinstance(event, DoorUnlocked)
            self._publish(event)
        return tuple(said)

    async def settled(self) -> str | None:
        """Wait until the lock has done what it was told; what went wrong, None if nothing did."""
        return await self._actuator.settled()

    def status(self) -> DoorStatus:
        """How the door is now."""
        phase, due = self._state.phase, deadline(self._state)
        return DoorStatus(
            state=phase.name,
            mode=self._rules.door.mode,
            actuator=self._actuator.name,
            seconds_left=None if due is None else round(max(0.0, due - time.monotonic()), 1),
            claimed=phase.claimed if isinstance(phase, Armed) else None,
            failures=len(self._state.failures),
            unlocks=self.unlocks,
        )

    async def stop(self) -> None:
        """Lock, and let go of the lock. Does nothing before the start."""
        if not self._running:
            return
        self.handle(Stopping())
        self._running = False
        if self._timer:
            self._timer.cancel()
        await self._actuator.close()
        if self._memory:
            await self._memory.close()

    def _wait(self) -> None:
        """See to it that the policy is asked again when a phase is over."""
        if self._timer:
            self._timer.cancel()
        due = deadline(self._state)
        loop = asyncio.get_running_loop()
        # The loop's clock is the monotonic one, too.
        self._timer = None if due is None else loop.call_at(due, self.handle, Tick())

    def _actuator_failed(self, reason: str) -> None:
        self.handle(ActuatorFailed(reason=reason))
