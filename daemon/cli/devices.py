"""`porter devices`: which microphones there are."""

from __future__ import annotations

import json

import click

EPILOG = """\b
Examples:
  porter devices
  porter run --device usb          part of a name is enough
"""


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(as_json: bool) -> None:
    """List the devices that can record, with their native rate and channels."""
    from daemon.audio.microphone import input_devices

    devices = input_devices()
    if as_json:
        click.echo(json.dumps([each.describe() for each in devices], ensure_ascii=False))
        return
    if not devices:
        click.echo("no device to record from; `porter doctor` looks for the reason", err=True)
        return
    for each in devices:
        mark = "*" if each.default else " "
        sound = f"{each.rate} Hz, channels: {each.channels}"
        click.echo(f"{mark} {each.index:>3}  {each.name}  ({each.api}, {sound})")
    click.echo("* is the default; choose another by its index or a part of its name", err=True)
