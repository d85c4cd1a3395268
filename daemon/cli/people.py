"""`porter people`: who is known, and what is kept of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from daemon.cli.parameters import config_option

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.people.gallery import Gallery
    from daemon.people.records import EncoderId
    from daemon.vision.cards import EncoderCard

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

EPILOG = """\b
Examples:
  porter people                                     who is known
  porter people remove ada                          erase her for good
  porter people schedule ada mon-fri 08:00-18:00    when she may come in
  porter people not ada 3f2a9c0d11e2b4a7-12         that event was not her
  porter people export people.porter                to another device
"""


@click.group(epilog=EPILOG, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@config_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, path: Path | None) -> None:
    """List who is enrolled; with a command, change what is kept of them."""
    ctx.obj = path
    if ctx.invoked_subcommand is not None:
        return
    from daemon.people.reading import read_gallery

    config = _config(path)
    with read_gallery(config.gallery) as gallery:
        people = gallery.people(_encoder(config))
    if as_json:
        rows = [asdict(each) | {"schedule": str(each.schedule)} for each in people]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not people:
        click.echo("nobody is enrolled yet: porter enroll NAME PHOTO", err=True)
    width = max((len(each.name) for each in people), default=0)
    for each in people:
        facts = [counted(each.templates, "template")]
        facts += [f"{each.stale} of another encoder"] if each.stale else []
        facts += [counted(each.decoys, "decoy")] if each.decoys else []
        facts += [f"{counted(each.pictures, 'picture')} kept"] if each.pictures else []
        click.echo(f"{each.name:<{width}}  {', '.join(facts)}; {each.schedule}")
    if any(each.stale for each in people):
        click.echo("templates of another encoder are never compared: porter people re-enroll")


@command.command(epilog="\b\nExample:\n  porter people remove ada --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def remove(path: Path | None, name: str, yes: bool) -> None:
    """Erase NAME for good: templates, decoys, pictures, and what events left of them."""
    _, gallery = _open(path)
    with gallery:
        person = gallery.person(name)
        if not yes:
            click.confirm(f"Erase {person.name} for good?", abort=True, err=True)
        gallery.remove(name)
    click.echo(f"{person.name}: erased")


@command.command(
    epilog="\b\nExamples:\n"
    "  porter people schedule ada mon-fri 08:00-18:00 sat 10:00-14:00\n"
    "  porter people schedule ada daily 22:00-06:00 until 2026-12-31\n"
    "  porter people schedule ada always"
)
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[SCHEDULE]...")
@config_option
def schedule(path: Path | None, name: str, words: tuple[str, ...]) -> None:
    """Set when NAME may come in; without SCHEDULE, show it.

    Days and hours, as often as needed; hours may go past midnight. `from DATE` and `until DATE` set
    the first and the last day. Outside of it the person is recognised, and the door stays shut.
    """
    from daemon.people.schedule import ScheduleError, parse_schedule

    try:
        wanted = parse_schedule(" ".join(words))
    except ScheduleError as error:
        raise click.UsageError(str(error)) from None
    _, gallery = _open(path)
    with gallery:
        person = gallery.person(name)
        if words:
            gallery.set_schedule(name, wanted)
    click.echo(f"{person.name}: {wanted if words else person.schedule}")


@command.command(
    "not",
    epilog="\b\nExamples:\n"
    "  porter people not ada 3f2a9c0d11e2b4a7-12      the id of an event that said ada\n"
    "  porter people not ada stranger.jpg\n"
    "  porter people not ada --clear                  forget all decoys",
)
@click.argument("name")
@click.argument("what", metavar="[EVENT|PHOTO]", required=False)
@click.option("--clear", is_flag=True, help="Forget all decoys of NAME.")
@config_option
def wrong(path: Path | None, name: str, what: str | None, clear: bool) -> None:
    """Say that a face was not NAME, though it was taken for NAME.

    The face becomes a decoy: whoever is about as near to it as to NAME is not let in any more. An
    event can be named for seven days.
    """
    from daemon.errors import PersonError
    from daemon.people.enrolment import repeated
    from daemon.people.mistakes import decoy_of_event, decoy_of_picture
    from daemon.vision.examination import open_examiner

    if clear == bool(what):
        raise click.UsageError("give the id of an event or a picture, or --clear")
    config, gallery = _open(path)
    with gallery:
        person = gallery.person(name)
        if what is None:
            click.echo(f"{person.name}: {counted(gallery.remove_decoys(name), 'decoy')} forgotten")
            return
        decoy = (
            decoy_of_picture(open_examiner(config), Path(what), keep=config.gallery.keep_pictures)
            if Path(what).exists()
            else decoy_of_event(gallery, person.name, what)
        )
        for known in gallery.templates(decoy.encoder, person=person.name):
            if not repeated(decoy, [known]):
                continue
            if known.role == "own":
                same = f"the same picture as {known.source}, which is {person.name}'s own"
                raise PersonError(f"{what}: {same}")
            click.echo(f"{person.name}: the face is a decoy already")
            return
        gallery.add_decoy(name, decoy)
    click.echo(f"{person.name}: the face is a decoy now")


@command.command("re-enroll", epilog="\b\nExample:\n  porter people re-enroll")
@config_option
def renew(path: Path | None) -> None:
    """Take the present encoder for everybody whose pictures were kept.

    For after a change of `faces.encoder`. Who has no kept pictures must be enrolled again.
    """
    from daemon.people.enrolment import Rejected, reembed
    from daemon.people.records import EncoderId
    from daemon.vision.examination import open_examiner

    config, gallery = _open(path)
    examiner = open_examiner(config)
    present = EncoderId.of(examiner.encoder.card)
    with gallery:
        stale = [each for each in gallery.templates(pictures=True) if each.encoder != present]
        old, new, left = [], [], 0
        for each in stale:
            made = reembed(examiner, each) if each.picture else None
            if made is None or isinstance(made, Rejected):
                reason = made.message if made else "its picture was not kept; enrol from photos"
                click.echo(f"  {each.person}: {each.source}: left as it is: {reason}", err=True)
                left += 1
            else:
                old.append(each)
                new.append(made)
        gallery.replace(old, new)
    click.echo(f"{counted(len(new), 'template')} renewed, {left} left as they are")


@command.command(
    "export",
    epilog="\b\nExamples:\n  porter people export people.porter\n"
    "  porter people export people.porter --passphrase-file secret.txt",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="Do not ask for it."
)
@config_option
def export_(path: Path | None, file: Path, passphrase_file: Path | None) -> None:
    """Write everybody into FILE, encrypted with a passphrase."""
    from daemon.people import archive
    from daemon.people.files import publish

    if file.exists():
        raise click.UsageError(f"{file} is there already; choose another name")
    passphrase = _passphrase(passphrase_file, confirm=True)
    _, gallery = _open(path)
    with gallery:
        count = len(gallery.people())
        publish(file, archive.export(gallery, passphrase))
    click.echo(f"{file}: {count} people")


@command.command(
    "import",
    epilog="\b\nExample:\n  porter people import people.porter",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Also if two of a name look different.")
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False), help="Do not ask for it."
)
@config_option
def import_(path: Path | None, file: Path, force: bool, passphrase_file: Path | None) -> None:
    """Add the people of FILE to those who are known.

    A person who is known under the same name gets what is new, and keeps their schedule. When the
    two do not look alike they may be two people: then nothing of that one is taken.
    """
    from daemon.errors import GalleryError
    from daemon.people import archive
    from daemon.people.matching import STRANGERS_APART
    from daemon.people.normalisation import stranger_distance

    try:
        raw = file.read_bytes()
    except OSError as error:
        raise GalleryError(f"{file}: cannot be read: {error.strerror}") from None
    card = _card(_config(path))
    people = archive.read(raw, _passphrase(passphrase_file, confirm=False), str(file), card)
    apart = stranger_distance(card, STRANGERS_APART)
    _, gallery = _open(path)
    with gallery:
        for each in people:
            click.echo(f"{each.name}: {archive.merge(gallery, each, force=force, apart=apart)}")


def counted(count: int, thing: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _config(path: Path | None) -> Config:
    from daemon.config import load_config

    # `porter people --config FILE remove ada` is meant, too.
    return load_config(path or click.get_current_context().obj)


def _open(path: Path | None) -> tuple[Config, Gallery]:
    from daemon.people.gallery import open_gallery

    config = _config(path)
    return config, open_gallery(config.gallery)


def _card(config: Config) -> EncoderCard:
    from daemon.cards import find_card, read_card
    from daemon.vision.cards import EncoderCard

    return read_card(find_card(config.faces.encoder), EncoderCard)


def _encoder(config: Config) -> EncoderId | None:
    """The encoder in use; None when there is none, which is no reason not to list people."""
    from daemon.errors import ModelError
    from daemon.people.records import EncoderId

    try:
        return EncoderId.of(_card(config))
    except ModelError:
        return None


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    from daemon.errors import ConfigError

    if file is None:
        said: str = click.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=confirm, err=True
        )
        return said
    try:
        text = file.read_text().rstrip("\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"--passphrase-file: {file}: cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--passphrase-file: {file}: is no text; write it in UTF-8") from None
    if not text:
        raise ConfigError(f"--passphrase-file: {file}: is empty; write the passphrase into it")
    return text
