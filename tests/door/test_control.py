"""The control socket: who may use it, what it takes, and that nothing sent to it does harm."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon import control
from daemon.control import Client, Control, Peer, client_paths, socket_path
from daemon.door.settings import ControlConfig
from daemon.errors import ControlError, PorterError
from daemon.validation import Settings


class Echo(Settings):
    text: str
    number: int = 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "porter.sock"


def serving(path: Path, story: Callable[[Control], Awaitable[None]]) -> list[tuple[Echo, Peer]]:
    """What was asked of a daemon at `path` while `story` took place."""
    asked: list[tuple[Echo, Peer]] = []

    async def echo(order: Echo, peer: Peer) -> dict[str, object]:
        asked.append((order, peer))
        if order.text == "refuse":
            raise PorterError("not today")
        if order.text == "crash":
            raise RuntimeError("a bug")
        if order.text == "sleep":
            await asyncio.sleep(60)
        return {"said": order.text}

    async def run() -> None:
        daemon = Control(path)
        daemon.on("echo", Echo, echo)
        await daemon.start()
        try:
            await story(daemon)
        finally:
            await daemon.stop()
        assert not path.exists()

    asyncio.run(run())
    return asked


async def ask(path: Path, *lines: bytes) -> list[dict]:
    """The answers to raw lines, until the daemon hangs up."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for line in lines:
        writer.write(line)
        answer = await asyncio.wait_for(reader.readline(), 5)
        if not answer:
            break
        answers.append(json.loads(answer))
    writer.close()
    return answers


def request(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def test_a_command_is_answered_and_the_asker_known(path):
    async def story(_: Control) -> None:
        client = Client(ControlConfig(path=path))
        said = await asyncio.to_thread(client.ask, "echo", text="grüße")
        assert said == {"said": "grüße"}

    ((order, peer),) = serving(path, story)
    assert order == Echo(text="grüße")
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.getuid(), os.getgid())
    assert f"uid {os.getuid()}, pid {os.getpid()}" in str(peer)


def test_one_client_can_ask_again_and_again(path):
    async def story(_: Control) -> None:
        lines = [request(command="echo", text=str(number)) for number in range(50)]
        answers = await ask(path, *lines)
        assert [each["result"]["said"] for each in answers] == [str(n) for n in range(50)]

    serving(path, story)


def test_what_nobody_waits_for_any_more_is_not_done(path):
    async def story(_: Control) -> None:
        client = Client(ControlConfig(path=path), patience=0.2)
        asking = asyncio.create_task(asyncio.to_thread(client.ask, "echo", text="open"))
        await asyncio.sleep(0)
        time.sleep(0.5)  # as a daemon that hangs, or was stopped
        with pytest.raises(ControlError, match=r"no answer within 0\.2 s"):
            await asking
        (late,) = await ask(path, request(command="echo", text="x", before=time.monotonic() - 0.1))
        assert late == {"ok": False, "error": "came too late; nothing was done"}
        (never,) = await ask(path, request(command="echo", text="x", before=float("nan")))
        assert not never["ok"]
        (beyond,) = await ask(path, b'{"command": "echo", "before": 1%s}\n' % (b"0" * 400))
        assert beyond == {"ok": False, "error": "a request must be a line of JSON"}

    assert serving(path, story) == []


def test_only_owner_and_group_may_use_it(path):
    async def story(_: Control) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        if os.geteuid() != 0:
            return
        for folder in path.parents:
            if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        groups, group = os.getgroups(), os.getegid()
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)
        try:
            with pytest.raises(ControlError, match="Permission denied"):
                Client(ControlConfig(path=path)).ask("echo", text="let me in")
        finally:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)

    assert serving(path, story) == []


def test_the_reason_of_a_refusal_is_the_error_and_the_log_says_who_asked(path, caplog):
    async def story(_: Control) -> None:
        client = Client(ControlConfig(path=path))
        with pytest.raises(PorterError, match=r"^not today$"):
            await asyncio.to_thread(client.ask, "echo", text="refuse")

    ((_, peer),) = serving(path, story)
    assert f"echo, asked for by {peer}, was refused: not today" in caplog.text


def test_a_bug_in_a_handler_is_logged_and_the_daemon_goes_on(path, caplog):
    async def story(_: Control) -> None:
        broken, well = await ask(
            path, request(command="echo", text="crash"), request(command="echo", text="still there")
        )
        assert broken == {"ok": False, "error": "failed; the daemon's log says why"}
        assert well["ok"]

    serving(path, story)
    assert "a bug" in caplog.text


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"\n", "a request must be a line of JSON"),
        (b"hello\n", "a request must be a line of JSON"),
        (b"\xff\xfe\n", "a request must be a line of JSON"),
        (b"[" * 5000 + b"\n", "a request must be a line of JSON"),
        (b'{"command": ' + b"9" * 5000 + b"}\n", "a request must be a line of JSON"),
        (b"[]\n", "a request must be an object with a command"),
        (b"7\n", "a request must be an object with a command"),
        (b'{"command": []}\n', "a request must be an object with a command"),
        (b"{}\n", "no such command; known here: echo"),
        (b'{"command": "rm"}\n', "no such command; known here: echo"),
        (b'{"command": "echo"}\n', "echo: text: Field required"),
        (b'{"command": "echo", "text": 7}\n', "echo: text: must be text"),
        (
            b'{"command": "echo", "text": "", "x": 1}\n',
            "echo: x: Extra inputs are not permitted",
        ),
        (
            b'{"command": "echo", "text": "", "number": NaN}\n',
            "echo: number: must be a whole number",
        ),
    ],
)
def test_a_bad_request_is_answered_with_what_is_wrong(path, line, error):
    async def story(_: Control) -> None:
        bad, good = await ask(path, line, request(command="echo", text="well"))
        assert bad == {"ok": False, "error": error}
        assert good == {"ok": True, "result": {"said": "well"}}

    serving(path, story)


