"""`porter claim`: say who is there, for a door that wants to know before it looks."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.parameters import config_option

EPILOG = """\b
Examples:
  porter claim ada                 then look into the camera
"""


@click.command(epilog=EPILOG)
@click.argument("identity", metavar="ID")
@config_option
def command(identity: str, path: Path | None) -> None:
    """Claim to be ID, a name in the gallery, for a door with mode id+face.

    The door then waits for the face of just that person.
    """
    from daemon.config import load_config
    from daemon.control import Client

    said = Client(load_config(path).control).ask("claim", id=identity)
    click.echo(f"waiting {said['seconds']:g} s for the face of {said['person']}")
