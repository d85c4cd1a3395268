"""The service in a real systemd: a Debian is booted in a container and Porter installed in it.

The tests share one boot and follow one another like a day in the life of the service, so they are
to be run in their order. It hears tones through a FIFO in place of a microphone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import sounds
from tests.models import write_tone_model
from tests.systemd.container import Container, booted, wait_for

pytestmark = [pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(900)]

CONFIG = """\
audio: {source: pipe}
wake: {models: [{model: tones}]}
"""
FIFO = "/run/microphone"
DROP_IN = f"""\
[Service]
StandardInput=file:{FIFO}
# Shorter than it ships with, so that the tests need not wait.
WatchdogSec=4
TimeoutStopSec=3
RestartSec=1
"""
FEEDER = f"""\
[Service]
ExecStart=/usr/bin/python3 /srv/feeder.py {FIFO} /srv/tones.raw
"""
WALL = 0x40000000
"""Flag of wait(2): threads, too."""
CONFIG_FILE = "/etc/porter/config.yaml"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with booted(tmp_path_factory.mktemp("container")) as container:
        home = container.root / "srv"
        write_tone_model(home / "porter" / "models")
        (home / "feeder.py").write_text((Path(__file__).parent / "feeder.py").read_text())
        tones = sounds.scene(4.0, {1.0: sounds.LOW, 3.0: sounds.LOW})
        (home / "tones.raw").write_bytes(sounds.s16le(tones))
        units = container.root / "etc/systemd/system"
        (units / "feeder.service").write_text(FEEDER)
        yield container


def detections(machine: Container) -> list[dict[str, Any]]:
    return [event for event in machine.events() if event["type"] == "porter.wake.detected"]


def process(machine: Container) -> int:
    return int(machine.show("MainPID"))


def listen(machine: Container) -> None:
    """Bring the service to where it hears, wherever the test before left it."""
    (machine.root / CONFIG_FILE[1:]).write_text(CONFIG)
    machine.run("systemctl start feeder porter")
    before = len(detections(machine))
    wait_for("a detection", lambda: len(detections(machine)) > before)


def test_install_without_a_microphone_waits_for_one(machine: Container) -> None:
    said = machine.run("scripts/install", timeout=600)
    assert "porter.service waits for sound" in said
    assert machine.run("systemctl is-enabled porter") == "enabled"
    assert (machine.root / "opt/porter/current").is_symlink()
    config = (machine.root / CONFIG_FILE[1:]).read_text()
    assert "source: microphone" in config
    wait_for("a second attempt", lambda: int(machine.show("NRestarts")) >= 1)
    wait_for("exit code 66", lambda: machine.show("ExecMainStatus") == "66")
    machine.run("systemctl stop porter")


def test_ready_comes_only_when_sound_has_gone_through_the_models(machine: Container) -> None:
    (machine.root / CONFIG_FILE[1:]).write_text(CONFIG)
    drop_ins = machine.root / "etc/systemd/system/porter.service.d"
    drop_ins.mkdir()
    (drop_ins / "test.conf").write_text(DROP_IN)
    # A FIFO that is open and silent: everything is there, except for sound.
    machine.run(f"mkfifo {FIFO} && systemctl daemon-reload")
    machine.run(f"systemd-run --unit holder sh -c 'exec sleep 600 <>{FIFO}'")
    machine.run("systemctl start --no-block porter")
    wait_for("porter.started", lambda: machine.events())
    time.sleep(1.0)
    assert machine.show("ActiveState") == "activating"

    machine.run("systemctl start feeder")
    wait_for("readiness", lambda: machine.show("ActiveState") == "active")
    machine.run("systemctl stop holder")


def test_events_are_in_the_journal(machine: Container) -> None:
    listen(machine)
    found = detections(machine)[-1]
    assert found["data"]["word"] == "low"
    assert found["source"].startswith("porter/")
    # Time to live through: the FIFO is played by the wall clock.
    assert 0 < found["data"]["latency_ms"] < 2_000


def test_runs_as_a_user_of_its_own_without_privileges(machine: Container) -> None:
    listen(machine)
    status = machine.run(f"cat /proc/{process(machine)}/status")
    user = int(re.findall(r"^Uid:\s+(\d+)", status, re.MULTILINE)[0])
    assert 61_184 <= user <= 65_519  # systemd's range for dynamic users
    assert re.findall(r"^CapEff:\s+(\d+)", status, re.MULTILINE) == ["0" * 16]
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def test_exposure_is_low(machine: Container) -> None:
    report = machine.run("systemd-analyze security --no-pager porter.service || true")
    verdict = report.splitlines()[-1]
    print(verdict)
    score = float(re.findall(r"exposure level for porter.service: ([\d.]+)", verdict)[0])
    assert score <= 2.0


def test_reload_takes_a_good_configuration_and_refuses_a_bad_one(machine: Container) -> None:
    listen(machine)
    main = process(machine)
    (machine.root / CONFIG_FILE[1:]).write_text(CONFIG + "log: {level: debug}\n")
    machine.run("systemctl reload porter")
    wait_for("the reload", lambda: any("reloaded" in line for line in machine.journal()))

    (machine.root / CONFIG_FILE[1:]).write_text(CONFIG + "loge: {level: debug}\n")
    machine.run("systemctl reload porter")
    refusal = wait_for(
        "the refusal", lambda: [line for line in machine.journal() if "not reloaded" in line]
    )
    assert "loge" in refusal[0]
    assert "log" in refusal[0]
    before = len(detections(machine))
    wait_for("a detection after it", lambda: len(detections(machine)) > before)
    assert process(machine) == main
    assert machine.show("ActiveState") == "active"


def test_a_stopped_process_is_restarted_by_the_watchdog(machine: Container) -> None:
    listen(machine)
    main = process(machine)
    machine.run(f"kill -STOP {main}")
    wait_for("another process", lambda: process(machine) not in (0, main), 30)
    assert any("Watchdog timeout" in line for line in machine.journal())
    listen(machine)


def test_a_frozen_pipeline_is_restarted_by_the_watchdog(machine: Container) -> None:
    """Only the thread that listens is frozen; the rest of the process lives, and must not count."""
    listen(machine)
    main = process(machine)
    restarts = int(machine.show("NRestarts"))
    thread = pipeline_thread(machine, main)
    freeze(thread)
    try:
        wait_for(
            "a restart", lambda: _reap(thread) or int(machine.show("NRestarts")) > restarts, 30
        )
        wait_for("another process", lambda: process(machine) not in (0, main))
    finally:
        _reap(thread)
    listen(machine)


def pipeline_thread(machine: Container, main: int) -> int:
    """Id, here, of the thread that burns time while sound flows, other than the main thread."""
    outer = outer_process(machine, main)

    def used() -> dict[int, int]:
        tasks = Path(f"/proc/{outer}/task")
        stats = {int(task.name): (task / "stat").read_text() for task in tasks.iterdir()}
        fields = {thread: stat.rpartition(")")[2].split() for thread, stat in stats.items()}
        return {thread: int(field[11]) + int(field[12]) for thread, field in fields.items()}

    others = {thread: time for thread, time in used().items() if thread != outer}
    assert others, "the pipeline has no thread of its own"
    return max(others, key=others.__getitem__)


def outer_process(machine: Container, inner: int) -> int:
    """Process id outside of the container for one inside."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            ids = re.findall(r"^NSpid:\t(.*)$", status.read_text(), re.MULTILINE)[0].split()
        except (OSError, IndexError):
            continue
        same_space = len(ids) > 1 and ids[-1] == str(inner)
        if same_space and _space(int(ids[0])) == _space(machine.leader):
            return int(ids[0])
    raise AssertionError(f"no process {inner} in the container")


