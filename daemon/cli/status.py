"""`porter status`: how the door, the camera and the microphone are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from daemon.cli.parameters import config_option

EPILOG = """\b
Examples:
  porter status
  porter status --json | jq .door.state
"""


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def command(as_json: bool, path: Path | None) -> None:
    """Show how the running daemon is: door, camera, sound."""
    from daemon.config import load_config
    from daemon.control import Client

    said = Client(load_config(path).control).ask("status")
    if as_json:
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    for section, facts in said.items():
        click.secho(section, bold=True)
        for name, value in _facts(facts):
            click.echo(f"  {name:<16} {value}")


def _facts(facts: Any) -> list[tuple[str, Any]]:
    if not isinstance(facts, dict):
        return [("", "off" if facts is None else facts)]
    return [
        (name.replace("_", " "), "-" if value is None else value) for name, value in facts.items()
    ]
