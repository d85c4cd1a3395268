"""A badge reader: a device whose bytes are the kernel's own event structures."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.door.badge import _KEYS, LONGEST_ID, BadgeReader, Typist, open_device
from daemon.errors import DoorError
from daemon.fields import Backoff

EVENT = struct.Struct("llHHi")
"""struct input_event on 64-bit Linux: seconds, microseconds, type, code, value."""
SHIFT, ENTER, KEYPAD_ENTER = 42, 28, 96
CODES = {key: code for code, key in _KEYS.items() if code < 71}


def press(code: int) -> bytes:
    """A key goes down and up, each with its report."""
    report = EVENT.pack(0, 0, 0, 0, 0)
    return EVENT.pack(0, 0, 1, code, 1) + report + EVENT.pack(0, 0, 1, code, 0) + report


def typed(text: str, enter: int = ENTER) -> bytes:
    down, up = EVENT.pack(0, 0, 1, SHIFT, 1), EVENT.pack(0, 0, 1, SHIFT, 0)
    keys = [
        down + press(CODES[key.lower()]) + up if key.isupper() else press(CODES[key])
        for key in text
    ]
    return b"".join(keys) + press(enter)


class Reader:
    """A device as evdev opens it, fed through a pipe; a closed pipe is a pulled plug."""

    def __init__(self) -> None:
        self.fd, self._plug = os.pipe2(os.O_NONBLOCK)
        self.grabbed = self.closed = False

    def type(self, raw: bytes) -> None:
        os.write(self._plug, raw)

    def unplug(self) -> None:
        os.close(self._plug)

    def grab(self) -> None:
        self.grabbed = True

    def read(self):
        raw = os.read(self.fd, EVENT.size * 64)
        if not raw:
            raise OSError(errno.ENODEV, "No such device")
        for _, _, kind, code, value in EVENT.iter_unpack(raw):
            yield SimpleNamespace(type=kind, code=code, value=value)

    def close(self) -> None:
        if not self.closed:
            os.close(self.fd)
        self.closed = True


@dataclass
class Port:
    """Where readers are plugged in."""

    reader: Reader | None = None
    tries: int = 0

    def open(self, path: Path) -> Reader:
        self.tries += 1
        if self.reader is None:
            raise OSError(errno.ENOENT, "No such file or directory")
        return self.reader


def claims(story) -> list[str]:
    """The badges that were read while `story(port, reader, claimed)` took place."""
    claimed: list[str] = []

    async def run() -> None:
        port = Port()
        backoff = Backoff(initial=0.05, maximum=0.1)
        reader = BadgeReader(Path("/dev/input/badge"), claimed.append, backoff, port.open)
        task = asyncio.create_task(reader.run())
        await story(port, reader, claimed)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if port.reader:
            assert port.reader.closed

    asyncio.run(run())
    return claimed


async def reached(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_a_badge_is_what_was_typed_before_enter():
    async def story(port, reader, claimed):
        port.reader = Reader()
        await reached(lambda: reader.connected)
        assert port.reader.grabbed
        port.reader.type(typed("0012345678") + typed("Ab9-z", KEYPAD_ENTER))
        await reached(lambda: len(claimed) == 2)

    assert claims(story) == ["0012345678", "Ab9-z"]


def test_pieces_of_a_badge_belong_together():
    async def story(port, reader, claimed):
        port.reader = Reader()
        await reached(lambda: reader.connected)
        raw = typed("4711")
        for place in range(0, len(raw), EVENT.size):
            port.reader.type(raw[place : place + EVENT.size])
            await asyncio.sleep(0.002)
        await reached(lambda: claimed)

    assert claims(story) == ["4711"]


def test_a_reader_that_is_unplugged_is_waited_for(caplog):
    async def story(port, reader, claimed):
        await reached(lambda: port.tries >= 3)
        port.reader = first = Reader()
        await reached(lambda: reader.connected)
        first.type(typed("1") + press(CODES["2"]))
        await reached(lambda: claimed == ["1"])
        port.reader = None
        first.unplug()
        await reached(lambda: not reader.connected and first.closed)
        port.reader = Reader()
        await reached(lambda: reader.connected)
        port.reader.type(typed("3"))
        await reached(lambda: len(claimed) == 2)

    assert claims(story) == ["1", "3"]
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["badge reader /dev/input/badge: not plugged in; trying again"] * 2


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EBUSY, "taken by another program"), (errno.EACCES, "must be in the group input")],
)
def test_a_device_that_cannot_be_had_is_tried_again(number, said, caplog):
    async def story(port, reader, claimed):
        device = Reader()

        def refuse() -> None:
            raise OSError(number, os.strerror(number))

        device.grab = refuse
        port.reader = device
        await reached(lambda: port.tries >= 2)
        port.reader = Reader()
        await reached(lambda: reader.connected)

    assert claims(story) == []
    assert said in caplog.text


def strokes(raw: bytes, typist: Typist, now: float = 0.0) -> list[str]:
    events = [
        SimpleNamespace(type=kind, code=code, value=value)
        for _, _, kind, code, value in EVENT.iter_unpack(raw)
    ]
    return [badge for event in events if (badge := typist.take(event, now))]


def test_a_beginning_is_forgotten():
    typist = Typist()
    assert strokes(press(CODES["9"]), typist, 0.0) == []
    assert strokes(typed("12"), typist, 10.0) == ["12"]


def test_lost_strokes_spoil_a_badge():
    typist = Typist()
    strokes(press(CODES["1"]) + EVENT.pack(0, 0, 0, 3, 0), typist)
    assert strokes(press(ENTER), typist) == []


def test_a_key_held_down_counts_once():
    repeats = b"".join(EVENT.pack(0, 0, 1, CODES["7"], value) for value in (1, 2, 2, 2, 0))
    assert strokes(repeats + press(ENTER), Typist()) == ["7"]


def test_a_flood_of_keys_is_no_badge():
    typist = Typist()
    assert strokes(typed("1" * LONGEST_ID), typist) == ["1" * LONGEST_ID]
    assert strokes(typed("1" * (LONGEST_ID + 1)), typist) == []
    assert strokes(typed("2"), typist) == ["2"]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 0x2FF), st.integers(-(2**31), 2**31 - 1)),
        max_size=200,
    )
)
def test_any_events_make_badges_of_digits_and_letters_only(events):
    typist = Typist()
    for kind, code, value in events:
        badge = typist.take(SimpleNamespace(type=kind, code=code, value=value), 0.0)
        assert badge is None or (badge.isascii() and badge.replace("-", "0").isalnum())


def test_the_codes_are_the_kernels():
    ecodes = pytest.importorskip("evdev").ecodes
    names = {"-": "MINUS"}
    for code, key in _KEYS.items():
        found = ecodes.KEY[code]
        wanted = f"KEY_{'KP' if code >= 71 else ''}{names.get(key, key.upper())}"
        assert wanted in ([found] if isinstance(found, str) else found)
    assert (ecodes.KEY_ENTER, ecodes.KEY_KPENTER, ecodes.KEY_LEFTSHIFT) == (28, 96, 42)
    assert ecodes.KEY_RIGHTSHIFT == 54


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(DoorError, match=r"pip install -c constraints.txt '\.\[badge\]'"):
        open_device(Path("/dev/input/event0"))


def test_a_device_that_is_not_there_is_an_os_error(tmp_path):
    pytest.importorskip("evdev")
    with pytest.raises(FileNotFoundError):
        open_device(tmp_path / "none")


@pytest.mark.skipif(not os.access("/dev/uinput", os.W_OK), reason="needs /dev/uinput, and root")
def test_a_real_device_of_the_kernel():
    evdev = pytest.importorskip("evdev")

    def type_on(keyboard, text: str) -> None:
        for _, _, kind, code, value in EVENT.iter_unpack(typed(text)):
            keyboard.write(kind, code, value)

    async def run() -> None:
        claimed: list[str] = []
        keyboard = evdev.UInput(name="badge")
        path = Path(keyboard.device.path)
        reader = BadgeReader(path, claimed.append, Backoff(initial=0.05, maximum=0.1))
        task = asyncio.create_task(reader.run())
        await reached(lambda: reader.connected)
        other = evdev.InputDevice(str(path))
        type_on(keyboard, "Ab9-z")
        await reached(lambda: claimed == ["Ab9-z"])
        with pytest.raises(BlockingIOError):  # it is typed to nobody else
            next(other.read())
        other.close()
        keyboard.close()
        await reached(lambda: not reader.connected)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
