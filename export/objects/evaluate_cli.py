"""`porter-export evaluate objects`: measures object detectors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from export.options import json_option, report_option


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(path_type=Path),
    default=(Path("objects"),),
    show_default="the one that ships",
    help="Model file or name; its card lies beside it. Several look at each picture in turn.",
)
@click.option(
    "--pictures",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Tar of pictures, with a JSON of its name beside it (COCO).",
)
@click.option("--threads", default=1, show_default=True, help="Of each network.")
@report_option("curve.png")
@json_option
def objects(
    models: tuple[Path, ...], pictures: Path, threads: int, out: Path | None, as_json: bool
) -> None:
    """Average precision of object detectors on labelled pictures, and the time that they take.

    \b
    Example:
        porter-export evaluate objects --pictures val.tar --out report/
    """
    from daemon.errors import PorterError
    from daemon.inference import CPU
    from daemon.vision.objects.detector import open_object_detector
    from daemon.vision.objects.names import CLASSES
    from export.objects import report
    from export.objects.evaluate import measure, read_marked

    try:
        marked = read_marked(pictures)
        detectors = [open_object_detector(each, [CPU], threads, CLASSES) for each in models]
        results = measure(detectors, marked)
    except PorterError as error:
        click.echo(f"porter-export: error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    facts = {each.name: report.facts(each, marked) for each in results}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        report.draw(results, marked, out / "curve.png")
        (out / "report.json").write_text(json.dumps(facts, indent=2) + "\n")
    click.echo(json.dumps(facts) if as_json else report.text(results, marked))
