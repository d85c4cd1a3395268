"""What `porter verify` and `porter identify` share: their options, and how they answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from daemon.people.matching import Array, Match, Matcher

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def comparison_options(command: CommandT) -> CommandT:
    """Add the pictures, `--json` and `--plot`."""
    photos = click.argument(
        "photos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO..."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    plot = click.option(
        "--plot",
        "picture",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PNG",
        help="Draw the faces, and how near the nearest templates are.",
    )
    return photos(as_json(plot(command)))


def answer(
    path: Path | None,
    photos: tuple[Path, ...],
    person: str | None,
    *,
    as_json: bool,
    picture: Path | None,
) -> None:
    """Compare pictures with one person, or with all; exit with 0 if all match, else 1.

    Raises:
        SourceError: no picture could be compared.
    """
    from daemon.config import load_config
    from daemon.errors import SourceError
    from daemon.people.comparison import compare
    from daemon.people.gallery import open_gallery
    from daemon.people.matching import make_matcher
    from daemon.people.records import EncoderId
    from daemon.vision.examination import open_examiner

    if picture is not None:
        from daemon.cli.plot import require_matplotlib

        require_matplotlib()
    config = load_config(path)
    examiner = open_examiner(config)
    card = examiner.encoder.card
    with open_gallery(config.gallery) as gallery:
        name = gallery.person(person).name if person is not None else None
        known = gallery.templates(EncoderId.of(card), pictures=picture is not None)
    matcher = make_matcher(known, card, config.faces)
    found = compare(photos, examiner, _question(matcher, name), one_face=name is not None)
    for flaw in found.skipped:
        click.echo(f"{flaw.source}: skipped: {flaw.message}", err=True)
    if as_json:
        facts = {
            "model": str(EncoderId.of(card)),
            "fmr": config.faces.fmr,
            "faces": [each.facts() for each in found.compared],
            "skipped": [
                {"picture": flaw.source, "reason": flaw.reason, "message": flaw.message}
                for flaw in found.skipped
            ],
        }
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        for each in found.compared:
            click.echo(each.line())
    if found.skipped:
        click.echo(f"{len(found.skipped)} of {len(photos)} pictures skipped", err=True)
    if not found.compared:
        raise SourceError("no picture could be compared")
    if picture is not None:
        from daemon.cli.face_plot import draw

        draw(found.compared, known, picture)
    sys.stdout.flush()
    click.get_current_context().exit(0 if found.all_match else 1)


def _question(matcher: Matcher, person: str | None) -> Callable[[Array], Match]:
    if person is None:
        return matcher.identify
    return lambda probe: matcher.verify(probe, person)
