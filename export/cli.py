"""The `porter-export` command: trains models and measures them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from daemon.errors import Interrupted, PorterError

COMMANDS = {
    "embed": "export.embedding.cli",
    "trunk": "export.trunk.cli",
    "wake": "export.wake.cli",
    "wordembed": "export.wordembed.cli",
    "facedetect": "export.faces.cli",
    "confirm": "export.confirmation.cli",
    "landmarks": "export.landmarks.cli",
    "daynight": "export.daynight.cli",
    "objects": "export.objects.cli",
    "label": "export.objects.cli",
    "features": "export.features.cli",
    "convert-vgg19": "export.features.cli",
    "style": "export.style.cli",
    "evaluate": "export.evaluate_cli",
}
"""Where each command lives; imported only when it is called, since torch takes seconds to load."""
ANEW = {"objects", "features", "style"}
"""Trainings by the clock: what is left of one that was cut off is no part of the next."""


class Commands(click.Group):
    """Commands by name, each imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is no such."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C is one line, as with `porter`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            anew = ctx.invoked_subcommand in ANEW
            does = "begins anew" if anew else "goes on from what is kept"
            raise Interrupted(f"interrupted; the same command {does}") from None


EPILOG = """\b
Exit codes:
   0  done
   1  any other failure
   2  wrong usage of the command line, or options that do not fit what there is to learn from
  65  a model or its card is missing or damaged
  66  nothing to learn from or to measure on: no such file, or damaged
  69  a voice that speaks is missing; scripts/voices
  74  a file cannot be written
 130  interrupted
"""


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="porter", message="porter-export %(version)s")
def cli() -> None:
    """Train Porter's models and measure them.

    \b
    Example, a word of your own from synthetic voices alone:
        porter-export wake --word "hello porter" --out models/
    """


def main() -> None:
    """Entry point: a failure is one line on stderr, and the exit code says of what kind."""
    from export.data.speech import EngineMissing

    try:
        cli()
    except PorterError as error:
        click.echo(f"porter-export: error: {error}", err=True)
        sys.exit(error.exit_code)
    except EngineMissing as error:
        click.echo(f"porter-export: error: {error}", err=True)
        sys.exit(69)  # EX_UNAVAILABLE


def existing_folder(path: Path | None, option: str) -> Path | None:
    """Checks a folder given by an option, so that hours of work do not end in a typing error."""
    if path is not None and not path.is_dir():
        raise click.BadParameter(f"{path} is not a folder", param_hint=option)
    return path


if __name__ == "__main__":
    main()
