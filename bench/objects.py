"""Objects found, and the time that it takes, beside the detector that Porter's own learnt from.

    python -m bench.objects --pictures val.tar --teacher yolox_nano.onnx

Each picture is looked at by all detectors in turn, on one core, with all that belongs to it:
resizing, the network, decoding, suppression.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2

from bench.common import json_option, machine, plain_errors, show
from daemon.inference import CPU
from daemon.vision.objects.detector import open_object_detector
from daemon.vision.objects.names import CLASSES
from export.objects import report
from export.objects.convert import convert_yolox
from export.objects.evaluate import measure, read_marked

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(path_type=Path),
    default=(Path("objects"),),
    show_default="the one that ships",
)
@click.option("--pictures", required=True, type=FILE, help="Tar with people's labels beside it.")
@click.option("--teacher", required=True, type=FILE, help="YOLOX (ONNX), such as yolox_nano.onnx.")
@click.option("--threads", default=1, show_default=True, help="Of each network.")
@json_option
def main(
    models: tuple[Path, ...], pictures: Path, teacher: Path, threads: int, as_json: bool
) -> None:
    """Average precision and milliseconds, side by side, and the share of the teacher's time."""
    cv2.setNumThreads(threads)
    with plain_errors(), TemporaryDirectory() as folder:
        marked = read_marked(pictures)
        cards = [convert_yolox(teacher, Path(folder), teacher.stem), *models]
        detectors = [open_object_detector(each, [CPU], threads, CLASSES) for each in cards]
        results = measure(detectors, marked)
    reference = results[0].median_milliseconds
    where = machine()
    facts = {
        "machine": where,
        "threads": threads,
        "detectors": {
            each.name: report.facts(each, marked)
            | {"share_of_time": round(each.median_milliseconds / reference, 3)}
            for each in results
        },
    }
    shares = [
        f"{each.name}: {each.median_milliseconds / reference:.2f} of the time of {results[0].name}"
        for each in results[1:]
    ]
    text = "\n".join([where, report.text(results, marked), *shares])
    show(facts, text, as_json)


if __name__ == "__main__":
    main()
