"""A PulseAudio server of the test's own, whose null sink stands in for a room with a microphone.

PortAudio reaches it as a person's programs do: through ALSA's `pulse` device. Everything lives in
a private folder, so no other sound server is touched.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

ASOUNDRC = """\
pcm.pulse { type pulse }
ctl.pulse { type pulse }
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
SINK = "room"


class Pulse:
    """The server."""

    def __init__(self, folder: Path) -> None:
        for program in ("pulseaudio", "pactl", "paplay"):
            if shutil.which(program) is None:
                pytest.skip(
                    f"needs {program}: apt-get install pulseaudio pulseaudio-utils "
                    "libasound2-plugins"
                )
        self._socket = folder / "native"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "pulseaudio.log"
        (folder / ".asoundrc").write_text(ASOUNDRC)
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
                    "--use-pid-file=no", "--disable-shm=yes",
                    "-L", f"module-native-protocol-unix socket={self._socket} auth-anonymous=1",
                    "-L", f"module-null-sink sink_name={SINK} rate=48000 channels=2",
                ],
                env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 10
        while self._control("info").returncode:
            if time.monotonic() > deadline:
                pytest.skip(f"PulseAudio does not start here: {self._log.read_text()[-300:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it, as if the device was pulled out."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._socket.unlink(missing_ok=True)

    def play(self, sound: Path) -> None:
        """Play a file in the room, in real time."""
        command = ["paplay", "--device", SINK, "--latency-msec=50", str(sound)]
        subprocess.run(command, env=self.environment, check=True, timeout=60)

    def suspend(self, suspended: bool) -> None:
        """Let the microphone fall silent without going away, or speak again."""
        done = self._control("suspend-sink", SINK, str(int(suspended)))
        assert done.returncode == 0, done.stderr

    def _control(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["pactl", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, timeout=10, check=False
        )
