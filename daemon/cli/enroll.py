"""`porter enroll`: show somebody to Porter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.options import override_provider, provider_option
from daemon.cli.parameters import config_option
from daemon.cli.people import counted
from daemon.cli.pictures import MANY_FILES, json_option
from daemon.cli.progress import progress, say

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.inference import Provider
    from daemon.people.capture import Camera
    from daemon.people.enrolment import Rejected
    from daemon.people.records import Template
    from daemon.vision.examination import Examiner

EPILOG = """\b
Examples:
  porter enroll ada ada-1.jpg ada-2.jpg       from pictures, one face on each
  porter enroll ada pictures/                 all of a folder
  porter enroll ada --camera                  in front of the camera
  porter enroll ada new.jpg                   again: adds to what is known
  porter enroll ada pictures/ --json          what was accepted, and why the rest was not

\b
Exit codes: 0 at least one picture was accepted, 66 none was, 67 it cannot be a name, 77 the gallery
cannot be used.
"""


@click.command(epilog=EPILOG)
@click.argument("name")
@click.argument("photos", nargs=-1, type=MANY_FILES, metavar="[PHOTO]...")
@click.option("--camera", is_flag=True, help="Take the pictures now: straight, left, right.")
@click.option("--force", is_flag=True, help="Also if they look like somebody else.")
@json_option
@provider_option
@config_option
def command(
    name: str,
    photos: tuple[Path, ...],
    camera: bool,
    force: bool,
    as_json: bool,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Enrol NAME from pictures or in front of the camera.

    PHOTO is a file, a folder or a pattern. Each picture must show one face, good enough to be
    compared; what is rejected is named with the reason. Three to five different pictures recognise
    better than one.
    """
    from daemon.config import load_config
    from daemon.errors import SourceError
    from daemon.people.enrolment import Rejected, repeated, sort_out
    from daemon.people.gallery import open_gallery
    from daemon.people.matching import make_matcher
    from daemon.people.records import EncoderId, clean_name, name_key
    from daemon.vision.examination import open_examiner
    from daemon.vision.pictures import list_pictures

    if camera == bool(photos):
        raise click.UsageError("give pictures, or --camera")
    name = clean_name(name)
    config = override_provider(load_config(path), provider)
    left_out: list[Rejected] = []

    def leave_out(flaw: Rejected) -> None:
        say(f"  {flaw.source}: left out: {flaw.message}", err=True)
        left_out.append(flaw)

    pictures = list_pictures(
        photos, skip=lambda place, why: leave_out(Rejected(str(place), "unreadable", why))
    )
    examiner = open_examiner(config)
    card = examiner.encoder.card
    with open_gallery(config.gallery) as gallery:
        made = (
            _from_camera(config, examiner)
            if camera
            else _from_photos(pictures, examiner, leave_out, keep=config.gallery.keep_pictures)
        )
        # Alone: or two who enrol one face at the same moment under two names both succeed.
        with gallery.alone():
            everybody = gallery.templates(EncoderId.of(card))
            known = [each for each in everybody if name_key(each.person) == name_key(name)]
            kept: list[Template] = []
            for each in made:
                flaw = repeated(each, [*known, *kept])
                if flaw is None:
                    kept.append(each)
                else:
                    leave_out(flaw)
            if kept and not force:
                matcher = make_matcher(everybody, card, config.faces)
                kept, rejected = sort_out(kept, known, name, matcher)
                for flaw in rejected:
                    leave_out(flaw)
                if rejected:
                    click.echo("  --force enrols them all the same", err=True)
            if not kept:
                raise SourceError(f"{name}: nothing was enrolled: no picture was accepted")
            gallery.enrol(name, kept)
    total = len(kept) + sum(each.role == "own" for each in known)
    if as_json:
        facts = {
            "person": name,
            "accepted": [
                {"source": each.source, "quality": each.quality and asdict(each.quality)}
                for each in kept
            ],
            "rejected": [asdict(flaw) for flaw in left_out],
            "templates": total,
        }
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        more = f", {total} in all" if known else ""
        click.echo(f"{name}: enrolled with {counted(len(kept), 'picture')}{more}")
    if total < 3:
        click.echo("  more pictures, each a little different, recognise better", err=True)


def _from_photos(
    photos: Sequence[Path], examiner: Examiner, leave_out: Callable[[Rejected], None], *, keep: bool
) -> list[Template]:
    from daemon.errors import SourceError
    from daemon.people.enrolment import Rejected, take
    from daemon.vision.pictures import read_image

    found = []
    with progress(photos, "looking") as bar:
        for photo in bar:
            try:
                taken = take(examiner, read_image(photo), photo.name, keep_picture=keep)
            except SourceError as error:
                taken = Rejected(str(photo), "unreadable", str(error).removeprefix(f"{photo}: "))
            if isinstance(taken, Rejected):
                leave_out(taken)
            else:
                found.append(taken)
    return found


def _from_camera(config: Config, examiner: Examiner) -> list[Template]:
    from daemon.control import Client
    from daemon.errors import ConfigError, ControlError
    from daemon.people.capture import DaemonCamera, LocalCamera
    from daemon.people.guide import VIEW_SECONDS
    from daemon.people.records import EncoderId

    # The daemon holds the camera, if it runs and looks; then it takes the pictures.
    client = Client(config.control, patience=max(VIEW_SECONDS) + 5)
    try:
        looks = client.ask("status").get("camera") is not None
    except ControlError:
        looks = False
    if looks:
        found = _guide(DaemonCamera(client))
        present = EncoderId.of(examiner.encoder.card)
        for each in found:
            if each.encoder != present:
                raise ConfigError(
                    f"the daemon's encoder is {each.encoder}, and faces.encoder is {present}; "
                    "reload the daemon, or take its configuration with --config"
                )
        return found
    with LocalCamera(config.camera, examiner, config.gallery.keep_pictures) as local:
        return _guide(local)


def _guide(camera: Camera) -> list[Template]:
    """Ask for one view after the other, and once more for one that gave nothing."""
    from daemon.people.guide import PROMPTS, VIEW_SECONDS

    found, missing = [], []
    for view, prompt in PROMPTS.items():
        best: list[Template] = []
        for attempt, seconds in enumerate(VIEW_SECONDS):
            click.echo(f"{'once more: ' if attempt else ''}{prompt} ...", err=True)
            collection = camera.collect(view, seconds)
            for flaw, count in collection.rejected.values():
                click.echo(f"  {counted(count, 'picture')} left out: {flaw.message}", err=True)
            best = collection.best
            if best:
                break
        if best:
            click.echo(f"  took the best {len(best)} of {len(collection.good)}", err=True)
        else:
            click.echo("  took none", err=True)
            missing.append(view)
        found += best
    if found and missing:
        click.echo(
            f"  no good picture looking {' or '.join(missing)}: the door will know these views "
            "worse; enrol again to add them",
            err=True,
        )
    return found
