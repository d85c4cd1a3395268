"""`porter detect`: which objects are in pictures and videos?"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.options import provider_option
from daemon.cli.parameters import Number, config_option
from daemon.cli.pictures import (
    MANY_FILES,
    Skipped,
    choose,
    distinct_name,
    find_footage,
    json_option,
    make_folder,
)
from daemon.cli.progress import progress, say
from daemon.paths import write_whole

if TYPE_CHECKING:
    from daemon.inference import Provider
    from daemon.vision.footage import Footage
    from daemon.vision.frames import Image
    from daemon.vision.objects.coco import CocoResult
    from daemon.vision.objects.detector import Detection, ObjectDetector

EPILOG = """\b
Examples:
  porter detect street.jpg
  porter detect pictures/ --out drawn/
  porter detect "door-*.mp4" --json > objects.json
  porter detect street.jpg --model yolox_nano.yaml

\b
Exit codes: 0 done, 2 a wrong option, 65 the detector is missing or damaged, 66 no picture could be
used, 74 a file cannot be written, 130 interrupted: what was found so far is written and printed.
"""


@click.command(epilog=EPILOG)
@click.argument(
    "given",
    nargs=-1,
    required=True,
    type=MANY_FILES,
    metavar="PICTURE|FOLDER|VIDEO...",
)
@json_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the pictures and videos with the objects drawn, and objects.json (COCO); "
    "not the one they lie in.",
)
@click.option("--model", metavar="MODEL", help="Another detector: its card, file or name.")
@click.option(
    "--threshold",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Score from which something counts; without it, what the detector's card says.",
)
@provider_option
@config_option
def command(
    given: tuple[Path, ...],
    as_json: bool,
    out: Path | None,
    model: str | None,
    threshold: float | None,
    provider: Provider | None,
    path: Path | None,
) -> None:
    """Find people, bags, animals and vehicles in pictures and videos.

    Prints a line for each object: where, what, how sure (0 to 1), and its box as x, y, width and
    height in pixels. What cannot be read is skipped and counted.
    """
    from daemon.config import load_config
    from daemon.errors import Interrupted
    from daemon.vision.objects.coco import CocoResult
    from daemon.vision.objects.detector import open_object_detector

    config = load_config(path)
    skipped = Skipped()
    files = find_footage(given, skipped)
    total = len(files) + len(skipped.messages)
    if out is not None:
        _check_elsewhere(files, out)
    detector = open_object_detector(
        model or config.objects.model,
        choose(provider, config.inference.provider),
        config.inference.threads,
    )
    detector.threshold = threshold or detector.threshold
    gathered = CocoResult(detector.classes)
    search = _Search(detector, gathered, out, quiet=as_json)
    if out is not None:
        make_folder(out)
    interrupted = False
    try:
        search.look_at_all(files, skipped)
    except KeyboardInterrupt:
        interrupted = True
    facts = gathered.facts() | {
        "model": f"{detector.card.name} {detector.card.version}",
        "skipped": skipped.messages,
        "interrupted": interrupted,
    }
    if out is not None:
        target = out / "objects.json"
        write_whole(target, f"{json.dumps(facts, ensure_ascii=False)}\n".encode(), str(target))
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    sys.stdout.flush()
    if interrupted:
        raise Interrupted("interrupted")
    skipped.sum_up(total)


def _check_elsewhere(files: Sequence[Path], out: Path) -> None:
    """See to it that nothing drawn takes the place of a file that is looked at.

    Raises:
        click.UsageError: a file, or a link to it, lies in the folder of what is drawn.
    """
    folder = out.resolve()
    for file in files:
        if file.exists() and folder in (file.resolve().parent, file.parent.resolve()):
            raise click.UsageError(
                f"{file}: lies in {out}, where what is drawn would be written over it; "
                "choose another folder with --out"
            )


class _Search:
    """Looks at one file after the other, and prints and draws what it finds."""

    def __init__(
        self, detector: ObjectDetector, gathered: CocoResult, out: Path | None, *, quiet: bool
    ) -> None:
        self._detector, self._gathered, self._out, self._quiet = detector, gathered, out, quiet
        self._used: set[str] = set()

    def look_at_all(self, files: Sequence[Path], skipped: Skipped) -> None:
        """Look at pictures, then at videos."""
        from daemon.vision.footage import is_video

        with progress([each for each in files if not is_video(each)], "detect") as bar:
            for picture in bar:
                self._look_at_picture(picture, skipped)
        for video in filter(is_video, files):
            self._look_at_video(video, skipped)

    def _look_at_picture(self, file: Path, skipped: Skipped) -> None:
        """Look at a picture; one that cannot be read is skipped."""
        from daemon.errors import SourceError
        from daemon.vision.objects.drawing import draw
        from daemon.vision.pictures import read_image
        from daemon.vision.writing import write_image

        try:
            image = read_image(file)
        except SourceError as error:
            skipped(str(error))
            return
        found = self._find(image, str(file), {})
        if self._out is not None:
            write_image(self._target(file, ".jpg"), draw(image, found))

    def _look_at_video(self, file: Path, skipped: Skipped) -> None:
        """Look at every picture of a video; what can be read of a damaged one counts."""
        from daemon.errors import SourceError
        from daemon.vision.footage import Footage
        from daemon.vision.writing import write_video

        try:
            footage = Footage(file)
        except SourceError as error:
            skipped(str(error))
            return
        try:
            drawn = self._drawn(footage, file)
            if self._out is not None:
                write_video(self._target(file, ".mp4"), drawn, footage.rate)
            else:
                deque(drawn, maxlen=0)
        except SourceError as error:
            (skipped.cut_short if footage.given else skipped)(str(error))

    def _drawn(self, footage: Footage, file: Path) -> Iterator[Image]:
        """The pictures of a video, with what was found in each drawn if they are kept."""
        from daemon.vision.objects.drawing import draw

        with progress(footage, file.name, footage.length or None) as bar:
            for frame, image in enumerate(bar):
                place = {"frame": frame, "seconds": round(footage.seconds, 3)}
                found = self._find(image, str(file), place)
                yield draw(image, found) if self._out is not None else image

    def _find(self, image: Image, name: str, place: dict[str, Any]) -> list[Detection]:
        found = self._detector.detect(image)
        height, width = image.shape[:2]
        self._gathered.add(name, width, height, found, **place)
        if not self._quiet:
            where = f"{name} at {place['seconds']:.2f} s" if place else name
            for each in found:
                x, y, w, h = (round(value) for value in each.box)
                say(f"{where}: {each.name} {each.score:.2f} at {x},{y} {w}x{h}")
        return found

    def _target(self, file: Path, suffix: str) -> Path:
        """Where a drawn file goes; of equal names from several folders each gets a number."""
        assert self._out is not None
        return self._out / distinct_name(file.stem, suffix, self._used)
