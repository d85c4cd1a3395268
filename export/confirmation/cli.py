"""`porter-export confirm`: trains the network that says whether a find is a face."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from export.confirmation.recipe import Plan, quick, run, scaled
from export.data.cache import cache_folder
from export.faces import sketches
from export.faces.material import Gathered, gather, told_of
from export.faces.options import sources_of, sources_options, workers_option
from export.keys import key
from export.landmarks.cli import DETECTOR, copied
from export.options import out_folder, scale_option, terms_option, threads_option, work_option


@click.command()
@sources_options
@click.option(
    "--detector",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    show_default="the one that ships; with --quick a copy of it in the folder of --work",
    help="Card of the face detector whose finds are looked at.",
)
@terms_option
@scale_option
@click.option("--seed", default=0, show_default=True, help="Equal seeds compose equal pictures.")
@click.option("--quick", "is_quick", is_flag=True, help="A smoke test, on drawn faces.")
@work_option
@threads_option
@workers_option
def confirm(
    data: Path | None,
    more_faces: tuple[Path, ...],
    scenes: tuple[Path, ...],
    animals: tuple[Path, ...],
    teacher: Path | None,
    persons: str,
    detector: Path | None,
    terms: tuple[str, ...],
    scale: float,
    seed: int,
    is_quick: bool,
    work: Path | None,
    threads: int,
    workers: int,
) -> None:
    """Train the second opinion on finds, and add it to a face detector.

    The detector then names whatever might be a face, this network throws out what is none, and the
    threshold of the card becomes that of both. Pictures that the detector did not learn from teach
    most: it is surer of those than it should be.

    \b
    Example:
        porter-export confirm --more-faces people/ --scenes pictures/ --animals pets/ \\
            --teacher face_detection_yunet_2026may.onnx --detector models/facedetect.yaml
    """
    torch.set_num_threads(threads)
    folder = work or cache_folder() / "confirm"
    if is_quick:
        plan = quick(seed)
        gathered = Gathered(sketches.material(seed), sketches.material(seed + 1, 100, 60))
        told = told_of(None, gathered.learning)
        detector = detector or copied(DETECTOR, out_folder(None, folder, quick=True))
        folder = folder / f"quick-{seed}"
    else:
        sources = sources_of(data, more_faces, scenes, animals, teacher, persons)
        plan = scaled(Plan(), scale, seed)
        gathered = gather(sources, folder)
        told = [*told_of(sources, gathered.learning), *terms]
        folder = folder / key(sources)
    click.echo(str(run(plan, gathered, detector or DETECTOR, folder, workers, told)))
