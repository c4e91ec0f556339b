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

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="30">
<meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>
body {{ font-family: sans-serif; margin: 2em; color: #222; background: #fff }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ text-align: left; padding: .3em .8em; border-bottom: 1px solid #ccc; vertical-align: top }}
.failed {{ color: #a00; font-weight: bold }}
.passed {{ color: #060 }}
.building, .queued, .waiting {{ color: #740 }}
</style>
</head>
<body>
<h1>{name}</h1>
{intro}{trouble}
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p>The same for programs: <a href="status.json">status.json</a></p>
</body>
</html>
"""


def publish_status(directory: Path, status: Mapping[str, Any], page: str) -> None:
    """Write the status and its page; readers see each whole."""
    write_atomic(directory / "status.json", json.dumps(status, indent=1).encode() + b"\n")
    write_atomic(directory / "index.html", page.encode())


def render_page(
    name: str, *, intro: str, trouble: Iterable[str], columns: Iterable[str], rows: Iterable[Sequence[str]]
) -> str:
    """The page: ``intro`` and the cells of ``rows`` are HTML, the rest is text."""
    return PAGE.format(
        name=escape_html(name),
        intro=intro,
        trouble="".join(f'\n<p class="failed">{escape_html(sentence)}</p>' for sentence in trouble),
        head="".join(f"<th>{column}</th>" for column in columns),
        rows="\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows),
    )


def render_cell(text: object) -> str:
    """A cell that holds a text, or nothing."""
    return f"<td>{'' if text is None else escape_html(str(text))}</td>"


def render_state(state: str, message: str) -> str:
    """A cell in the colour of a state, with what is to be said of it."""
    more = f"<br>{escape_html(message)}" if message else ""
    return f'<td class="{escape_html(state)}">{escape_html(state)}{more}</td>'
