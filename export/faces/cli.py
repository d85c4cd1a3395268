"""`porter-export facedetect`: trains the face detector."""

from __future__ import annotations

import os
from pathlib import Path

import click
import torch

from export.data.cache import cache_folder
from export.faces.heldout import kept_out
from export.faces.material import Sources
from export.faces.recipe import Plan, going_on, quick, run, scaled
from export.faces.restore import Start
from export.options import (
    out_folder,
    out_option,
    scale_option,
    terms_option,
    threads_option,
    work_option,
)

PLACE = click.Path(exists=True, path_type=Path)


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
    type=PLACE,
    help="Folder of crops of faces; sub-folders are people, if there are any.",
)
@click.option(
    "--scenes",
    multiple=True,
    type=PLACE,
    help="Folder or tar of whole pictures, with people and without.",
)
@click.option(
    "--animals",
    multiple=True,
    type=PLACE,
    help="Folder or tar of pictures of animals, whose faces shall not be found.",
)
@click.option(
    "--teacher",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YuNet (face_detection_yunet_*.onnx of the OpenCV zoo), which labels whole pictures.",
)
@click.option(
    "--start",
    metavar="MODEL",
    help="Detector to go on from, by name or file: one long stage with all of its layers, instead "
    "of learning from nothing.",
)
@out_option("facedetect.onnx and its card")
@terms_option
@scale_option
@click.option("--seed", default=0, show_default=True, help="Equal seeds compose equal pictures.")
@click.option(
    "--quick",
    "is_quick",
    is_flag=True,
    help="A smoke test in under two minutes, on drawn faces.",
)
@work_option
@threads_option
@click.option(
    "--workers",
    default=max(1, (os.cpu_count() or 2) - 1),
    show_default=True,
    help="Processes that compose pictures.",
)
def facedetect(
    data: Path | None,
    more_faces: tuple[Path, ...],
    scenes: tuple[Path, ...],
    animals: tuple[Path, ...],
    teacher: Path | None,
    start: str | None,
    out: Path | None,
    terms: tuple[str, ...],
    scale: float,
    seed: int,
    is_quick: bool,
    work: Path | None,
    threads: int,
    workers: int,
) -> None:
    """Train the face detector: box, score and five landmarks.

    \b
    Example:
        porter-export facedetect --more-faces people/ --scenes pictures/ --animals pets/ \\
            --teacher face_detection_yunet_2026may.onnx --out models/
    """
    torch.set_num_threads(threads)
    folder = work or cache_folder() / "facedetect"
    out = out_folder(out, folder, quick=is_quick)
    before = None if start is None else Start(start)
    if is_quick:
        plan = quick(seed, goes_on=before is not None)
        click.echo(str(run(plan, None, out, folder / f"quick-{seed}", workers, before)))
        return
    if teacher is None or not (data or more_faces) or not scenes:
        raise click.UsageError(
            "give --teacher, --scenes, and --data or --more-faces; or --quick for a smoke test"
        )
    whole, part = kept_out(data) if data is not None else ((), ())
    faces = data / "faces" if data is not None else None
    sources = Sources(faces, more_faces, scenes, animals, whole, part, teacher)
    plan = scaled(Plan() if before is None else going_on(), scale, seed)
    click.echo(str(run(plan, sources, out, folder, workers, before, terms)))
