"""Contact sheets: many small faces on one page, as HTML that opens offline, or as a picture."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from daemon.cli.figures import save
from daemon.paths import write_whole

COLOURS = {"match": "#2ca02c", "unknown": "#d62728", "unsure": "#ff7f0e", "rejected": "#7f7f7f"}
"""By decision."""
PLAIN = "#4a6fa5"
ACROSS = 8
MOST_DRAWN = 160
"""Faces of a sheet that is a picture; of more, the first."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
  body {{ font: 14px/1.4 sans-serif; margin: 2em; color: #222; background: #fff }}
  h1 {{ font-size: 1.4em }} h2 {{ font-size: 1.1em; margin: 1.6em 0 .4em }}
  section {{ display: flex; flex-wrap: wrap; gap: 10px }}
  figure {{ margin: 0; width: 120px }}
  figcaption {{ font-size: 11px; overflow-wrap: anywhere }}
  img {{ width: 112px; height: 112px; display: block; border: 4px solid; border-radius: 4px }}
  img.wide {{ width: auto; max-width: 100%; height: auto; border: 0 }}
  p {{ max-width: 60em }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A face on a sheet."""

    thumbnail: bytes
    """JPEG."""
    caption: str
    link: str | None = None
    """Relative path of the picture that it is from; None: no link."""
    colour: str = PLAIN


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Faces under one heading."""

    title: str
    tiles: Sequence[Tile]


def write_html(
    path: Path,
    title: str,
    sections: Sequence[Section],
    notes: Sequence[str] = (),
    figure: bytes = b"",
) -> None:
    """Write a page that needs nothing else: the faces are inside.

    Args:
        path: of the page.
        title: of the page.
        sections: of faces.
        notes: lines below the title.
        figure: PNG, shown at the end.

    Raises:
        OutputError: it cannot be written.
    """
    body = [f"<p>{escape(note)}</p>" for note in notes]
    for section in sections:
        body += [f"<h2>{escape(section.title)}</h2>", "<section>"]
        body += [*map(_figure, section.tiles), "</section>"]
    if figure:
        source = b64encode(figure).decode()
        body.append(f'<p><img class="wide" src="data:image/png;base64,{source}" alt=""></p>')
    text = PAGE.format(title=escape(title), body="\n".join(body))
    write_whole(path, text.encode(errors="replace"), str(path))


def draw(path: Path, sections: Sequence[Section]) -> None:
    """Draw a sheet as a picture; `path` says in which format. Needs matplotlib.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = list(_rows(sections))
    size = (1.3 * ACROSS, 1.8 * max(1, len(rows)))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.12))
    axes = figure.subplots(max(1, len(rows)), ACROSS, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for line, (title, tiles) in zip(axes, rows):
        if title:
            line[0].set_title(_plain(title), loc="left", fontsize=10, fontweight="bold", pad=8)
        for axis, tile in zip(line, tiles):
            _tile(axis, tile)
    save(figure, path, "--sheet", dpi=100)


def _figure(tile: Tile) -> str:
    source = b64encode(tile.thumbnail).decode()
    image = f'<img src="data:image/jpeg;base64,{source}" alt="" style="border-color:{tile.colour}">'
    if tile.link is not None:
        image = f'<a href="{escape(quote(tile.link, errors="surrogateescape"))}">{image}</a>'
    return f"<figure>{image}<figcaption>{escape(tile.caption)}</figcaption></figure>"


def _rows(sections: Sequence[Section]) -> Iterator[tuple[str, Sequence[Tile]]]:
    left = MOST_DRAWN
    for section in sections:
        tiles = section.tiles[:left]
        left -= len(tiles)
        for start in range(0, len(tiles), ACROSS):
            yield "" if start else section.title, tiles[start : start + ACROSS]


def _tile(axis: Any, tile: Tile) -> None:
    from matplotlib.image import imread

    axis.imshow(imread(BytesIO(tile.thumbnail), "jpeg"))
    axis.axis("on")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set(color=tile.colour, linewidth=3)
    text = tile.caption if len(tile.caption) < 40 else tile.caption[:37] + "..."
    axis.set_xlabel(_plain(text), fontsize=6)


def _plain(text: str) -> str:
    """A name may hold a dollar, which would begin a formula."""
    return text.replace("$", r"\$")
