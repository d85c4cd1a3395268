"""`porter-export objects`: trains the object detector; `porter-export label`: labels pictures."""

from __future__ import annotations

from pathlib import Path

import click

from export.options import out_folder, out_option, precision_option, terms_option

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--pictures",
    "sets",
    multiple=True,
    type=FILE,
    help="Tar of pictures to learn from, with a JSON of its name beside it (COCO), as "
    "`porter-export label` makes them.",
)
@click.option("--classifier", type=FILE, help="SqueezeNet (ONNX), which warms the backbone up.")
@click.option(
    "--teacher",
    type=FILE,
    help="YOLOX (ONNX), as its authors publish it, whose features the variant `multi` imitates.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(["v1", "multi"]),
    default=("multi",),
    show_default=True,
    help="v1: YOLO v1 as published; multi: three scales and better assignment. The last one ships.",
)
@click.option(
    "--step",
    "steps",
    multiple=True,
    type=click.Choice(["warm-up", "train", "ship"]),
    default=("warm-up", "train", "ship"),
    show_default=True,
    help="What to do of it all.",
)
@click.option("--minutes", default=60.0, show_default=True, help="Time to train each variant.")
@click.option("--warm-up", default=10.0, show_default=True, help="Minutes to warm up.")
@click.option("--rate", default=2e-3, show_default=True, help="Peak learning rate.")
@click.option("--mosaic", default=0.6, show_default=True, help="Share of samples of four pictures.")
@click.option("--go-on", is_flag=True, help="Train the variants in the work folder further.")
@click.option(
    "--network",
    type=click.Choice(["separable", "plain"]),
    default="plain",
    show_default=True,
    help="Kind of convolutions. plain: in whole numbers of eight bits, which processors multiply "
    "fast; separable: a third of the product-sums, in floating point.",
)
@click.option(
    "--start",
    help="Detector (name, card or file) from which the variant `multi` goes on, such as the one "
    "that ships.",
)
@click.option("--batch", default=64, show_default=True, help="Samples of a step.")
@click.option(
    "--side",
    default=320,
    show_default=True,
    type=click.IntRange(32),
    help="Pixels of the longer side of samples, a multiple of 32.",
)
@click.option(
    "--input-side",
    type=click.IntRange(32),
    help="Pixels of the longer side of what the shipped `multi` looks at, a multiple of 32.  "
    "[default: as it learnt]",
)
@click.option(
    "--early-side",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Pixels of samples in the first six tenths of the time, a multiple of 32, if above 0.",
)
@click.option(
    "--imitated",
    default=1,
    show_default=True,
    help="Of so many samples one is shown to the teacher whose features are imitated.",
)
@click.option(
    "--rounded",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the time, the last, in which a plain `multi` learns with its numbers rounded "
    "as its file will round them.",
)
@precision_option
@click.option("--seed", default=0, show_default=True, help="Of chance.")
@click.option(
    "--report",
    type=FILE,
    help="Tar of pictures with people's labels, for the figures in the card; nothing is learnt "
    "from it.",
)
@click.option(
    "--convert",
    type=FILE,
    help="Train nothing: make a model of Porter of a YOLOX file (ONNX, as its authors export it).",
)
@terms_option
@click.option("--name", default="objects", show_default=True, help="Of the model.")
@out_option("NAME.onnx (with --convert: a file of the same name) and its card")
@click.option(
    "--work",
    type=FOLDER,
    help="Folder of weights and logs; a backbone that was warmed up there is not again.",
)
@click.option("--quick", is_flag=True, help="A smoke test in under a minute, on drawn shapes.")
@click.option("--threads", default=2, show_default=True, help="Of the network, without a GPU.")
def objects(
    sets: tuple[Path, ...],
    classifier: Path | None,
    teacher: Path | None,
    variants: tuple[str, ...],
    steps: tuple[str, ...],
    minutes: float,
    warm_up: float,
    rate: float,
    mosaic: float,
    go_on: bool,
    network: str,
    start: str | None,
    batch: int,
    side: int,
    input_side: int | None,
    early_side: int,
    imitated: int,
    rounded: float,
    precision: str,
    seed: int,
    report: Path | None,
    convert: Path | None,
    terms: tuple[str, ...],
    name: str,
    out: Path | None,
    work: Path | None,
    quick: bool,
    threads: int,
) -> None:
    """Train the object detector of twelve classes.

    \b
    Examples:
        porter-export objects --pictures labelled.tar --classifier squeezenet.onnx \\
            --variant v1 --variant multi --report val.tar --out models/
        porter-export objects --convert yolox_nano.onnx --out models/
    """
    if convert is not None:
        from export.objects.convert import convert_yolox

        click.echo(str(convert_yolox(convert, out or Path("models"), convert.stem)))
        return
    import torch

    from export.data.cache import cache_folder
    from export.objects import recipe
    from export.objects.augment import Augmentation
    from export.objects.graph import MULTIPLE
    from export.objects.material import read
    from export.objects.model import KINDS
    from export.objects.quantise import LOOKED_AT
    from export.objects.restore import Start
    from export.objects.train import Recipe

    sides = {"--side": side, "--input-side": input_side or 0, "--early-side": early_side}
    for option, given in sides.items():
        if given % MULTIPLE:
            below = given // MULTIPLE * MULTIPLE
            raise click.BadParameter(
                f"{given} is no multiple of {MULTIPLE}; {below} and {below + MULTIPLE} are",
                param_hint=option,
            )
    torch.set_num_threads(threads)
    folder = work or cache_folder() / "objects"
    out = out_folder(out, folder, quick=quick)
    if quick:
        click.echo(str(recipe.run_quick(seed, variants, out, folder / f"quick-{seed}", network)))
        return
    if not sets:
        raise click.UsageError("give --pictures; or --quick for a smoke test")
    learning = Recipe(
        minutes=minutes, batch=batch, seed=seed, rate=rate, augmentation=Augmentation(mosaic),
        side=side, early_side=early_side, imitated=imitated, precision=precision,
        widths=KINDS[network], rounded=rounded,
    )  # fmt: skip
    before = None if start is None else Start(start)
    pictures = read(sets, learning.side, LOOKED_AT if set(steps) == {"ship"} else None)
    told = recipe.told(sets, classifier, teacher)
    plan = recipe.Plan(learning, warm_up, classifier, teacher, go_on, before, sets, told)
    if "warm-up" in steps:
        recipe.warm_backbone(plan, pictures, folder)
    if "train" in steps:
        recipe.train_variants(plan, pictures, variants, folder)
    if "ship" in steps:
        click.echo(
            str(recipe.ship(variants, folder, out, pictures, report, terms, input_side, name))
        )


