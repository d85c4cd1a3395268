"""`porter lock`: shut the door by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.parameters import config_option
from daemon.errors import ConfigError

if TYPE_CHECKING:
    from daemon.config import Config, LockConfig

EPILOG = """\b
Examples:
  porter lock
  porter lock --direct             when the daemon does not run
"""


@click.command(epilog=EPILOG)
@click.option(
    "--direct", is_flag=True, help="Work the configured actuator itself, without the daemon."
)
@config_option
def command(direct: bool, path: Path | None) -> None:
    """Lock the door now: ends a pulse, a manual unlock, and the wait for a face.

    With --direct it is worked without the daemon, as the service does when the daemon has ended.
    """
    from daemon.config import load_config, load_lock_config

    config: Config | LockConfig
    try:
        config = load_config(path)
    except ConfigError as error:  # a slip elsewhere in the file must not leave the door open
        config = load_lock_config(path)
        click.echo(f"{error}\nlocking all the same", err=True)
    if direct:
        from daemon.door.actuators import lock_directly

        lock_directly(config.door)
        return  # without a word: in the journal, the daemon's should be the last one
    from daemon.control import Client

    said = Client(config.control).ask("lock")
    click.echo(f"locked; state: {said['state']}")
