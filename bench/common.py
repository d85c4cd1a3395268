"""What the benchmarks share: options, tables, where the recordings and the models are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.errors import PorterError, SourceError

ROOT = Path(__file__).resolve().parent.parent
Command = TypeVar("Command", bound=Callable[..., Any])


def shared_option(command: Command) -> Command:
    """`--shared`: the folder of recordings and peers that are no part of Porter."""
    default = Path(os.environ.get("PORTER_SHARED", ROOT.parent / "shared"))
    return click.option(
        "--shared",
        type=click.Path(path_type=Path, file_okay=False),
        default=default,
        help="Folder with data/audio, teachers and peers. [default: $PORTER_SHARED or ../shared]",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`: facts for a program instead of a table."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")(command)


def need(path: Path, what: str) -> Path:
    """The path, if it is there.

    Raises:
        SourceError: it is not; the message names what is missing.
    """
    if not path.exists():
        raise SourceError(f"{path}: {what} not found; pass --shared FOLDER or set PORTER_SHARED")
    return path


@contextmanager
def plain_errors() -> Any:
    """Turn what a person can put right into one line and its exit code."""
    try:
        yield
    except PorterError as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(error.exit_code)


def show(facts: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Print a result."""
    click.echo(json.dumps(facts, indent=2) if as_json else text)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; numbers are formatted by the caller."""
    cells = [list(map(str, row)) for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def machine() -> str:
    """The processor, its cores, and how busy it is; timings mean nothing without them."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = os.getloadavg()[0]
    return f"{names[0] if names else os.uname().machine}, {os.cpu_count()} cores, load {load:.1f}"


def porter(
    *arguments: str | Path, config: Path | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start the real daemon, its events on a pipe; without `config`, the configuration in use."""
    if config is not None:
        arguments = ("--config", config, *arguments)
    command = [sys.executable, "-m", "daemon.cli.main", "run", *map(str, arguments)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, **options
    )


def process_kib(pid: int, key: str) -> int:
    """A size from /proc/PID/status, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))
