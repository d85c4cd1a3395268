"""A relay on a GPIO line: with the real library's types, and with a chip that is a file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.door.actuators import lock_directly, make_actuator
from daemon.door.locks import GpioLock, Unusable
from daemon.door.settings import DoorConfig
from daemon.errors import DoorError
from tests.door.test_guard import DAEMON, gone, reached

SIMULATOR = Path("/sys/kernel/config/gpio-sim")
"""Where the kernel makes chips; `modprobe gpio-sim` and a mounted configfs bring it."""

FAKE = '''
"""A gpiod whose chip is a file: it gets the physical level of the line at each change."""
from types import SimpleNamespace
line = SimpleNamespace(
    Value=SimpleNamespace(ACTIVE=1, INACTIVE=0), Direction=SimpleNamespace(OUTPUT="output")
)

class LineSettings:
    def __init__(self, direction, output_value, active_low):
        assert direction == "output"
        self.output_value, self.active_low = output_value, active_low

def request_lines(path, config, consumer):
    return Request(path, config, consumer)

class Request:
    def __init__(self, path, config, consumer):
        open(path).close()
        assert consumer == "porter"
        self.path = path
        ((self.line, self.settings),) = config.items()
        self.set_value(self.line, self.settings.output_value)

    def set_value(self, line, value):
        assert line == self.line
        with open(self.path, "a") as file:
            file.write("high\\n" if value != self.settings.active_low else "low\\n")

    def release(self):
        with open(self.path, "a") as file:
            file.write("released\\n")
'''


@pytest.fixture
def chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in place of /dev/gpiochip0, and a library that works it, for this process's guards."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "gpiod.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.delitem(sys.modules, "gpiod", raising=False)
    path = tmp_path / "chip"
    path.touch()
    yield path
    sys.modules.pop("gpiod", None)


def config(chip: Path, active: str = "high") -> DoorConfig:
    return DoorConfig.model_validate(
        {"actuator": "gpio", "gpio": {"chip": chip, "line": 17, "active": active}}
    )


def levels(chip: Path) -> list[str]:
    return chip.read_text().split()


@pytest.mark.parametrize(
    ("active", "shut", "opened"), [("high", "low", "high"), ("low", "high", "low")]
)
def test_the_line_is_shut_except_during_a_pulse(chip, active, shut, opened):
    async def run() -> None:
        actuator = make_actuator(config(chip, active))
        await actuator.start(lambda reason: None)
        assert set(levels(chip)) == {shut}
        actuator.unlock(0.3)
        await reached(lambda: levels(chip)[-1] == opened)
        began = time.monotonic()
        await reached(lambda: levels(chip)[-1] == shut)
        assert 0.2 < time.monotonic() - began < 0.8
        actuator.unlock(60.0)
        await reached(lambda: levels(chip)[-1] == opened)
        await actuator.close()
        assert levels(chip)[-2:] == [shut, "released"]

    asyncio.run(run())


def test_a_daemon_that_is_killed_leaves_the_line_shut(chip):
    arguments = [sys.executable, "-c", DAEMON, config(chip).model_dump_json(), "60"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as daemon:
        guard = int(daemon.stdout.readline())
        deadline = time.monotonic() + 5
        while levels(chip)[-1] != "high" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert levels(chip)[-1] == "high"
        daemon.send_signal(signal.SIGKILL)
        assert gone(guard)
    assert levels(chip)[-2:] == ["low", "released"]


def test_a_chip_that_is_not_there_is_named(tmp_path, chip):
    async def run() -> None:
        missing = tmp_path / "none"
        with pytest.raises(DoorError, match=f"line 17 of {missing}: No such file or directory"):
            await make_actuator(config(missing)).start(lambda reason: None)

    asyncio.run(run())


def test_locking_without_a_daemon(chip):
    lock_directly(config(chip))
    assert levels(chip)[-2:] == ["low", "released"]


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(Unusable, match=r"pip install -c constraints.txt '\.\[gpio\]'"):
        GpioLock(chip="/dev/gpiochip0", line=17, active="high")


@pytest.mark.parametrize("active", ["high", "low"])
def test_the_real_library_gets_what_it_takes(monkeypatch, active):
    """All but the kernel: the settings are made by gpiod's own classes."""
    gpiod = pytest.importorskip("gpiod")
    Value = gpiod.line.Value
    asked = []
    request = SimpleNamespace(
        set_value=lambda line, value: asked.append((line, value)),
        release=lambda: asked.append("released"),
    )

    def request_lines(path, lines, consumer):
        asked.append((path, lines, consumer))
        return request

    monkeypatch.setattr(gpiod, "request_lines", request_lines)
    lock = GpioLock(chip="/dev/gpiochip0", line=17, active=active)
    ((path, lines, consumer), *_) = asked
    assert (path, list(lines), consumer) == ("/dev/gpiochip0", [17], "porter")
    settings = lines[17]
    assert isinstance(settings, gpiod.LineSettings)
    assert settings.direction is gpiod.line.Direction.OUTPUT
    assert settings.output_value is Value.INACTIVE
    assert settings.active_low is (active == "low")
    assert lock.begin("unlock", 5.0).finish() is lock.begin("lock", 0.0).finish() is None
    lock.close()
    assert asked[1:] == [
        (17, Value.ACTIVE),
        (17, Value.INACTIVE),
        (17, Value.INACTIVE),
        "released",
    ]


def test_a_line_that_cannot_be_set_is_a_problem(monkeypatch):
    gpiod = pytest.importorskip("gpiod")

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    request = SimpleNamespace(set_value=refuse, release=lambda: None)
    monkeypatch.setattr(gpiod, "request_lines", lambda *_, **__: request)
    lock = GpioLock(chip="/dev/gpiochip0", line=17, active="high")
    assert lock.begin("lock", 0.0).finish() == "line 17 cannot be set: Input/output error"


@pytest.fixture
def simulated():
    """A chip of the kernel's simulator, and the file with the level of its line 3."""
    if not os.access(SIMULATOR, os.W_OK):
        pytest.skip("needs the kernel module gpio-sim, and root")
    pytest.importorskip("gpiod")
    made = SIMULATOR / f"porter-{os.getpid()}"
    (made / "bank0").mkdir(parents=True)
    (made / "bank0" / "num_lines").write_text("8")
    (made / "live").write_text("1")
    chip = (made / "bank0" / "chip_name").read_text().strip()
    device = Path("/sys/devices/platform") / (made / "dev_name").read_text().strip()
    yield Path("/dev") / chip, device / chip / "sim_gpio3" / "value"
    (made / "live").write_text("0")
    (made / "bank0").rmdir()
    made.rmdir()


@pytest.mark.parametrize(("active", "shut", "opened"), [("high", "0", "1"), ("low", "1", "0")])
def test_a_line_of_the_kernel(simulated, active, shut, opened):
    chip, level = simulated
    chosen = DoorConfig.model_validate(
        {"actuator": "gpio", "gpio": {"chip": chip, "line": 3, "active": active}}
    )

    async def run() -> None:
        actuator = make_actuator(chosen)
        await actuator.start(lambda reason: None)
        assert level.read_text().strip() == shut
        actuator.unlock(0.5)
        await reached(lambda: level.read_text().strip() == opened)
        await reached(lambda: level.read_text().strip() == shut)
        with pytest.raises(DoorError, match="Device or resource busy"):
            lock_directly(chosen)
        await actuator.close()

    asyncio.run(run())
    lock_directly(chosen)
