"""What `porter verify` and `porter identify` share: their options, and how they answer."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from daemon.cli.options import provider_option
from daemon.cli.pictures import Skipped, check_apart, json_option

if TYPE_CHECKING:
    from daemon.inference import Provider
    from daemon.people.comparison import Compared, Comparison
    from daemon.people.matching import Array, Match, Matcher

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where the answer goes, besides standard output."""

    as_json: bool = False
    plot: Path | None = None
    table: Path | None = None
    """CSV; `-` is standard output, in the place of the lines."""
    sheet: Path | None = None
    """Contact sheet: HTML, else a picture."""


def comparison_options(command: CommandT) -> CommandT:
    """Add `--json`, `--plot` and `--provider`."""
    plot = click.option(
        "--plot",
        "picture",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PNG",
        help="Draw the faces, and how near the nearest templates are.",
    )
    return json_option(plot(provider_option(command)))


def answer(
    path: Path | None,
    given: Sequence[Path],
    person: str | None,
    outputs: Outputs,
    *,
    provider: Provider | None,
    recursive: bool = False,
) -> None:
    """Compare pictures with one person, or with all; exit with 0 if all match, else 1.

    Args:
        path: of the configuration.
        given: files, folders and patterns; one among others that stands for nothing is skipped.
        person: with whom; None is everybody.
        outputs: where the answer goes.
        provider: what computes; None is as configured.
        recursive: whether folders inside of folders count, too.

    Raises:
        SourceError: no picture could be compared.
    """
    from daemon.cli.options import override_provider
    from daemon.cli.progress import progress
    from daemon.config import load_config
    from daemon.people.comparison import compare
    from daemon.people.enrolment import Rejected
    from daemon.people.matching import make_matcher
    from daemon.people.reading import read_gallery
    from daemon.people.records import EncoderId
    from daemon.vision.examination import open_examiner
    from daemon.vision.pictures import list_pictures

    empty: list[Rejected] = []
    photos = list_pictures(
        given,
        recursive=recursive,
        skip=lambda place, why: empty.append(Rejected(str(place), "unreadable", why)),
    )
    _check_outputs(photos, outputs)
    config = override_provider(load_config(path), provider)
    examiner = open_examiner(config)
    card = examiner.encoder.card
    drawn = outputs.plot is not None
    with read_gallery(config.gallery) as gallery:
        name = gallery.person(person).name if person is not None else None
        known = gallery.templates(EncoderId.of(card), pictures=drawn)
    question = _question(make_matcher(known, card, config.faces), name)
    with progress(photos, "comparing") as bar:
        found = compare(bar, examiner, question, one_face=name is not None, keep=drawn)
    found.skipped[:0] = empty
    skipped = Skipped()
    for flaw in found.skipped:
        skipped(f"{flaw.source}: {flaw.message}")
    facts = {"model": str(EncoderId.of(card)), "fmr": config.faces.fmr}
    _print(found, outputs, facts)
    skipped.sum_up(len(photos) + len(empty))
    if outputs.plot is not None:
        from daemon.cli.face_plot import draw

        draw(found.compared, known, outputs.plot)
    if outputs.sheet is not None:
        _write_sheet(found.compared, outputs.sheet)
    sys.stdout.flush()
    click.get_current_context().exit(0 if found.all_match else 1)


def _question(matcher: Matcher, person: str | None) -> Callable[[Array], Match]:
    if person is None:
        return matcher.identify
    return lambda probe: matcher.verify(probe, person)


def _check_outputs(photos: Sequence[Path], outputs: Outputs) -> None:
    """See to it that every output can be written, over nothing that is looked at or written."""
    from daemon.cli.figures import require_drawable

    table = outputs.table if outputs.table != Path("-") else None
    check_apart({"--plot": outputs.plot, "--csv": table, "--sheet": outputs.sheet}, photos)
    if outputs.plot is not None:
        require_drawable(outputs.plot, "--plot")
    if outputs.sheet is not None and not _is_page(outputs.sheet):
        require_drawable(outputs.sheet, "--sheet")


def _print(found: Comparison, outputs: Outputs, facts: dict[str, Any]) -> None:
    if outputs.table is not None:
        _write_table(found.compared, outputs.table)
    if outputs.as_json:
        facts |= {
            "faces": [each.facts() for each in found.compared],
            "skipped": [
                {"picture": flaw.source, "reason": flaw.reason, "message": flaw.message}
                for flaw in found.skipped
            ],
        }
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    elif outputs.table != Path("-"):
        for each in found.compared:
            click.echo(each.line())


def _write_table(compared: Sequence[Compared], path: Path) -> None:
    from daemon.errors import OutputError

    if not compared:
        return
    rows = [each.row() for each in compared]
    try:
        with click.open_file(str(path), "w", encoding="utf-8", errors="replace") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    except OSError as error:
        raise OutputError(f"--csv: {path}: cannot be written: {error.strerror}") from None


def _is_page(path: Path) -> bool:
    return path.suffix.lower() in (".html", ".htm")


def _write_sheet(compared: Sequence[Compared], path: Path) -> None:
    """Faces by person, then those who are not known."""
    import os

    from daemon.cli.contact_sheet import COLOURS, MOST_DRAWN, Section, Tile, draw, write_html

    order = {"match": 0, "unsure": 1, "unknown": 2, "rejected": 3}
    sections: dict[tuple[int, str], list[Tile]] = {}
    for each in compared:
        title = each.match.person if each.decision == "match" else each.decision
        tile = Tile(
            each.thumbnail,
            f"{each.photo.name}: {each.verdict}",
            os.path.relpath(each.photo.resolve(), path.resolve().parent),
            COLOURS[each.decision],
        )
        sections.setdefault((order[each.decision], str(title)), []).append(tile)
    found = [Section(title, tiles) for (_, title), tiles in sorted(sections.items(), key=_key)]
    if _is_page(path):
        write_html(path, f"{len(compared)} faces", found)
        return
    if len(compared) > MOST_DRAWN:
        click.echo(f"{path}: shows the first {MOST_DRAWN} of {len(compared)} faces", err=True)
    draw(path, found)


def _key(item: tuple[tuple[int, str], object]) -> tuple[int, str]:
    return item[0]
