"""`porter-export landmarks`: trains the second look at a face's landmarks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import torch

from daemon.cards import find_card, read_card
from daemon.paths import shipped_models
from daemon.vision.cards import DetectorCard
from export.data.cache import cache_folder
from export.faces.heldout import kept_out
from export.faces.material import Sources
from export.faces.options import PLACE
from export.keys import key
from export.landmarks.material import drawn, gather, told_of
from export.landmarks.recipe import PLAN, quick, run, scaled
from export.options import out_folder, scale_option, terms_option, threads_option, work_option

DETECTOR = shipped_models() / "facedetect.yaml"


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with faces/ (sets with a CSV) to learn from, and detection/, images/, daynight/: "
    "nothing like the pictures that an evaluation takes from there is learnt.",
)
@click.option(
    "--more-faces",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of crops of faces; sub-folders are people, if there are any.",
)
@click.option(
    "--scenes",
    multiple=True,
    type=PLACE,
    help="Folder or tar of whole pictures, whose faces are cut out of them.",
)
@click.option(
    "--teacher",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YuNet (face_detection_yunet_*.onnx of the OpenCV zoo), which labels the faces.",
)
@click.option(
    "--detector",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    show_default="the one that ships; with --quick a copy of it in the folder of --work",
    help="Card of the face detector that gets the second look.",
)
@terms_option
@scale_option
@click.option("--seed", default=0, show_default=True, help="Equal seeds cut equal faces out.")
@click.option("--quick", "is_quick", is_flag=True, help="A smoke test, on drawn faces.")
@work_option
@threads_option
@click.option(
    "--workers",
    default=max(1, (os.cpu_count() or 2) - 1),
    show_default=True,
    help="Processes that cut faces out.",
)
def landmarks(
    data: Path | None,
    more_faces: tuple[Path, ...],
    scenes: tuple[Path, ...],
    teacher: Path | None,
    detector: Path | None,
    terms: tuple[str, ...],
    scale: float,
    seed: int,
    is_quick: bool,
    work: Path | None,
    threads: int,
    workers: int,
) -> None:
    """Train the second look at landmarks, and add it to a face detector.

    \b
    Example:
        porter-export landmarks --more-faces people/ --scenes pictures/ \\
            --teacher face_detection_yunet_2026may.onnx --detector models/facedetect.yaml
    """
    torch.set_num_threads(threads)
    folder = work or cache_folder() / "landmarks"
    if is_quick:
        learning, checking = drawn(seed), drawn(seed + 1, 100)
        plan, told = quick(seed), ["drawn faces: a smoke test"]
        detector = detector or copied(DETECTOR, out_folder(None, folder, quick=True))
        folder = folder / f"quick-{seed}"
    else:
        if teacher is None or not (data or more_faces or scenes):
            raise click.UsageError(
                "give --teacher, and --data, --more-faces or --scenes; or --quick for a smoke test"
            )
        plan = scaled(PLAN, scale, seed)
        whole, part_kept = kept_out(data) if data is not None else ((), ())
        faces = data / "faces" if data is not None else None
        sources = Sources(
            faces, more_faces, scenes, keep_out=whole, keep_out_part=part_kept, teacher=teacher
        )
        learning, checking = (gather(sources, part, folder) for part in ("train", "calibration"))
        folder, told = folder / key(sources), [*told_of(sources), *terms]
    detector = detector or DETECTOR
    click.echo(str(run(plan, learning, checking, detector, folder, workers, told)))


def copied(detector: Path, folder: Path) -> Path:
    """A copy of a detector that a smoke test may change; returns its file."""
    card = read_card(find_card(detector), DetectorCard)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (detector.name, *card.files()):
        shutil.copyfile(detector.with_name(name), folder / name)
    return folder / detector.name