@click.command()
@click.argument(
    "given", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURE..."
)
@click.option(
    "--teacher",
    required=True,
    type=click.Path(path_type=Path),
    help="Detector that labels: the card of a model, such as `porter-export objects --convert` "
    "makes.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Set to write: this tar, and a JSON of its name beside it.",
)
@click.option("--side", default=320, show_default=True, help="Pixels of the longer side, at most.")
@click.option("--quality", default=80, show_default=True, help="Of WebP, 1 to 100.")
@click.option("--least", default=0.2, show_default=True, help="Score from which a box is kept.")
@click.option(
    "--drawn",
    multiple=True,
    metavar="NUMBER=CLASS",
    help="People drew boxes of this class, which count instead of the teacher's: under this number "
    "in labels/X.txt for images/X.jpg (YOLO's layout).",
)
def label(
    given: tuple[Path, ...],
    teacher: Path,
    out: Path,
    side: int,
    quality: int,
    least: float,
    drawn: tuple[str, ...],
) -> None:
    """Let a detector label PICTURES (files, folders, patterns), to learn from.

    \b
    Example:
        porter-export label street/ "pets/*.jpg" --teacher models/yolox_nano.yaml --out street.tar
    """
    from daemon.inference import choose_providers
    from daemon.vision.objects.detector import open_object_detector
    from daemon.vision.objects.names import CLASSES
    from daemon.vision.pictures import list_pictures
    from export.objects.label import Storage
    from export.objects.label import label as label_pictures

    if out.suffix != ".tar":
        raise click.BadParameter(f"{out} does not end in .tar", param_hint="--out")
    known: dict[int, str] = {}
    for each in drawn:
        number, _, name = each.partition("=")
        if not number.isdecimal() or name not in CLASSES:
            raise click.BadParameter(
                f"{each!r} is not NUMBER=CLASS; classes are {', '.join(CLASSES)}",
                param_hint="--drawn",
            )
        known[int(number)] = name
    paths = list_pictures(given)
    detector = open_object_detector(teacher, choose_providers("auto"), 1, CLASSES)
    counts = label_pictures(paths, detector, out, Storage(side, quality, least), known)
    click.echo(f"{out}: {', '.join(f'{count} {name}' for name, count in counts.items() if count)}")
