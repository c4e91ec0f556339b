# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a service publishes of its state: a page for people, without scripts, and the same as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .escape import escape_html
from .files import write_atomic
from .stylesheet import STYLE

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="30">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{name}</h1>
{intro}{trouble}
{table}
</main>
<footer>
<p>The same for programs: <a href="status.json">status.json</a></p>
</footer>
</body>
</html>
"""


def publish_status(directory: Path, status: Mapping[str, Any], page: str) -> None:
    """Write the status and its page; readers see each whole."""
    write_atomic(directory / "status.json", json.dumps(status, indent=1).encode() + b"\n")
    write_atomic(directory / "index.html", page.encode())


def render_page(
    name: str, *, intro: str, trouble: Iterable[str], columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> str:
    """The page: ``intro`` and the cells of ``rows`` are HTML, the rest is text."""
    return PAGE.format(
        name=escape_html(name),
        style=STYLE,
        intro=intro,
        trouble="".join(f'\n<p class="failed">{escape_html(sentence)}</p>' for sentence in trouble),
        table=render_table(columns, rows),
    )


def render_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML. On a narrow screen each cell stands below the one before, after its column's name."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "\n".join(
        f"<tr>{''.join(_label_cell(cell, column) for cell, column in zip(cells, columns, strict=True))}</tr>"
        for cells in rows
    )
    return f'<table class="rows">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def render_cell(text: object) -> str:
    """A cell that holds a text, or nothing."""
    return f"<td>{'' if text is None else escape_html(str(text))}</td>"


def render_time_cell(text: str | None) -> str:
    """A cell that holds a time, which stays on one line, or nothing."""
    return f"<td>{render_time(text) if text else ''}</td>"


def render_time(text: str) -> str:
    """A time, which stays on one line."""
    return f'<span class="nowrap">{escape_html(text)}</span>'


def render_state(state: str, message: str) -> str:
    """A cell in the colour of a state, with what is to be said of it."""
    more = f"<br>{escape_html(message)}" if message else ""
    return f'<td class="{escape_html(state)}">{escape_html(state)}{more}</td>'


def _label_cell(cell: str, column: str) -> str:
    return cell.replace("<td", f'<td data-label="{escape_html(column)}"', 1)
