"""`porter config`: check and show the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from daemon.documents import Document
    from daemon.readiness import Obstacle

EPILOG = """\b
Examples:
  porter config check /etc/porter/config.yaml     could porter run start with it?
  porter config show > config.yaml                start one of your own
  porter config show --json | jq .wake            for scripts
"""

FILE = click.argument(
    "path", metavar="[FILE]", required=False, type=click.Path(path_type=Path, allow_dash=False)
)


@click.group(epilog=EPILOG)
def command() -> None:
    """Check and show the configuration.

    Without FILE: $PORTER_CONFIG, else /etc/porter/config.yaml, else the built-in default.
    """


@command.command()
@FILE
def check(path: Path | None) -> None:
    """Check whether porter run could start with a configuration, on this machine.

    Looks at the models, classes and false match rates of the parts that are switched on:
    audio.enabled, wake.enrolled.enabled (if words are enrolled, or the file names an encoder),
    camera.enabled, and with the camera light.enabled and objects.enabled. Models are checked by
    card and checksum; porter doctor runs them, too.

    Prints one line for each problem: file, line, field, and what would be right. Exit code 78 when
    the configuration is wrong, 65 when a model is, 67 when an enrolled word is.
    """
    from daemon import documents
    from daemon.config import load_daemon_config
    from daemon.paths import find_config
    from daemon.readiness import find_obstacles

    used = find_config(path)
    obstacles = find_obstacles(load_daemon_config(used))
    if obstacles:
        document = documents.read(used)
        worst = max((each.error for each in obstacles), key=lambda error: error.exit_code)
        lines = [line for each in obstacles for line in _lines(each, document)]
        raise type(worst)("\n".join(lines))
    click.echo(f"{used}: all right")


def _lines(obstacle: Obstacle, document: Document) -> Iterator[str]:
    from daemon.validation import field_name

    name = field_name(obstacle.setting)
    place = f"{document.path}:{document.line(obstacle.setting)}: {name}: "
    for line in str(obstacle.error).splitlines():
        yield place + line.removeprefix(f"{name}: ")


@command.command()
@FILE
@click.option("--json", "as_json", is_flag=True, help="JSON instead of YAML.")
def show(path: Path | None, as_json: bool) -> None:
    """Print the effective configuration: the file's settings, and the defaults for the rest."""
    from daemon.config import load_config
    from daemon.documents import dump

    data = load_config(path).model_dump(mode="json")
    if as_json:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        click.echo(dump(data), nl=False)


@command.command("path")
def where() -> None:
    """Print the path of the configuration in use."""
    from daemon.paths import find_config

    click.echo(find_config())
