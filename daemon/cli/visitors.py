"""`porter visitors`: strangers who came to the door."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.parameters import config_option
from daemon.cli.people import counted
from daemon.cli.pictures import json_option

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.people.strangers import Stranger
    from daemon.people.visitors import Visitors

EPILOG = """\b
Examples:
  porter visitors                    who came, and how often
  porter visitors --json
  porter visitors forget 3           erase stranger 3 for good
  porter visitors forget --all

\b
Exit codes: 0 done, 67 there is no stranger of this number, 77 the visitors cannot be read.
"""


@click.group(epilog=EPILOG, invoke_without_command=True)
@json_option
@config_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, path: Path | None) -> None:
    """Show which strangers came to the door, and how often.

    The daemon keeps embeddings of unknown faces only with `visitors.enabled`, and only for
    `visitors.keep_days`. Numbers are in the order of the first visit; they change when a stranger
    is forgotten or becomes too old.
    """
    from daemon.config import load_config

    ctx.obj = path
    if ctx.invoked_subcommand is not None:
        return
    config = load_config(path)
    visitors = _open(config)
    found: list[Stranger] = []
    if visitors is not None:
        with visitors:
            found = _strangers(config, visitors)
    if as_json:
        click.echo(json.dumps({"strangers": [_facts(each) for each in found]}, indent=2))
        return
    for each in found:
        click.echo(_line(each))
    if not found:
        hint = "" if config.visitors.enabled else "; they are not kept: visitors.enabled is false"
        click.echo(f"no strangers{hint}", err=True)


@command.command(epilog="\b\nExamples:\n  porter visitors forget 3\n  porter visitors forget --all")
@click.argument("numbers", nargs=-1, type=click.IntRange(1), metavar="[N]...")
@click.option("--all", "everybody", is_flag=True, help="All of them, also of other encoders.")
@json_option
@config_option
@click.pass_context
def forget(
    ctx: click.Context,
    numbers: tuple[int, ...],
    everybody: bool,
    as_json: bool,
    path: Path | None,
) -> None:
    """Erase strangers N, as `porter visitors` numbers them, for good."""
    from daemon.config import load_config
    from daemon.errors import PersonError

    if everybody == bool(numbers):
        raise click.UsageError("give numbers of strangers, or --all")
    config = load_config(path or ctx.obj)
    visitors = _open(config)
    if visitors is None:
        if numbers:
            raise PersonError(f"{numbers[0]}: there is no such stranger; nobody is kept")
        click.echo(json.dumps({"faces": 0}) if as_json else "nothing was kept")
        return
    with visitors:
        if everybody:
            count = visitors.forget()
        else:
            known = {each.number: each for each in _strangers(config, visitors)}
            for number in numbers:
                if number not in known:
                    raise PersonError(f"{number}: there is no such stranger; porter visitors")
            ids = [each.id for number in set(numbers) for each in known[number].seen]
            count = visitors.forget(ids)
    click.echo(json.dumps({"faces": count}) if as_json else f"{counted(count, 'face')} erased")


def _open(config: Config) -> Visitors | None:
    """The visitors that are kept, without those that are too old; None if none ever were."""
    from daemon.people.visitors import open_visitors, visitors_path

    if not visitors_path(config.gallery).exists():
        return None
    visitors = open_visitors(config.gallery, config.visitors)
    visitors.expire()
    return visitors


def _strangers(config: Config, visitors: Visitors) -> list[Stranger]:
    from daemon.cards import find_card, read_card
    from daemon.people.matching import make_matcher
    from daemon.people.reading import read_gallery
    from daemon.people.records import EncoderId
    from daemon.people.strangers import strangers
    from daemon.vision.cards import EncoderCard

    card = read_card(find_card(config.faces.encoder), EncoderCard)
    with read_gallery(config.gallery) as gallery:
        known = gallery.templates(EncoderId.of(card))
    return strangers(
        visitors.all(EncoderId.of(card)),
        card,
        make_matcher(known, card, config.faces),
        60 * config.visitors.visit_minutes,
    )


def _facts(stranger: Stranger) -> dict[str, object]:
    return {
        "number": stranger.number,
        "visits": stranger.visits,
        "faces": len(stranger.seen),
        "first": _local(stranger.first).isoformat(timespec="seconds"),
        "last": _local(stranger.last).isoformat(timespec="seconds"),
        "person": stranger.person,
    }


def _line(stranger: Stranger) -> str:
    first, last = (f"{_local(each):%a %Y-%m-%d %H:%M}" for each in (stranger.first, stranger.last))
    when = first if stranger.visits == 1 else f"first {first}, last {last}"
    known = f"; enrolled since, as {stranger.person}" if stranger.person is not None else ""
    return f"stranger {stranger.number}: {counted(stranger.visits, 'visit')}, {when}{known}"


def _local(moment: float) -> datetime:
    return datetime.fromtimestamp(moment).astimezone()
