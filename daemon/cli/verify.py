"""`porter verify`: is it this person?"""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.comparison import answer, comparison_options
from daemon.cli.parameters import config_option

EPILOG = """\b
Examples:
  porter verify ada photo.jpg
  porter verify ada *.jpg --json
  porter verify ada photo.jpg --plot out.png

\b
Exit codes: 0 every face is NAME, 1 one is not or is too bad to tell, 66 no picture could be
compared, 67 nobody has this name.
"""


@click.command(epilog=EPILOG)
@click.argument("name")
@comparison_options
@config_option
def command(
    name: str, photos: tuple[Path, ...], as_json: bool, picture: Path | None, path: Path | None
) -> None:
    """Compare the face on each PHOTO with NAME (1:1).

    Prints distance, score, threshold, decision and quality. A face that is not good enough for the
    door is rejected here, too. Pictures that cannot be read are skipped and counted.
    """
    answer(path, photos, name, as_json=as_json, picture=picture)
