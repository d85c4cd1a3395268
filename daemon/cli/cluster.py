"""`porter cluster`: who is in a pile of pictures, without being told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.options import provider_option
from daemon.cli.parameters import config_option
from daemon.cli.pictures import json_option, pictures_argument

if TYPE_CHECKING:
    from daemon.inference import Provider
    from daemon.people.clustering.elbow import Elbow
    from daemon.people.clustering.grouping import Method
    from daemon.people.clustering.scores import Vectors
    from daemon.people.clusters import Pile

EPILOG = """\b
Examples:
  porter cluster holiday --out people            a folder for each person, and index.html
  porter cluster holiday --out people --k 7      it is known that there are seven
  porter cluster holiday --json                  who is with whom; nothing is written
  porter cluster 2025 2026 --recursive --out people --copy
  porter cluster "cards/*.jpg" --method xmeans --out people

\b
Exit codes: 0 done, 2 a wrong option, such as a folder that is not empty, 66 no picture could be
used or none shows a face, 74 the folder cannot be written. Needs the extra `desk`.
"""


class _Count(click.ParamType[int | str]):
    name = "auto|N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """`auto`, or a number of people."""
        if str(value).lower() == "auto":
            return "auto"
        if not str(value).isascii() or not str(value).isdecimal() or not 1 <= int(value) <= 100_000:
            self.fail(f"{value!r} is neither auto nor a number of people", param, ctx)
        return int(value)


@click.command(epilog=EPILOG)
@pictures_argument
@click.option("--k", "count", type=_Count(), default="auto", show_default=True, help="How many.")
@click.option(
    "--method",
    type=click.Choice(["graph", "xmeans", "density", "kmeans"]),
    help="How to group: graph (without --k N), kmeans (with it), xmeans, density.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Make a folder for each person here, a contact sheet, and the elbow picture.",
)
@click.option("--copy", is_flag=True, help="Copy the pictures instead of linking to them.")
@click.option("--force", is_flag=True, help="Add to a folder that holds other things.")
@click.option("--recursive", is_flag=True, help="Folders inside of folders, too.")
@json_option
@provider_option
@config_option
def command(
    given: tuple[Path, ...],
    count: int | str,
    method: Method | None,
    out: Path | None,
    copy: bool,
    force: bool,
    recursive: bool,
    as_json: bool,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Group the faces on all PICTUREs by person, and name those whom the gallery knows.

    PICTURE is a file, a folder or a pattern. A picture may show several people: it is then in
    several folders. Faces that are not good enough for the door are left out and listed.
    """
    from daemon.cli.options import override_provider
    from daemon.cli.pictures import Skipped, find_pictures, read_all, require_desk
    from daemon.cli.progress import progress
    from daemon.config import load_config
    from daemon.people.clusters import look, sort_by_person, vectors_of
    from daemon.people.matching import make_matcher
    from daemon.people.reading import read_gallery
    from daemon.people.records import EncoderId
    from daemon.vision.examination import open_examiner

    k = count if isinstance(count, int) else None
    if k is not None and method not in (None, "kmeans"):
        raise click.UsageError(f"--method {method} finds out how many; leave out --k, or it")
    if out is None and (copy or force):
        raise click.UsageError("--copy and --force need --out")
    require_desk("porter cluster")
    if out is not None:
        from daemon.cli.cluster_folder import check_free

        check_free(out, force=force)
    skipped = Skipped()
    photos = _apart_from(out, find_pictures(given, skipped, recursive=recursive))
    total = len(photos) + len(skipped.messages)
    config = override_provider(load_config(path), provider)
    examiner = open_examiner(config)
    card = examiner.encoder.card
    with read_gallery(config.gallery) as gallery:
        known = gallery.templates(EncoderId.of(card))
    matcher = make_matcher(known, card, config.faces)
    with progress(photos, "looking") as bar:
        faces = look(
            read_all(bar, skipped),
            examiner,
            faceless=lambda photo: skipped(f"{photo}: no face was found"),
        )
    skipped.sum_up(total)
    pile = sort_by_person(faces, card, matcher, method, k)
    facts = _facts(pile, len(photos), skipped.messages)
    if out is not None:
        from daemon.cli.cluster_folder import write_folder

        good = [each for cluster in pile.clusters for each in cluster.faces]
        elbow = _draw_elbow(vectors_of(good, card.dimension), len(pile.clusters), out)
        facts |= {"elbow": {"k": elbow.ks, "inertia": elbow.inertias, "knee": elbow.knee}}
        write_folder(out, pile, facts, _notes(pile, facts, total, elbow), copy=copy)
    _say(pile, facts, out, as_json=as_json)
    _say_how_many(pile, k)


