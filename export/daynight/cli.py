"""`porter-export daynight`: trains the network that tells day from night."""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch

from export.data.cache import cache_folder
from export.daynight import report, sketches
from export.daynight.errors_report import draw, worst, write_report
from export.daynight.material import Pictures, read
from export.daynight.recipe import THRESHOLD, Plan, run
from export.daynight.teacher import Teacher
from export.daynight.workshop import read_unlabelled
from export.options import errors_option, json_option, out_folder, out_option, terms_option

PLACE = click.Path(exists=True, file_okay=False, path_type=Path)


def _sides(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        sides = tuple(int(each) for each in text.split(","))
    except ValueError:
        raise click.BadParameter("must be numbers with commas between them") from None
    if not all(8 <= each <= 512 for each in sides):
        raise click.BadParameter("each must be 8 to 512")
    return sides


@click.command()
@click.option(
    "--data",
    "folders",
    multiple=True,
    type=PLACE,
    help="Folder to learn from, with day/ and night/. Several times for several folders.",
)
@click.option(
    "--test",
    "tests",
    multiple=True,
    type=PLACE,
    help="Folder to report on, with day/ and night/; nothing is learnt or chosen on it.",
)
@click.option(
    "--unlabelled",
    "places",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder or tar of any pictures: EfficientNet-Lite0 looks at them, and the network learns "
    "from it, too.",
)
@terms_option
@out_option("daynight.onnx and its card")
@click.option(
    "--sides",
    default="16,32,64,128",
    show_default=True,
    callback=_sides,
    help="Resolutions of the table, in pixels.",
)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(2, 20))
@click.option(
    "--scale",
    type=click.FloatRange(0.01, 100),
    default=1.0,
    show_default=True,
    help="Steps to take, as a factor on those of the recipe.",
)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--quick", "is_quick", is_flag=True, help="A smoke test of a few seconds, on drawn pictures."
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of what was trained; a run that was cut off goes on there.",
)
@click.option("--threads", default=1, show_default=True)
@click.option(
    "--worst", "count", type=click.IntRange(1), default=20, show_default=True,
    help="Pictures of each class in the error analysis.",
)  # fmt: skip
@errors_option("the worst pictures with their probabilities, and a sortable page")
@json_option
def daynight(
    folders: tuple[Path, ...],
    tests: tuple[Path, ...],
    places: tuple[Path, ...],
    terms: tuple[str, ...],
    out: Path | None,
    sides: tuple[int, ...],
    folds: int,
    scale: float,
    seed: int,
    is_quick: bool,
    work: Path | None,
    threads: int,
    count: int,
    errors: Path | None,
    as_json: bool,
) -> None:
    """Train the day-or-night network: variants are compared by cross-validation, the best ships.

    \b
    Example:
        porter-export daynight --data daynight/train --test daynight/val \\
            --unlabelled pictures.tar --out models/ --errors report/
    """
    torch.set_num_threads(threads)
    known = Teacher() if places else None
    folder = work or cache_folder() / "daynight"
    out = out_folder(out, folder, quick=is_quick)
    skipped: list[str] = []

    def skip(message: str) -> None:
        skipped.append(message)
        click.echo(f"{message}; skipped", err=True)

    test: Pictures | None
    if is_quick:
        plan = Plan(sides=(16,), side=32, folds=2, scale=0.15, seed=seed)
        pictures, test = sketches.pictures(60, seed), sketches.pictures(30, seed + 1)
        terms = ("drawn pictures: a smoke test, not a model",)
    else:
        if not folders:
            raise click.UsageError("give --data; or --quick for a smoke test")
        plan = Plan(sides=sides, folds=folds, scale=scale, seed=seed)
        pictures, test = read(folders, skip), read(tests, skip) if tests else None
    unlabelled = read_unlabelled(places)
    result = run(plan, pictures, test, unlabelled, known, out, folder, terms)
    if errors is not None:
        cases = worst(result.shown, result.night, THRESHOLD, count)
        write_report(cases, THRESHOLD, plan.side, errors, "Day or night: the worst pictures")
        draw(result.shown, result.night, THRESHOLD, errors / "probabilities.png")
    if skipped:
        click.echo(f"{len(skipped)} pictures skipped", err=True)
    facts = result.report | {"card": str(result.card), "skipped": skipped}
    click.echo(json.dumps(facts, indent=2) if as_json else report.text(facts))
