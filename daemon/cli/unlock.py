"""`porter unlock`: open the door by hand."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.parameters import Duration, config_option

EPILOG = """\b
Examples:
  porter unlock --for 5s --reason "a parcel"
  porter unlock --for 2m --reason "moving in a sofa"
"""


@click.command(epilog=EPILOG)
@click.option(
    "--for", "seconds", type=Duration(), required=True, help="How long, such as 5s or 2m."
)
@click.option("--reason", required=True, help="Why; it becomes part of the event.")
@config_option
def command(seconds: float, reason: str, path: Path | None) -> None:
    """Unlock the door for a stated time, through the running daemon.

    Not for longer than door.max_unlock_seconds. `porter lock` ends it before.
    """
    from daemon.config import load_config
    from daemon.control import Client

    said = Client(load_config(path).control).ask("unlock", seconds=seconds, reason=reason)
    click.echo(f"unlocked for {said['seconds']:g} s ({said['actuator']})")