def _apart_from(out: Path | None, photos: Sequence[Path]) -> list[Path]:
    """Each picture once, also if links lead to it, and none that an earlier run wrote."""
    inside = out.resolve() if out is not None else None
    kept: dict[Path, Path] = {}
    for photo in photos:
        place = photo.parent.resolve()
        if inside is None or not place.is_relative_to(inside):
            kept.setdefault(photo.resolve(), photo)
    return list(kept.values())


def _facts(pile: Pile, pictures: int, skipped: Sequence[str]) -> dict[str, Any]:
    from daemon.cli.cluster_folder import folder_names

    return {
        "method": pile.method,
        "pictures": pictures,
        "faces": sum(len(each.faces) for each in pile.clusters) + len(pile.left_out),
        "clusters": [
            {
                "name": name,
                "person": each.person,
                "matching": each.matching,
                "faces": [face.facts() for face in each.faces],
            }
            for name, each in zip(folder_names(pile.clusters), pile.clusters)
        ],
        "left_out": [
            face.facts() | {"reason": fault.reason, "message": fault.message}
            for face in pile.left_out
            if (fault := face.examined.fault) is not None
        ],
        "skipped": list(skipped),
    }


def _draw_elbow(vectors: Vectors, found: int, out: Path) -> Elbow:
    from daemon.cli.cluster_folder import ELBOW
    from daemon.cli.elbow_plot import draw_elbow
    from daemon.cli.pictures import make_folder
    from daemon.cli.progress import progress
    from daemon.people.clustering.elbow import elbow, inertia, tried

    ks = tried(min(len(vectors), max(10, 2 * found))) if len(vectors) else [1]
    values = []
    make_folder(out)
    with progress(ks, "drawing the elbow") as bar:
        for k in bar:
            values.append(inertia(vectors, k) if len(vectors) else 0.0)
    curve = elbow(ks, values)
    draw_elbow(curve, found, out / ELBOW, "--out")
    return curve


def _notes(pile: Pile, facts: dict[str, Any], total: int, elbow: Elbow) -> list[str]:
    from daemon.cli.cluster_folder import FACTS

    note = f"Found in {facts['pictures']} pictures by the method {pile.method}"
    notes = [f"{note}; the knee of k-means is at {elbow.knee}."]
    if facts["skipped"]:
        count = len(facts["skipped"])
        notes.append(f"{count} of {total} pictures skipped; {FACTS} says which and why.")
    return notes


def _say(pile: Pile, facts: dict[str, Any], out: Path | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for each in facts["clusters"]:
        pictures = len({face["picture"] for face in each["faces"]})
        known = f", known: {each['matching']} match" if each["person"] is not None else ""
        click.echo(f"{each['name']}: {len(each['faces'])} faces in {pictures} pictures{known}")
    for face in facts["left_out"]:
        click.echo(f"{face['picture']}: left out: {face['reason']}: {face['message']}", err=True)
    place = f"; {out / 'index.html'}" if out is not None else ""
    click.echo(f"{len(pile.clusters)} people ({pile.method}){place}", err=True)


def _say_how_many(pile: Pile, k: int | None) -> None:
    """Say why there are not as many people as were asked for, or as the method made groups."""
    if k is not None and pile.groups < k:
        faces = sum(len(each.faces) for each in pile.clusters)
        click.echo(f"--k {k}: {faces} faces make {pile.groups} groups at most", err=True)
    if pile.groups > len(pile.clusters):
        click.echo(
            f"{pile.groups} groups were made; those of one known person are joined: "
            f"{len(pile.clusters)} are left",
            err=True,
        )
