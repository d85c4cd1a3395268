"""Accuracy of the face encoder beside the networks that taught it, in one run.

    python -m bench.face_accuracy

Labelled pairs are the 1,000 of LFW's view 1, development test; all pairs are compared of the people
of CelebA and UTKFace that training kept apart. The encoder is measured as the daemon uses it, one
look at a face; the others with mirror images, as they are usually measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.common import json_option, need, plain_errors, shared_option, show, table
from export.embedding.material import Sources
from export.embedding.measuring import measure_all, write_files
from export.embedding.report import facts, text

SETS = ("celeba:test", "utkface:test")


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(path_type=Path),
    default=(Path("face"),),
    help="Encoder, by file or name. [default: face]",
)
@click.option("--peers/--no-peers", default=True, help="Measure dlib and MobileFaceNet as well.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for det.png, det.csv and report.json.",
)
@shared_option
@json_option
def main(
    models: tuple[Path, ...], peers: bool, out: Path | None, shared: Path, as_json: bool
) -> None:
    """Verification accuracy, misses at three false match rates, and false matches by group."""
    with plain_errors():
        faces = need(shared / "data/faces", "the shared pictures of faces")
        teachers = shared / "teachers"
        mobile = need(teachers / "mobilefacenet_casia_112x96.onnx", "MobileFaceNet")
        measured = measure_all(
            models,
            ["dlib:8.6", str(mobile)] if peers else [],
            (faces / "lfw_view1_devtest.tar", faces / "pairsDevTest.txt"),
            Sources(
                faces, SETS, finder=need(teachers / "face_detection_yunet_2026may.onnx", "YuNet")
            ),
        )
        measures = facts(measured)
        write_files(measured, measures, out, None, 0)
    show(measures, f"{_table(measures)}\n\n{text(measures)}", as_json)


def _table(measures: dict[str, Any]) -> str:
    header = [
        *("system", "view 1 accuracy", "TAR at FAR 1e-3"),
        *("held out: FNMR at FMR 1e-2", "1e-3", "1e-4"),
    ]
    rows = [
        [
            name,
            f"{system['pairs']['accuracy']:.2%}",
            f"{system['pairs']['tar_at_1e3']:.2%}",
            *(f"{missed:.2%}" for missed in system["held_out"]["fnmr_at_fmr"].values()),
        ]
        for name, system in measures["systems"].items()
    ]
    return table(header, rows)


if __name__ == "__main__":
    main()
