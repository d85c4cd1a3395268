"""What people can tell the door through the control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from daemon.control import Control, Peer, Result
from daemon.door.door import Door
from daemon.door.events import DoorArmed, DoorDenied, DoorUnlocked
from daemon.door.inputs import Claimed, ManualLock, ManualUnlock
from daemon.errors import DoorError, PorterError
from daemon.validation import Settings, Text


class ClaimOrder(Settings):
    """Somebody says who they are."""

    id: Annotated[Text, Field(max_length=128)]


class UnlockOrder(Settings):
    """Open for a while, and say why."""

    seconds: float = Field(gt=0)
    reason: Annotated[Text, Field(max_length=200)]


class LockOrder(Settings):
    """Shut."""


class StatusOrder(Settings):
    """Say how things are."""


def claim(door: Door, resolve: Callable[[str], str | None], identity: str) -> DoorArmed:
    """Take a claim, from a command or a badge.

    Args:
        door: what it is for.
        resolve: finds the person of a name or a badge's number; None: there is no such person.
        identity: what was claimed.

    Raises:
        PorterError: why it was not taken.
    """
    if door.rules.door.mode != "id+face":
        raise PorterError(f"claims are for door.mode id+face; it is {door.rules.door.mode}")
    person = resolve(identity)
    said = door.handle(Claimed(person=person or identity, known=person is not None))
    # An earlier claim that ran out just now is among the events, too.
    last = said[-1] if said else None
    if isinstance(last, DoorArmed):
        return last
    for event in said:
        if isinstance(event, DoorDenied) and event.reason != "nobody came":
            raise PorterError(f"denied: {event.message}")
    raise PorterError(f"not taken: the door is in state {door.status().state}")


def obey(
    control: Control,
    door: Door,
    resolve: Callable[[str], str | None],
    status: Callable[[], Mapping[str, Any]],
) -> None:
    """Let the control socket's `claim`, `unlock`, `lock` and `status` reach the door.

    Args:
        control: the socket.
        door: what the orders are for.
        resolve: as in :func:`claim`.
        status: what `status` shows besides the door, by section.
    """

    async def take_claim(order: ClaimOrder, peer: Peer) -> Result:
        armed = claim(door, resolve, order.id)
        return {"person": armed.claimed, "seconds": armed.seconds}

    async def unlock(order: UnlockOrder, peer: Peer) -> Result:
        longest = door.rules.door.max_unlock_seconds
        if order.seconds > longest:
            raise PorterError(f"at most {longest:g} s are allowed (door.max_unlock_seconds)")
        said = door.handle(ManualUnlock(seconds=order.seconds, reason=order.reason, by=str(peer)))
        for event in said:
            if isinstance(event, DoorUnlocked):
                if problem := await door.settled():
                    raise DoorError(f"door.actuator {event.actuator}: {problem}")
                return {"seconds": event.seconds, "actuator": event.actuator}
        raise PorterError("the door does not take orders now")

    async def lock(order: LockOrder, peer: Peer) -> Result:
        if not door.handle(ManualLock(by=str(peer))):
            raise PorterError("the door does not take orders now")
        if problem := await door.settled():
            raise DoorError(f"door.actuator {door.status().actuator}: {problem}")
        return {"state": door.status().state}

    async def show(order: StatusOrder, peer: Peer) -> Result:
        return {"door": asdict(door.status()), **status()}

    control.on("claim", ClaimOrder, take_claim)
    control.on("unlock", UnlockOrder, unlock)
    control.on("lock", LockOrder, lock)
    control.on("status", StatusOrder, show)
