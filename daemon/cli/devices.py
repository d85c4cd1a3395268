"""`porter devices`: which microphones and cameras there are."""

from __future__ import annotations

import json

import click

EPILOG = """\b
Examples:
  porter devices
  porter run --device usb          part of a microphone's name is enough
  porter run --camera 0            a camera by its number or path
"""


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(as_json: bool) -> None:
    """List the microphones, with their native rate and channels, and the cameras."""
    from daemon.audio.microphone import input_devices
    from daemon.vision.camera import list_cameras

    devices, cameras = input_devices(), list_cameras()
    if as_json:
        heard = [{"kind": "microphone"} | each.describe() for each in devices]
        seen = [{"kind": "camera", "path": path, "name": name} for path, name in cameras]
        click.echo(json.dumps(heard + seen, ensure_ascii=False))
        return
    for path, name in cameras:
        click.echo(f"  {path}  {name}  (camera)")
    if not devices:
        click.echo("no device to record from; `porter doctor` looks for the reason", err=True)
        return
    for each in devices:
        mark = "*" if each.default else " "
        sound = f"{each.rate} Hz, channels: {each.channels}"
        click.echo(f"{mark} {each.index:>3}  {each.name}  ({each.api}, {sound})")
    click.echo("* is the default; choose another by its index or a part of its name", err=True)
