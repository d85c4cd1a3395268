"""A contact sheet of paintings, to compare feature networks by eye.

    python -m bench.style_sheet --features plain=plain.onnx --features distilled=features.onnx \\
        --pair louvre monet_poppies -o sheet.jpg

A row for each pair of content and style, a column for each network, all painted alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np

from bench.common import need, plain_errors, shared_option
from daemon.inference import choose_providers
from daemon.vision.frames import Image
from daemon.vision.pictures import read_image
from daemon.vision.style.canvas import scaled
from daemon.vision.style.gradient import open_gradient
from daemon.vision.style.transfer import Manner, Transfer
from daemon.vision.writing import write_image

CAPTION = 26
"""Pixels above each picture for its name."""
GAP = 6
CELL = 320
"""Width of each picture on the sheet."""


@click.command()
@click.option("--features", "networks", multiple=True, required=True, metavar="[NAME=]MODEL")
@click.option("--pair", "pairs", multiple=True, nargs=2, required=True, metavar="CONTENT STYLE")
@click.option("--size", default=384, show_default=True)
@click.option("--steps", default=200, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True)
@shared_option
def main(
    networks: tuple[str, ...],
    pairs: tuple[tuple[str, str], ...],
    size: int,
    steps: int,
    threads: int,
    out: Path,
    shared: Path,
) -> None:
    """Paint every pair with every network, on one sheet."""
    with plain_errors():
        folder = need(shared / "data/style", "pictures for style transfer")
        rows = []
        for content_name, style_name in pairs:
            content = read_image(folder / "contents" / f"{content_name}.jpg")
            style = read_image(folder / "styles" / f"{style_name}.jpg")
            cells = [captioned(content, content_name), captioned(style, style_name)]
            for network in networks:
                label, _, model = network.rpartition("=")
                graph = open_gradient(model, choose_providers("cpu"), threads)
                transfer = Transfer(graph, style, Manner(size=size, steps=steps))
                painting = transfer.paint(content, lambda *_: None)
                cells.append(captioned(painting.image, label or graph.card.name))
                click.echo(f"{content_name}, {style_name}, {network}: {painting.loss}", err=True)
            rows.append(joined(cells, 1))
        write_image(out, joined(rows, 0))


def captioned(image: Image, caption: str) -> Image:
    """A picture of the width of the sheet's, under its name."""
    height, width = image.shape[:2]
    small = scaled(image, round(CELL * max(height, width) / width))
    title = np.full((CAPTION, small.shape[1], 3), 255, np.uint8)
    text = caption.replace("_", " ")
    cv2.putText(title, text, (2, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([title, small])


def joined(images: Sequence[Image], axis: int) -> Image:
    """Pictures one under the other (axis 0) or side by side (1), on white."""
    across = 1 - axis
    longest = max(image.shape[across] for image in images)
    parts = []
    for image in images:
        margin = [(0, 0), (0, 0), (0, 0)]
        margin[axis], margin[across] = (0, GAP), (0, longest - image.shape[across])
        parts.append(np.pad(image, margin, constant_values=255))
    return np.concatenate(parts, axis)


if __name__ == "__main__":
    main()
