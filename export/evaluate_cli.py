"""`porter-export evaluate`: measures models on recordings and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from export.embedding.evaluate_cli import faces
from export.objects.evaluate_cli import objects
from export.options import errors_option, json_option, report_option, worst_option

if TYPE_CHECKING:
    from export.data.manifests import Clip
    from export.wake.conditions import Condition


@click.group()
def evaluate() -> None:
    """Measure a model on recordings or pictures."""


evaluate.add_command(faces)
evaluate.add_command(objects)


@evaluate.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Model file or name; its card lies beside it. Several share one DET picture.",
)
@click.option("--word", help="Which word of the model; needed if it knows several.")
@click.option(
    "--positives",
    multiple=True,
    metavar="MANIFEST[:LABEL,...[:SPLIT]]",
    help="Recordings of the word.",
)
@click.option(
    "--negatives",
    multiple=True,
    metavar="MANIFEST[:LABEL,...[:SPLIT]]",
    help="Recordings in which nobody says it.",
)
@click.option("--exclude-label", "excluded", multiple=True, help="Leave out clips of this label.")
@click.option("--split", help="Only clips of this split, where a manifest argument names none.")
@click.option(
    "--snr",
    "snrs",
    multiple=True,
    type=float,
    metavar="DB",
    help="Measure with noise at this SNR, too, relative to the level of active speech.",
)
@click.option(
    "--noise",
    default="pink",
    show_default=True,
    metavar="MANIFEST|pink",
    help="Where the noise of --snr comes from.",
)
@click.option(
    "--max-false-accepts",
    "allowed",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Highest number of false accepts among the points shown.",
)
@click.option("--threshold", type=float, help="Report errors at this threshold, not the card's.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of noise and its place.")
@report_option("det.png", "det.csv")
@errors_option("sounds, pictures and a sortable page")
@worst_option
@json_option
def wake(
    models: tuple[Path, ...],
    word: str | None,
    positives: tuple[str, ...],
    negatives: tuple[str, ...],
    excluded: tuple[str, ...],
    split: str | None,
    snrs: tuple[float, ...],
    noise: str,
    allowed: int,
    threshold: float | None,
    seed: int,
    out: Path | None,
    errors: Path | None,
    worst: int,
    as_json: bool,
) -> None:
    """Misses and false accepts of a wake word: at the card's threshold, and as a DET curve.

    Each clip is heard after a second of quiet and before 0.8 s of it; all negatives are heard as
    one stream. Rates are per hour of the negative clips themselves.
    """
    from dataclasses import replace

    from daemon.errors import PorterError
    from export.data.manifests import select
    from export.wake import det, errors_report, report
    from export.wake.evaluate import measure
    from export.wake.scoring import open_scorer

    if not positives and not negatives:
        raise click.UsageError("nothing to measure on: give --positives, --negatives or both")
    try:
        said = select(positives, excluded, split)
        unsaid = select(negatives, excluded, split)
        evaluations = {}
        for path in models:
            scorer, rule, name = open_scorer(path, word)
            if threshold is not None:
                rule = replace(rule, threshold=threshold)
            for condition in _conditions(snrs, noise, split, seed):
                result = measure(scorer, rule, said, unsaid, condition)
                evaluations[f"{path.stem}, {condition}"] = result
                if errors is not None:
                    folder = errors / path.stem / str(condition).replace(" ", "-")
                    errors_report.write_report(
                        errors_report.worst(result, rule.threshold, worst),
                        condition,
                        rule.threshold,
                        folder,
                        f"{name}: misses and false accepts",
                    )
        facts = report.facts(evaluations, allowed)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            curves = {title: result.det() for title, result in evaluations.items()}
            det.write_csv(curves, out / "det.csv")
            det.draw(curves, facts["negative_hours"], out / "det.png", "Wake word: DET")
            (out / "report.json").write_text(json.dumps(facts, indent=2) + "\n")
    except PorterError as error:
        click.echo(f"porter-export: error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    click.echo(json.dumps(facts) if as_json else report.text(facts))


@evaluate.command()
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=Path("facedetect"),
    show_default="the one that ships",
    help="Model file or name; its card lies beside it.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with faces/, detection/, images/ and daynight/.",
)
@click.option(
    "--teacher",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="YuNet: the reference where nobody has marked faces.",
)
@click.option(
    "--count",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Pictures composed of held-out persons and backgrounds, clean and worn.",
)
@click.option("--threshold", type=float, help="Report at this threshold, not the card's.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is composed.")
@report_option("curve.png", "curve.csv")
@errors_option("a page of all missed and false faces, drawn")
@json_option
def facedetect(
    model: Path,
    data: Path,
    teacher: Path,
    count: int,
    threshold: float | None,
    seed: int,
    out: Path | None,
    errors: Path | None,
    as_json: bool,
) -> None:
    """Faces that a detector finds, misses and makes up in held-out pictures."""
    from daemon.errors import PorterError
    from daemon.inference import CPU
    from daemon.vision.detector import open_detector
    from export.faces import report
    from export.faces.calibrate import finder_of
    from export.faces.evaluate import System
    from export.faces.teacher import Teacher

    try:
        detector = open_detector(model, [CPU])
        own = detector.card.threshold if threshold is None else threshold
        system = System(detector.card.name, finder_of(detector), own)
        (results,) = report.measure([system], data, Teacher(teacher), count, seed)
        facts = {system.name: report.facts(system, results)}
        if out is not None:
            report.write_curves({system.name: results}, out)
            (out / "report.json").write_text(json.dumps(facts, indent=2) + "\n")
        if errors is not None:
            report.write_errors(results, own, errors, f"{system.name}: missed and false faces")
    except PorterError as error:
        click.echo(f"porter-export: error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    click.echo(json.dumps(facts) if as_json else report.text(facts))


def _conditions(
    snrs: tuple[float, ...], noise: str, split: str | None, seed: int
) -> list[Condition]:
    from export.data.manifests import select
    from export.wake.conditions import Condition

    clips: list[Clip] = [] if noise == "pink" or not snrs else select([noise], (), split)
    name = "pink noise" if noise == "pink" else "recorded noise"
    recordings = [clip.read() for clip in clips]
    return [Condition(seed=seed), *(Condition(snr, recordings, name, seed) for snr in snrs)]
