"""The door with everything that reaches it: control socket, badge reader, and who looks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from daemon.config import Config
from daemon.control import Control, socket_path
from daemon.door.actuators import make_actuator
from daemon.door.badge import BadgeReader
from daemon.door.door import Door
from daemon.door.events import DoorChallenge, DoorEvent, DoorUnlocked
from daemon.door.inputs import Input
from daemon.door.memory import FILE, Memory
from daemon.door.orders import claim, obey
from daemon.door.policy import Rules
from daemon.door.settings import DoorConfig
from daemon.errors import ControlError, PorterError
from daemon.events import Event
from daemon.paths import state_directory
from daemon.vision.challenge import draw

if TYPE_CHECKING:
    from daemon.vision.sight import Sight

log = logging.getLogger(__name__)


class Entrance:
    """Belongs to one event loop.

    Args:
        config: the whole configuration.
        sight: what looks; None when there is no camera.
        publish: makes an event of what the door says, and hands it out.
        status: what `porter status` shows besides the door.
        failed: is told what ends the daemon.
    """

    def __init__(
        self,
        config: Config,
        sight: Sight | None,
        publish: Callable[[DoorEvent], Event],
        status: Callable[[], Mapping[str, Any]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._config = config
        self._sight = sight
        self._publish = publish
        self._status = status
        self._failed = failed
        memory = Memory(state_directory() / FILE)
        rules = _rules(config, config.door)
        self._door = Door(rules, make_actuator(config.door), self._say, draw, memory)
        self._control: Control | None = None
        self._badges: asyncio.Task[None] | None = None

    @property
    def unlocks(self) -> int:
        """How often the door was unlocked."""
        return self._door.unlocks

    async def start(self) -> None:
        """Lock, and take orders, badges and faces from now on.

        Raises:
            DoorError: the lock cannot be worked.
            ControlError: there can be no control socket, and the door needs one.
        """
        await self._open_control()
        await self._door.start()
        badge = self._config.door.badge
        if badge is not None:
            reader = BadgeReader(badge.device, self._badge, self._config.camera.reopen_backoff)
            self._badges = asyncio.create_task(reader.run())
            self._badges.add_done_callback(self._badges_ended)

    async def stop(self) -> None:
        """Take nothing any more, and lock."""
        if self._badges:
            self._badges.cancel()
        try:
            if self._control:
                await self._control.stop()
        finally:
            await self._door.stop()

    def handle(self, given: Input) -> None:
        """Let the door decide what follows from what was heard or seen."""
        self._door.handle(given)

    def change(self, config: Config) -> None:
        """Follow other rules from the next input on; the lock itself stays the same."""
        for what in _fixed(self._config, config):
            log.warning("%s takes effect when Porter is started again", what)
        self._door.rules = _rules(config, self._config.door)
        if self._sight:
            self._sight.follow(self._door.state.phase)  # other rules may have ended a wait

    async def _open_control(self) -> None:
        control = Control(socket_path(self._config.control))
        obey(control, self._door, self._resolve, self._status)
        if self._sight:
            self._sight.obey(control)
        try:
            await control.start()
        except ControlError as error:
            # Who only listens can do without; a door must answer to `porter lock`.
            if self._config.door.mode != "wake" or self._config.door.actuator != "dry-run":
                raise
            log.warning("%s; going on without", error)
        else:
            self._control = control

    def _say(self, event: DoorEvent) -> None:
        published = self._publish(event)
        if self._sight is None:
            return
        if isinstance(event, DoorUnlocked) and event.evidence and event.person:
            self._sight.remember(published.id, event.person, event.evidence.track)
        if isinstance(event, DoorChallenge):
            self._sight.begin_challenge(event)
        self._sight.follow(self._door.state.phase)

    def _resolve(self, identity: str) -> str | None:
        """The person whom a claim names, if there is one."""
        return self._sight.resolve(identity) if self._sight else None

    def _badge(self, identity: str) -> None:
        try:
            claim(self._door, self._resolve, identity)
        except PorterError as error:
            log.warning("badge: %s", error)

    def _badges_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()):
            self._failed(failure)


def _rules(config: Config, started: DoorConfig) -> Rules:
    """What the policy follows: never more than the lock can do that the daemon started with."""
    longest = min(config.door.max_unlock_seconds, started.max_unlock_seconds)
    door = config.door.model_copy(
        update={
            "actuator": started.actuator,
            "max_unlock_seconds": longest,
            "unlock_seconds": min(config.door.unlock_seconds, longest),
        }
    )
    return Rules(door, config.faces.liveness)


def _fixed(old: Config, new: Config) -> list[str]:
    """Settings that a running door cannot change, and that differ from those it started with."""
    pairs = {
        "door.actuator": (_lock(old.door), _lock(new.door)),
        "door.badge": (old.door.badge, new.door.badge),
        "control.path": (old.control, new.control),
    }
    found = [name for name, (before, after) in pairs.items() if before != after]
    longer = new.door.max_unlock_seconds > old.door.max_unlock_seconds
    return [*found, "a longer door.max_unlock_seconds"] if longer else found


def _lock(door: DoorConfig) -> object:
    return door.actuator, door.command, door.gpio
