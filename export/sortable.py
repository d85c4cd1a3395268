"""The page of an error analysis: a table to sort, with something to look at or listen to a row."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template


def row(values: Sequence[str], *shown: str) -> str:
    """A row of text and, behind it, cells of HTML."""
    cells = [escape(value) for value in values] + list(shown)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def write_page(
    path: Path, title: str, note: str, heads: Sequence[str], rows: Sequence[str]
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        title: plain text.
        note: plain text, a sentence without its full stop.
        heads: of the columns, plain text.
        rows: from :func:`row`.
    """
    page = _PAGE.substitute(
        title=escape(title),
        note=escape(note),
        heads="".join(f"<th>{escape(head)}" for head in heads),
        rows="\n".join(rows),
    )
    path.write_text(page, encoding="utf-8")


_PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>$title</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; }
th { cursor: pointer; position: sticky; top: 0; background: #fff; white-space: nowrap; }
th[aria-sort=ascending]::after { content: " \\25b2"; }
th[aria-sort=descending]::after { content: " \\25bc"; }
audio { width: 14rem; }
img { max-width: 440px; }
</style>
<h1>$title</h1>
<p>$note. Click a heading to sort.</p>
<table>
<thead><tr>$heads</tr></thead>
<tbody>
$rows
</tbody>
</table>
<script>
const body = document.querySelector("tbody");
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  document.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const text = row => row.cells[column].textContent;
  const order = (a, b) => isNaN(text(a)) || isNaN(text(b)) || text(a) === ""
    ? text(a).localeCompare(text(b)) : text(a) - text(b);
  [...body.rows].sort((a, b) => down ? order(b, a) : order(a, b)).forEach(row => body.append(row));
}));
</script>
</html>
""")