def _space(process: int) -> str:
    return str(Path(f"/proc/{process}/ns/pid").readlink())


def freeze(thread: int) -> None:
    """Stop one thread, and no other of its process, as a debugger does."""
    seize, interrupt = 0x4206, 0x4207
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (seize, interrupt):
        if libc.ptrace(request, thread, None, None):
            pytest.skip(f"ptrace is not allowed here: {os.strerror(ctypes.get_errno())}")
    os.waitpid(thread, WALL)


def _reap(thread: int) -> bool:
    """Let go of a traced thread that has died, without which its process does not end."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(thread, WALL | os.WNOHANG)
    return False


def test_a_microphone_can_be_used_from_inside_the_sandbox(machine: Container) -> None:
    """ALSA's null device in place of a microphone: PortAudio and its callback, but no sound."""
    (machine.root / "etc/asound.conf").write_text("pcm.!default { type null }\n")
    (machine.root / CONFIG_FILE[1:]).write_text("wake: {models: [{model: tones}]}\n")
    machine.run("systemctl restart porter")
    assert machine.show("ActiveState") == "active"
    started = [each for each in machine.events() if each["type"] == "porter.started"][-1]
    assert "ALSA" in started["data"]["audio"]
    machine.run("systemctl stop porter")


def test_stop_is_clean_and_quick(machine: Container) -> None:
    listen(machine)
    began = time.monotonic()
    machine.run("systemctl stop porter")
    assert time.monotonic() - began < 2.0
    assert machine.show("Result") == "success"
    last = machine.events()[-1]
    assert last["type"] == "porter.stopped"
    assert last["data"]["reason"] == "signal"


def test_a_wrong_configuration_is_not_tried_again_and_again(machine: Container) -> None:
    machine.run("systemctl stop porter")
    (machine.root / CONFIG_FILE[1:]).write_text("audio: {source: gramophone}\n")
    started = machine.attempt("systemctl start porter")
    assert started.returncode != 0
    time.sleep(2.0)
    assert machine.show("ActiveState") == "failed"
    assert machine.show("ExecMainStatus") == "78"
    assert "gramophone" in [line for line in machine.journal() if "error" in line][-1]


def test_upgrade_keeps_the_configuration_and_a_failed_one_the_old_version(
    machine: Container,
) -> None:
    listen(machine)
    main, release = process(machine), (machine.root / "opt/porter/current").readlink()
    machine.run("printf broken > /srv/porter-9-py3-none-any.whl")
    failed = machine.attempt("scripts/install /srv/porter-9-py3-none-any.whl", timeout=300)
    assert failed.returncode == 1
    assert len(failed.stdout.splitlines()) == 2, failed.stdout  # what it does, and why it failed
    assert process(machine) == main
    assert (machine.root / "opt/porter/current").readlink() == release

    machine.run("scripts/install", timeout=600)
    assert process(machine) not in (0, main)
    assert (machine.root / "opt/porter/current").readlink() != release
    assert (machine.root / CONFIG_FILE[1:]).read_text() == CONFIG
    listen(machine)


def test_uninstall_leaves_nothing(machine: Container) -> None:
    said = machine.run("scripts/uninstall")
    assert "kept /etc/porter" in said
    assert (machine.root / CONFIG_FILE[1:]).exists()
    machine.run("scripts/uninstall --purge")
    left = machine.run("find /etc /opt /var /run /tmp /usr/local -name '*porter*'")
    assert left == ""
    assert machine.show("LoadState") == "not-found"
