"""`porter identify`: who is it?"""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.comparison import answer, comparison_options
from daemon.cli.parameters import config_option

EPILOG = """\b
Examples:
  porter identify photo.jpg
  porter identify *.jpg --json
  porter identify party.jpg --plot out.png

\b
Exit codes: 0 every face is somebody who is known, 1 one is not or is too bad to tell, 66 no picture
could be compared.
"""


@click.command(epilog=EPILOG)
@comparison_options
@config_option
def command(
    photos: tuple[Path, ...], as_json: bool, picture: Path | None, path: Path | None
) -> None:
    """Compare every face on each PHOTO with everybody who is known (1:N).

    Prints distance, score, threshold, decision and quality. A face that is not good enough for the
    door is rejected here, too. Pictures that cannot be read are skipped and counted.
    """
    answer(path, photos, None, as_json=as_json, picture=picture)
