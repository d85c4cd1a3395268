"""`porter config`: check and show the configuration."""

from __future__ import annotations

import json
from pathlib import Path

import click

EPILOG = """\b
Examples:
  porter config check /etc/porter/config.yaml     is it right?
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
    """Check a configuration and the models that it names.

    Prints one line for each problem: file, line, field, and what would be right. Exit code 78 when
    the configuration is wrong, 65 when a model is.
    """
    from daemon.cards import load_wake_card
    from daemon.config import load_daemon_config
    from daemon.errors import ModelError
    from daemon.paths import find_config

    used = find_config(path)
    problems = []
    for each in load_daemon_config(used).wake.models:
        try:
            load_wake_card(each.model)
        except ModelError as error:
            problems.append(str(error))
    if problems:
        raise ModelError("\n".join(problems))
    click.echo(f"{used}: all right")


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
