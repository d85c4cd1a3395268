"""`porter run`: the daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.options import (
    audio_options,
    camera_option,
    override,
    override_camera,
    override_provider,
    provider_option,
)

if TYPE_CHECKING:
    from daemon.inference import Provider

EPILOG = """\b
Examples:
  porter run                                     listen to the default microphone
  porter run --device usb                        to the one with "usb" in its name
  porter run --camera 0                          and look at the first camera
  porter run --file talk.flac --fast             go through a recording
  arecord -q -t raw -f S16_LE -r 16000 -c 1 | porter run --pipe
"""


@click.command(epilog=EPILOG)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration; without it $PORTER_CONFIG, /etc/porter/config.yaml, or the built-in one.",
)
@audio_options
@camera_option
@click.option("--pipe", is_flag=True, help="Listen to raw 16-bit 16 kHz mono on standard input.")
@click.option(
    "--fast",
    is_flag=True,
    help="Go through files as fast as possible; of sound, too, unless none is listened to.",
)
@provider_option
def command(
    path: Path | None,
    file: Path | None,
    device: str | None,
    camera: str | None,
    pipe: bool,
    fast: bool,
    provider: Provider | None,
) -> None:
    """Listen and look, and print one JSON event a line (see `porter events`).

    SIGTERM and SIGINT stop it, SIGHUP makes it read the configuration again.
    """
    from daemon import log
    from daemon.config import Config, load_daemon_config
    from daemon.errors import PorterError
    from daemon.service import serve

    def change(config: Config) -> Config:
        config = override(config, file=file, device=device, pipe=pipe, fast=fast)
        return override_provider(override_camera(config, camera, fast=fast), provider)

    def load() -> Config:
        return load_daemon_config(path, change)

    code = 0
    try:
        serve(load)
    except PorterError as error:
        log.report(str(error))
        code = error.exit_code
    # Everything is said and written. Taking the interpreter apart would take as long as starting
    # it, and PortAudio's own clean-up could wait for ever for a device that does not let go.
    sys.stderr.flush()
    os._exit(code)
