"""`porter style`: paints pictures in the manner of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.options import provider_option
from daemon.cli.parameters import Number, config_option
from daemon.cli.pictures import MANY_FILES, json_option

if TYPE_CHECKING:
    from daemon.inference import Provider
    from daemon.vision.style.optimise import Optimiser
    from daemon.vision.style.transfer import Init

EPILOG = """\b
Examples:
  porter style louvre.jpg monet.jpg -o painted.jpg
  porter style photos/ monet.jpg -o painted/ --keep-colours
  porter style louvre.jpg monet.jpg -o painted.jpg --preview steps/
  porter style --fast style-great-wave louvre.jpg -o painted.jpg
  porter style --fast style-great-wave walk.mp4 -o painted.mp4

\b
Exit codes: 0 done, 2 a wrong option, 65 the model is missing, damaged or of another kind, 66 no
picture could be used, 74 a painting cannot be written, 130 interrupted: the best so far was
written.
"""


@click.command(epilog=EPILOG)
@click.argument("given", nargs=-1, required=True, type=MANY_FILES, metavar="CONTENT... STYLE")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The painting; for several contents the folder of the paintings.",
)
@click.option(
    "--size",
    type=click.IntRange(64, 4096),
    help="Pixels of the longest side, at most 1024 without --fast. [default: 512; with --fast as "
    "the content, but of 2.56 megapixels at most: above, memory goes beyond 2 GiB]",
)
@click.option("--steps", type=click.IntRange(1, 10_000), default=300, show_default=True)
@click.option(
    "--init",
    type=click.Choice(["content", "noise"]),
    default="content",
    show_default=True,
    help="What to begin with.",
)
@click.option("--content-weight", type=Number(0, 1e6), help="Higher: truer to CONTENT.")
@click.option("--style-weight", type=Number(0, 1e6), help="Higher: more like STYLE.")
@click.option("--smooth-weight", type=Number(0, 1e6), help="Higher: less grainy.")
@click.option(
    "--style-size",
    type=click.IntRange(32, 1024),
    help="Pixels of the longest side of STYLE, at most 1024 for memory; less: finer strokes. "
    "[default: as --size]",
)
@click.option(
    "--optimiser", type=click.Choice(["lbfgs", "adam"]), default="lbfgs", show_default=True
)
@click.option("--keep-colours", is_flag=True, help="Take light and dark alone from STYLE.")
@click.option(
    "--preview",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a picture there every twentieth of the steps.",
)
@click.option(
    "--features",
    default="features",
    show_default=True,
    metavar="MODEL",
    help="Feature network: a name in the models folder, or a path.",
)
@click.option(
    "--fast",
    metavar="MODEL",
    help="Paint at once with a network for one style (style-great-wave, ...); no STYLE is given. "
    "Takes videos, too, also those of a folder.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of --init noise."
)
@click.option(
    "--threads", type=click.IntRange(1, 64), help="Of the network. [default: one per core]"
)
@provider_option
@json_option
@config_option
def command(
    given: tuple[Path, ...],
    out: Path,
    size: int | None,
    steps: int,
    init: Init,
    content_weight: float | None,
    style_weight: float | None,
    smooth_weight: float | None,
    style_size: int | None,
    optimiser: Optimiser,
    keep_colours: bool,
    preview: Path | None,
    features: str,
    fast: str | None,
    seed: int,
    threads: int | None,
    provider: Provider | None,
    as_json: bool,
    path: Path | None,
) -> None:
    """Paint each CONTENT in the manner of STYLE.

    CONTENT is a picture, a folder or a pattern. The painting keeps what is to be seen, and takes
    colours, strokes and textures from STYLE. It changes step by step; Ctrl-C ends it with the best
    so far. Pictures that cannot be used are skipped and counted.
    """
    from daemon.cli.painting import Report, paint_fast, paint_slowly
    from daemon.cli.pictures import choose
    from daemon.config import load_config

    providers = choose(provider, load_config(path).inference.provider)
    threads = threads or _cores()
    report = Report(as_json)
    if fast is not None:
        _alone_with_fast(click.get_current_context())
        paint_fast(given, out, fast, providers, threads, report, size=size, colours=keep_colours)
    else:
        from daemon.vision.style.gradient import Weights
        from daemon.vision.style.transfer import LARGEST, Manner

        if len(given) < 2:
            raise click.UsageError("give CONTENT and STYLE, or --fast MODEL and CONTENT")
        if size is not None and size > LARGEST:
            raise click.UsageError(f"--size is at most {LARGEST} without --fast: memory")
        usual = Weights()
        weights = Weights(
            usual.content if content_weight is None else content_weight,
            usual.style if style_weight is None else style_weight,
            usual.variation if smooth_weight is None else smooth_weight,
        )
        manner = Manner(
            size or 512, style_size, steps, init, optimiser, weights, keep_colours, seed
        )
        paint_slowly(given, out, features, providers, threads, report, manner, preview)
    click.get_current_context().exit(report.finish())


def _alone_with_fast(context: click.Context) -> None:
    """Refuse options that say nothing to a network that paints at once."""
    from click.core import ParameterSource

    idle: dict[str, str] = {
        "steps": "--steps",
        "init": "--init",
        "content_weight": "--content-weight",
        "style_weight": "--style-weight",
        "smooth_weight": "--smooth-weight",
        "style_size": "--style-size",
        "optimiser": "--optimiser",
        "preview": "--preview",
        "features": "--features",
        "seed": "--seed",
    }
    given: list[Any] = [
        option
        for name, option in idle.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: not with --fast, which paints at once")


def _cores() -> int:
    import os

    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
