"""`porter doctor`: is everything there that Porter needs?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

EPILOG = """\b
Examples:
  porter doctor
  porter doctor --config /etc/porter/config.yaml
  porter doctor --json | jq '.checks[] | select(.ok == false)'
"""

_MARKS = {True: "✓", False: "✗", None: "-"}
_PLAIN_MARKS = {True: "ok ", False: "BAD", None: "-  "}


@click.command(epilog=EPILOG)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration; without it the one that porter run would use.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(ctx: click.Context, path: Path | None, as_json: bool) -> None:
    """Check versions, providers, models, microphones, permissions and the service.

    Each failure comes with what to do about it. Exit code 0 when all is well, else 1.
    """
    from daemon.doctor import examine

    checks = []
    group = ""
    marks = _MARKS if (sys.stdout.encoding or "").lower().startswith("utf") else _PLAIN_MARKS
    for check in examine(path):
        checks.append(check)
        if as_json:
            continue
        if check.group != group:
            group = check.group
            click.secho(group, bold=True)
        colour = {True: "green", False: "red", None: None}[check.ok]
        mark = click.style(marks[check.ok], fg=colour)
        click.echo(f"  {mark} {check.name:<12} {check.detail}")
        if check.fix:
            click.echo(f"    {'':<12} -> {check.fix}")
    well = not any(check.ok is False for check in checks)
    if as_json:
        report = {"ok": well, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    ctx.exit(0 if well else 1)