def test_a_request_without_end_is_cut_short(path):
    async def story(_: Control) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"a" * 100_000)
        answer = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert answer["error"] == "a request may have 8192 bytes at most"
        writer.close()
        assert (await ask(path, request(command="echo", text="well")))[0]["ok"]

    serving(path, story)


def test_a_client_that_says_nothing_is_hung_up_on(path, monkeypatch):
    monkeypatch.setattr(control, "READ_PATIENCE", 0.2)

    async def story(_: Control) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"comm')
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    assert serving(path, story) == []


def test_a_handler_that_takes_too_long_is_given_up(path, monkeypatch):
    monkeypatch.setattr(control, "WORK_PATIENCE", 0.2)

    async def story(_: Control) -> None:
        (answer,) = await ask(path, request(command="echo", text="sleep"))
        assert answer == {"ok": False, "error": "not done within 0.2 s"}

    serving(path, story)


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(path):
    async def story(_: Control) -> None:
        client = Client(ControlConfig(path=path), patience=0.2)
        with pytest.raises(ControlError, match=r"no answer within 0\.2 s"):
            await asyncio.to_thread(client.ask, "echo", text="sleep")

    serving(path, story)


def test_a_crowd_is_told_to_wait(path):
    async def story(_: Control) -> None:
        crowd = [await asyncio.open_unix_connection(str(path)) for _ in range(8)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_unix_connection(str(path))
        answer = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert answer == {"ok": False, "error": "too many clients; try again"}
        for _, each in [*crowd, (reader, writer)]:
            each.close()
        await asyncio.sleep(0.05)
        assert (await ask(path, request(command="echo", text="well")))[0]["ok"]

    serving(path, story)


def test_stopping_does_not_wait_for_clients(path):
    async def story(daemon: Control) -> None:
        await asyncio.open_unix_connection(str(path))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await daemon.stop()
        assert time.monotonic() - began < 1

    serving(path, story)


def test_a_socket_that_cannot_be_removed_does_not_keep_the_door_from_locking(path, caplog):
    async def run() -> None:
        control = Control(path)
        await control.start()
        path.unlink()
        path.mkdir()
        await control.stop()

    asyncio.run(run())
    assert f"control.path: {path}: cannot be removed" in caplog.text


def test_a_second_daemon_refuses(path):
    async def story(_: Control) -> None:
        with pytest.raises(ControlError, match=f"another Porter listens at {path}; stop it"):
            await Control(path).start()
        assert (await ask(path, request(command="echo", text="well")))[0]["ok"]

    serving(path, story)


def test_the_socket_of_a_killed_daemon_is_replaced(path):
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom daemon.control import Control\n"
        "async def run():\n await Control(Path(sys.argv[1])).start()\n"
        " print('up', flush=True)\n await asyncio.sleep(60)\nasyncio.run(run())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout.readline() == b"up\n"
        killed.send_signal(signal.SIGKILL)
        killed.wait(5)
    assert path.is_socket()

    async def story(_: Control) -> None:
        assert (await ask(path, request(command="echo", text="well")))[0]["ok"]

    serving(path, story)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_socket_is_left_alone(path, kind):
    path.write_text("precious") if kind == "file" else path.mkdir()
    with pytest.raises(ControlError, match="is there, and is no socket; remove it"):
        asyncio.run(Control(path).start())
    assert path.exists()


def test_a_place_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ControlError, match="cannot be made"):
        asyncio.run(Control(tmp_path / "file" / "porter.sock").start())
    with pytest.raises(ControlError, match="too long"):
        asyncio.run(Control(tmp_path / ("x" * 120)).start())


def test_without_a_daemon_it_says_where_it_looked(path):
    with pytest.raises(ControlError, match=f"no Porter answers .{path}: No such file"):
        Client(ControlConfig(path=path)).ask("echo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    with pytest.raises(ControlError, match="Connection refused"):
        Client(ControlConfig(path=path)).ask("echo")
    listener.close()


def test_where_the_socket_is(tmp_path, monkeypatch):
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", "/state:/other")
    nowhere = ControlConfig()
    assert socket_path(nowhere) == Path("/state/porter.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert socket_path(nowhere) == Path("/run/user/1/porter.sock")
    assert client_paths(nowhere) == [
        Path("/run/porter/porter.sock"),
        Path("/run/user/1/porter.sock"),
        Path("/state/porter.sock"),
    ]
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
    assert socket_path(nowhere) == client_paths(nowhere)[0] == Path("/run/a/porter.sock")
    chosen = ControlConfig(path=tmp_path / "s")
    assert socket_path(chosen) == tmp_path / "s"
    assert client_paths(chosen) == [tmp_path / "s"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
LINES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"command": JSON | st.just("echo"), "text": JSON}).map(
        lambda value: json.dumps(value).encode()
    )
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=st.lists(LINES, max_size=20))
def test_whatever_is_sent_is_answered_or_hung_up_on(path, lines):
    sent = [line.replace(b"\n", b"") + b"\n" for line in lines]
    sent = [line for line in sent if b'"sleep"' not in line]

    async def story(_: Control) -> None:
        for answer in await ask(path, *sent):
            assert set(answer) in ({"ok", "result"}, {"ok", "error"})
        assert (await ask(path, request(command="echo", text="well")))[0]["ok"]

    serving(path, story)
