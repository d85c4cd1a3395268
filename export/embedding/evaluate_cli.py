"""`porter-export evaluate faces`: measures face encoders, side by side with others."""

from __future__ import annotations

import json
from pathlib import Path

import click

from export.options import data_option, errors_option, json_option, report_option, worst_option


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Encoder, by file or name; measured as the daemon uses it.",
)
@click.option(
    "--peer",
    "teachers",
    multiple=True,
    metavar="MODEL[:WEIGHT]",
    help="`dlib`, or another encoder's ONNX file: measured with mirror images, alone and, if there "
    "are several, together by weight. They also find people who are twice among unnamed faces.",
)
@click.option(
    "--pairs",
    nargs=2,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="TAR PAIRS",
    help="Labelled pairs in the form of LFW: accuracy over ten folds, TAR at FAR 1e-3.",
)
@data_option
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME[:PART,...]",
    help="A prepared set of which all pairs are compared; take the part `test`.",
)
@click.option(
    "--pictures",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of pictures with a sub-folder for each person, of which all pairs are compared.",
)
@click.option(
    "--finder",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YuNet (ONNX), which finds the landmarks of pairs and folders.",
)
@report_option("det.png", "det.csv")
@errors_option("pages with the worst pairs as pictures")
@worst_option
@json_option
def faces(
    models: tuple[Path, ...],
    teachers: tuple[str, ...],
    pairs: tuple[Path, Path] | None,
    data: Path | None,
    sets: tuple[str, ...],
    pictures: tuple[Path, ...],
    finder: Path | None,
    out: Path | None,
    errors: Path | None,
    worst: int,
    as_json: bool,
) -> None:
    """Accuracy of face encoders: on labelled pairs, and on all pairs of held-out faces.

    \b
    Example:
        porter-export evaluate faces --model face --data faces/ --set celeba:test --set utkface:test
    """
    from export.embedding import report
    from export.embedding.material import Sources
    from export.embedding.measuring import measure_all, write_files

    if pairs is None and not sets and not pictures:
        raise click.UsageError("nothing to measure on: give --pairs, --set or --pictures")
    measured = measure_all(models, teachers, pairs, Sources(data, sets, pictures, (), finder))
    facts = report.facts(measured)
    write_files(measured, facts, out, errors, worst)
    click.echo(json.dumps(facts) if as_json else report.text(facts))
