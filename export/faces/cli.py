"""`porter-export facedetect`: trains the face detector."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from export.data.cache import cache_folder
from export.faces.options import sources_of, sources_options, workers_option
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


@click.command()
@sources_options
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
@workers_option
def facedetect(
    data: Path | None,
    more_faces: tuple[Path, ...],
    scenes: tuple[Path, ...],
    animals: tuple[Path, ...],
    teacher: Path | None,
    persons: str,
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
    sources = sources_of(data, more_faces, scenes, animals, teacher, persons)
    plan = scaled(Plan() if before is None else going_on(), scale, seed)
    click.echo(str(run(plan, sources, out, folder, workers, before, terms)))
