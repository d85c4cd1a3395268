"""`porter verify`: is it this person?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.comparison import Outputs, answer, comparison_options
from daemon.cli.parameters import config_option
from daemon.cli.pictures import pictures_argument

if TYPE_CHECKING:
    from daemon.inference import Provider

EPILOG = """\b
Examples:
  porter verify ada photo.jpg
  porter verify ada *.jpg --json
  porter verify ada holiday/ --provider cpu
  porter verify ada photo.jpg --plot out.png

\b
Exit codes: 0 every face is NAME, 1 one is not or is too bad to tell, 66 no picture could be
compared, 67 nobody has this name.
"""


@click.command(epilog=EPILOG)
@click.argument("name")
@pictures_argument
@comparison_options
@config_option
def command(
    name: str,
    given: tuple[Path, ...],
    as_json: bool,
    picture: Path | None,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Compare the face on each PICTURE with NAME (1:1).

    PICTURE is a file, a folder or a pattern. Prints distance, score, threshold, decision and
    quality. A face that is not good enough for the door is rejected here, too. Pictures that cannot
    be read are skipped and counted.
    """
    outputs = Outputs(as_json=as_json, plot=picture)
    answer(path, given, name, outputs, provider=provider)
