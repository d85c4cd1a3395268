"""`porter identify`: who is it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.comparison import Outputs, answer, comparison_options
from daemon.cli.parameters import config_option
from daemon.cli.pictures import MANY_FILES

if TYPE_CHECKING:
    from daemon.inference import Provider

EPILOG = """\b
Examples:
  porter identify photo.jpg
  porter identify *.jpg --json
  porter identify party.jpg --plot out.png
  porter identify --folder holiday --csv who.csv --sheet who.html
  porter identify --folder 2025 --folder 2026 --recursive --csv -

\b
Exit codes: 0 every face is somebody who is known, 1 one is not or is too bad to tell, 2 a wrong
option, 66 no picture could be compared, 74 an output cannot be written.
"""


@click.command(epilog=EPILOG)
@click.argument("given", nargs=-1, type=MANY_FILES, metavar="[PICTURE]...")
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=MANY_FILES,
    metavar="DIR",
    help="All pictures of a folder; may be given several times.",
)
@click.option("--recursive", is_flag=True, help="Folders inside of folders, too.")
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write a row for each face; - is standard output.",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a contact sheet: .html, or a picture such as .png.",
)
@comparison_options
@config_option
def command(
    given: tuple[Path, ...],
    folders: tuple[Path, ...],
    recursive: bool,
    table: Path | None,
    sheet: Path | None,
    as_json: bool,
    picture: Path | None,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Compare every face on each PICTURE with everybody who is known (1:N).

    PICTURE is a file, a folder or a pattern. Prints distance, score, threshold, decision and
    quality. A face that is not good enough for the door is rejected here, too. Pictures that cannot
    be read are skipped and counted.
    """
    from daemon.errors import SourceError

    if not given and not folders:
        raise click.UsageError("give pictures, or --folder")
    if as_json and table == Path("-"):
        raise click.UsageError("--json and --csv - both print; give --csv a file")
    for folder in folders:
        if not folder.is_dir():
            raise SourceError(f"--folder: {folder}: no such folder")
    outputs = Outputs(as_json=as_json, plot=picture, table=table, sheet=sheet)
    answer(path, [*given, *folders], None, outputs, provider=provider, recursive=recursive)
