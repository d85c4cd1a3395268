"""The folder that `porter cluster --out` makes: a folder of pictures for each person, and a page.

`clusters.json` says what was written, so that the next run can put away exactly that. Nothing is
written outside of the folder, through no link either.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from daemon.cli.contact_sheet import Section, Tile, write_html
from daemon.errors import OutputError
from daemon.people.clusters import Cluster, Pile

FACTS, PAGE, ELBOW = "clusters.json", "index.html", "elbow.png"
MADE_BY = "porter cluster"
LONGEST = 100
"""Bytes of a folder's name that come from a person's name."""


def check_free(out: Path, *, force: bool) -> None:
    """See to it that a folder can be written before much work is done.

    Raises:
        click.BadParameter: it is no folder, or one that holds what Porter did not put there; with
            `force`, one that holds such a file in the place of one that is to be written.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise _wrong(f"{out}: is no folder; choose another name")
    written = _written(out)
    if out.is_dir() and any(out.iterdir()) and written is None and not force:
        raise _wrong(
            f"{out}: is not empty, and was not made by porter cluster; choose another folder, or "
            "add to it with --force"
        )
    own = {FACTS, *written} if written is not None else set()
    for name in (FACTS, PAGE, ELBOW):
        if name not in own and os.path.lexists(out / name):
            raise _wrong(
                f"{out / name}: was not made by porter cluster, and would be written over; move it "
                "away, or choose another folder"
            )


def _wrong(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="--out")


def write_folder(
    out: Path, pile: Pile, facts: Mapping[str, Any], notes: Sequence[str], *, copy: bool
) -> None:
    """Write folders, the page and the facts, beside `elbow.png`, in the place of an earlier run's.

    Args:
        out: the folder, which is there; :func:`check_free` was asked.
        pile: what to write.
        facts: further ones for `clusters.json`.
        notes: lines for the page.
        copy: copy pictures instead of linking to them.

    Raises:
        OutputError: something cannot be written.
    """
    with _plain(out):
        _put_away(out)
        written: list[str] = []
        sections = []
        for name, cluster in zip(folder_names(pile.clusters), pile.clusters):
            tiles = _fill(out, name, cluster, written, copy=copy)
            sections.append(Section(_title(name, cluster), tiles))
        if pile.left_out:
            poor = [
                Tile(each.thumbnail, f"{each.photo.name}: {each.examined.fault.message}")
                for each in pile.left_out
                if each.examined.fault is not None
            ]
            sections.append(Section("not good enough to be compared", poor))
        for name in (FACTS, PAGE):
            (out / name).unlink(missing_ok=True)  # else a link there would lead elsewhere
        write_html(out / PAGE, _heading(pile), sections, notes, (out / ELBOW).read_bytes())
        written += [PAGE, ELBOW]
        content = {"made_by": MADE_BY, **facts, "written": written}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (out / FACTS).write_text(text + "\n", encoding="utf-8", errors="surrogateescape")


def folder_names(clusters: Sequence[Cluster]) -> list[str]:
    """What the folder of each cluster is called: by the gallery, else person-01 and so on."""
    width = max(2, len(str(len(clusters))))
    taken = {FACTS, PAGE, ELBOW}
    found, number = [], 0
    for each in clusters:
        if each.person is None:
            number += 1
        wanted = f"person-{number:0{width}}" if each.person is None else _safe(each.person)
        name, again = wanted, 1
        while name.casefold() in taken:
            again += 1
            name = f"{wanted}-{again}"
        taken.add(name.casefold())
        found.append(name)
    return found


def _safe(person: str) -> str:
    """A person's name as the name of a folder, which can lead nowhere else."""
    kept = person.replace("/", "_").replace("\\", "_").lstrip(".")
    return kept.encode()[:LONGEST].decode(errors="ignore") or "person"


def _title(name: str, cluster: Cluster) -> str:
    count = len(cluster.faces)
    title = f"{cluster.person or name}: {count} face{'' if count == 1 else 's'}"
    return f"{title}, {cluster.matching} match" if cluster.person is not None else title


def _heading(pile: Pile) -> str:
    people, faces = len(pile.clusters), sum(len(each.faces) for each in pile.clusters)
    return f"{faces} faces, {people} {'person' if people == 1 else 'people'}"


def _fill(out: Path, name: str, cluster: Cluster, written: list[str], *, copy: bool) -> list[Tile]:
    folder = out / name
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"--out: {folder}: is there already, and no folder; remove it")
    folder.mkdir(exist_ok=True)
    placed: dict[Path, str] = {}
    tiles = []
    for each in cluster.faces:
        source = each.photo.resolve()
        if source not in placed:
            placed[source] = _place(source, each.photo.name, folder, copy=copy)
            written.append(f"{name}/{placed[source]}")
        tiles.append(Tile(each.thumbnail, each.photo.name, f"{name}/{placed[source]}"))
    return tiles


def _place(source: Path, wanted: str, folder: Path, *, copy: bool) -> str:
    """Link or copy a picture under a free name; the name."""
    stem, suffix = os.path.splitext(wanted)  # noqa: PTH122 (a name, not a path)
    name, again = wanted, 1
    while os.path.lexists(folder / name):
        again += 1
        name = f"{stem}-{again}{suffix}"
    if copy:
        shutil.copyfile(source, folder / name)
    else:
        (folder / name).symlink_to(os.path.relpath(source, folder.resolve()))
    return name


def _written(out: Path) -> list[str] | None:
    """What an earlier run wrote; None if there was none."""
    try:
        facts = json.loads((out / FACTS).read_text(encoding="utf-8", errors="surrogateescape"))
        names = facts["written"] if facts["made_by"] == MADE_BY else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [each for each in names if isinstance(each, str)] if isinstance(names, list) else None


def _put_away(out: Path) -> None:
    """Remove what an earlier run wrote, and nothing else."""
    folders = set()
    for each in _written(out) or ():
        parts = Path(each).parts
        folder = out / parts[0] if len(parts) == 2 else out
        inside = len(parts) <= 2 and ".." not in parts and not Path(each).is_absolute()
        # The elbow is of this run already.
        if not inside or folder.is_symlink() or each == ELBOW:
            continue
        with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
            (out / each).unlink()
        if len(parts) == 2:
            folders.add(folder)
    for folder in folders:
        with contextlib.suppress(OSError):  # what somebody else put there stays
            folder.rmdir()


@contextmanager
def _plain(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or out
        raise OutputError(f"--out: {place}: cannot be written: {error.strerror}") from None
