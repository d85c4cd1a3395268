"""The `porter` command: finds the verb that is asked for and turns errors into exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from daemon import log
from daemon.errors import Interrupted, OutputError, PorterError

COMMANDS = {
    "run": "Listen and look, mind the door, and print what happens.",
    "listen": "Show the probability of the wake words live, or plot a recording.",
    "devices": "List the microphones and cameras.",
    "enroll": "Show somebody to Porter.",
    "words": "Enrol wake words from recordings; list, test, remove them.",
    "people": "List, remove, export people; say when they may come.",
    "verify": "Compare pictures with one person.",
    "identify": "Say who is in pictures.",
    "daynight": "Tell day from night in pictures.",
    "cluster": "Sort a pile of pictures by person.",
    "visitors": "Show strangers who came to the door, and forget them.",
    "detect": "Find people, bags, animals and vehicles in pictures and videos.",
    "style": "Paint pictures in the manner of another.",
    "claim": "Say who is there, before the door looks.",
    "unlock": "Open the door by hand, for a stated time.",
    "lock": "Shut the door by hand.",
    "status": "Show how the running daemon is.",
    "events": "Describe the events, or print their schema.",
    "config": "Check and show the configuration.",
    "doctor": "Check that everything Porter needs is there.",
}
"""What `porter --help` lists; the command itself is `daemon.cli.<verb>.command`."""

EPILOG = """\b
Examples:
  porter devices                      which microphones and cameras are there
  porter run                          listen to the default microphone
  porter enroll ada ada-1.jpg         show somebody to Porter
  porter run --camera 0               look, too
  arecord -q -t raw -f S16_LE -r 16000 | porter run --config pipe.yaml

\b
Exit codes:
   0  done, or stopped by SIGTERM or SIGINT
   1  porter doctor found something wrong; porter verify or identify no match;
      any other failure
   2  wrong usage of the command line
  65  a model or its card is missing or damaged
  66  no sound or picture: no such file or device, or damaged
  67  nobody and no word of this name is enrolled, no stranger has this number,
      or it cannot be a name
  69  the lock cannot be worked, or no daemon answers
  74  events or files cannot be written: full disk, closed pipe, no such folder
  77  the gallery cannot be used: damaged, a wrong key, or one others can read
  78  the configuration is wrong
 130  interrupted; porter detect and porter style wrote what they had so far
"""


class LazyGroup(click.Group):
    """A group that imports the module of a verb only when that verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"daemon.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; what it wrote must have arrived."""
        try:
            with output_errors():
                result = super().invoke(ctx)
                sys.stdout.flush()
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None
        return result


@contextmanager
def output_errors() -> Iterator[None]:
    """Turn a full disk or a closed pipe into an error that names it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OUTPUT_FAILURES:
            raise
        place = error.filename or "standard output"
        raise OutputError(f"{place}: {_OUTPUT_FAILURES[error.errno]}") from None


_OUTPUT_FAILURES = {
    errno.EPIPE: "closed by the program that reads it",
    errno.ENOSPC: "no space left on the disk; make room and start again",
    errno.EDQUOT: "the disk quota is used up; make room and start again",
    errno.EIO: "cannot be written: input/output error",
}


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="porter", message="porter %(version)s")
def porter() -> None:
    """Porter listens and looks, opens the door for whom it knows, and says so in JSON lines."""


def main() -> None:
    """Run the command line and exit with its code."""
    log.configure()
    try:
        with output_errors():
            porter()
    except PorterError as error:
        log.report(str(error))
        if isinstance(error, OutputError):
            # What is still buffered cannot be written either; Python would complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
