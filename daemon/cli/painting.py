"""What `porter style` does with its contents: where paintings go, progress, and the report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from daemon.cli.pictures import (
    Skipped,
    distinct_name,
    find_footage,
    find_pictures,
    make_folder,
)
from daemon.cli.progress import progress, say
from daemon.errors import Interrupted, OutputError, SourceError
from daemon.paths import file_identity
from daemon.vision.footage import Footage, is_video
from daemon.vision.frames import Image
from daemon.vision.pictures import read_image
from daemon.vision.style.fast import Painter, bearable_size, open_painter
from daemon.vision.style.gradient import Loss, open_gradient
from daemon.vision.style.optimise import require_scipy
from daemon.vision.style.transfer import Manner, Painting, Transfer
from daemon.vision.writing import check_name, write_image, write_video

PREVIEWS = 20
"""Pictures that `--preview` writes for each painting."""


class Report:
    """What was painted and what was skipped, for people or as JSON."""

    def __init__(self, as_json: bool) -> None:
        self.skipped = Skipped()
        self.interrupted = False
        self._as_json = as_json
        self._painted: list[dict[str, Any]] = []

    def add(self, content: Path, out: Path, seconds: float, **facts: Any) -> None:
        """A painting was written."""
        told = {"content": str(content), "out": str(out), "seconds": round(seconds, 3), **facts}
        self._painted.append(told)
        if not self._as_json:
            say(f"{content} -> {out} ({seconds:.1f} s{_losses(facts)})")

    def finish(self) -> int:
        """Print the rest; returns the exit code.

        Raises:
            SourceError: nothing was painted, and nobody interrupted.
        """
        if self._as_json:
            facts = {
                "paintings": self._painted,
                "skipped": self.skipped.messages,
                "interrupted": self.interrupted,
            }
            click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        total = len(self._painted) + len(self.skipped.messages)
        if self.interrupted:
            click.echo("interrupted", err=True)
            return Interrupted.exit_code
        self.skipped.sum_up(total)
        return 0


def paint_slowly(
    given: Sequence[Path],
    out: Path,
    features: str,
    providers: list[str],
    threads: int,
    report: Report,
    manner: Manner,
    preview: Path | None,
) -> None:
    """Optimise a painting for each content; the last of those given is the style.

    Raises:
        SourceError: the style cannot be read, or a folder or pattern holds nothing.
        ModelError: the feature network cannot be used.
        OutputError: a painting cannot be written.
        click.UsageError: a video, or an unsuitable name for a painting.
        PorterError: SciPy is missing.
    """
    *contents, style = given
    for each in given:
        if is_video(each):
            raise click.UsageError(f"{each}: videos need --fast MODEL")
    if manner.optimiser == "lbfgs":
        require_scipy()
    places = _places(
        find_pictures(contents, report.skipped), out, several=_several(contents), style=style
    )
    picture = read_image(style)
    graph = open_gradient(features, providers, threads)
    transfer = Transfer(graph, picture, manner)
    for content, place in places:
        try:
            image = read_image(content)
        except SourceError as error:
            report.skipped(str(error))
            continue
        began = time.perf_counter()
        try:
            painting = _watched(transfer, image, manner, place.stem, preview)
        except KeyboardInterrupt:
            report.interrupted = True
            return
        write_image(place, painting.image)
        report.add(content, place, time.perf_counter() - began, **_facts(painting))
        if painting.interrupted:
            report.interrupted = True
            return


def paint_fast(
    given: Sequence[Path],
    out: Path,
    model: str,
    providers: list[str],
    threads: int,
    report: Report,
    *,
    size: int | None,
    colours: bool,
) -> None:
    """Paint each content, pictures and videos, with a feed-forward network.

    Raises:
        SourceError: a folder or pattern holds nothing.
        ModelError: the network cannot be used.
        OutputError: a painting cannot be written.
        click.UsageError: an unsuitable name for a painting.
    """
    places = _places(find_footage(given, report.skipped), out, several=_several(given))
    painter = open_painter(model, providers, threads)
    try:
        with progress(places, "painting") as bar:
            for content, place in bar:
                try:
                    _paint_one(painter, content, place, report, size, colours)
                except SourceError as error:
                    report.skipped(str(error))
    except KeyboardInterrupt:
        report.interrupted = True


def _paint_one(
    painter: Painter, content: Path, place: Path, report: Report, size: int | None, colours: bool
) -> None:
    began = time.perf_counter()
    if not is_video(content):
        image = read_image(content)
        size = size or _bearable(content, image.shape[0], image.shape[1])
        write_image(place, painter.paint(image, size, colours=colours))
        report.add(content, place, time.perf_counter() - began)
        return
    footage = Footage(content)
    size = size or _bearable(content, *footage.shape)
    count, whole = 0, True

    def counted(pictures: Iterator[Image]) -> Iterator[Image]:
        nonlocal count
        for picture in pictures:
            count += 1
            yield picture

    try:
        pictures = counted(painter.film(footage, size, colours=colours))
        with progress(pictures, content.name, footage.length or None) as bar:
            write_video(place, bar, footage.rate)
    except SourceError as error:
        if not count:
            raise
        whole = False
        report.skipped.cut_short(str(error))
    finally:
        if count:
            seconds = time.perf_counter() - began
            report.add(content, place, seconds, pictures=count, cut_short=not whole)


def _bearable(content: Path, height: int, width: int) -> int | None:
    """The size to which a content is reduced for memory, which is said; None: it stays."""
    size = bearable_size(height, width)
    if size is not None:
        say(
            f"{content}: reduced from {max(height, width)} to {size} pixels, the longest side, so "
            "that memory stays below 2 GiB; --size goes beyond",
            err=True,
        )
    return size


def _watched(
    transfer: Transfer, image: Image, manner: Manner, name: str, preview: Path | None
) -> Painting:
    """Paint under a progress bar that shows the terms of the loss, with previews if wanted."""
    every = max(1, manner.steps // PREVIEWS)
    if preview is not None:
        make_folder(preview)
    with progress(range(manner.steps), name) as bar:

        def watch(step: int, loss: Loss, picture: Callable[[], Image]) -> None:
            bar.set_postfix_str(_terms(loss), refresh=False)
            bar.update()
            if preview is not None and (step % every == 0 or step in (1, manner.steps)):
                write_image(preview / f"{name}-{step:04d}.jpg", picture())

        return transfer.paint(image, watch)


def _several(given: Sequence[Path]) -> bool:
    """Whether OUT is a folder because of what was given, even if that is one file at last."""
    return len(given) > 1 or given[0].is_dir() or not given[0].exists()


def _places(
    contents: Sequence[Path], out: Path, *, several: bool, style: Path | None = None
) -> list[tuple[Path, Path]]:
    """Each content with the file of its painting.

    Raises:
        OutputError: the folder cannot be made.
        click.UsageError: a content or the style would be painted over, or the name says no format.
    """
    places = _planned(contents, out, several=several)
    read = {file_identity(each): each for each in (*contents, *([style] if style else []))}
    for _, place in places:
        identity = file_identity(place)
        if identity is not None and identity in read:
            raise click.UsageError(
                f"{place}: would be painted over {read[identity]}; choose another name or folder "
                "with -o"
            )
    make_folder(places[0][1].parent)
    return places


def _planned(contents: Sequence[Path], out: Path, *, several: bool) -> list[tuple[Path, Path]]:
    """Each content with the file of its painting, before anything is made or compared.

    Raises:
        click.BadParameter: several paintings have one name, or the name says no format.
    """
    if not (out.is_dir() or (several and not out.suffix)):
        if len(contents) > 1:
            raise _wrong(f"{out}: {len(contents)} paintings need a folder; name one")
        try:
            check_name(out, video=is_video(contents[0]))
        except OutputError as error:
            raise _wrong(str(error)) from None
        return [(contents[0], out)]
    taken: set[str] = set()
    places = []
    for content in contents:
        video = is_video(content)
        places.append(
            (content, out / distinct_name(content.stem, ".mp4" if video else ".jpg", taken))
        )
    return places


def _wrong(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="-o")


def _facts(painting: Painting) -> dict[str, Any]:
    return {
        "steps": painting.steps,
        "start": asdict(painting.start),
        "loss": asdict(painting.loss),
        "interrupted": painting.interrupted,
    }


def _losses(facts: dict[str, Any]) -> str:
    if "loss" not in facts:
        return f", {facts['pictures']} pictures" if "pictures" in facts else ""
    start, loss = facts["start"], facts["loss"]
    return (
        f", {facts['steps']} steps, style {start['style']:.3g} -> {loss['style']:.3g}, "
        f"content {loss['content']:.3g}"
    )


def _terms(loss: Loss) -> str:
    return f"style {loss.style:.4f} content {loss.content:.3f} rough {loss.variation:.4f}"
