# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a service publishes of its state: a page for people, without scripts, and the same as JSON for programs.

``STYLE`` is how all pages look, by day and by night, on a telephone, a screen and paper; each page has it in itself.
A table of the class ``rows`` becomes a list on a narrow screen, where a cell has its column's name in ``data-label``;
one in a box of the class ``wide`` scrolls by itself instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .escape import escape_html
from .files import write_atomic

STYLE = """\
:root {
color-scheme: light dark;
--text: #1b2330; --quiet: #56616f; --page: #fff; --panel: #f5f7fa; --line: #d5dce4; --link: #0a58ca;
--good: #0b6b33; --good-panel: #e3f4e9; --bad: #b3211b; --busy: #7d4a00;
}
@media (prefers-color-scheme: dark) {
:root {
--text: #e3e8ee; --quiet: #9ba7b4; --page: #12161c; --panel: #1b2129; --line: #343d48; --link: #7fb4ff;
--good: #6fd695; --good-panel: #16331f; --bad: #ff8f87; --busy: #f0b65c;
}
}
* { box-sizing: border-box }
html { color: var(--text); background: var(--page); -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem;
padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 3rem }
h1 { font-size: clamp(1.6rem, 5vw, 2.25rem); line-height: 1.2; margin: .5rem 0; letter-spacing: -.01em }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.5rem 0 .75rem }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem }
h1, h2, h3, p, li, dd, td, th { overflow-wrap: anywhere }
p { margin: .5rem 0 }
li { margin-bottom: .35rem }
a { color: var(--link); text-underline-offset: .15em }
a:focus-visible, [tabindex]:focus-visible, button:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
time, .nowrap { white-space: nowrap }
small, .quiet { color: var(--quiet); font-weight: normal }
small { font-size: .875rem }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .875em }
code { overflow-wrap: anywhere }
pre code { font-size: inherit }
.digest, .key { user-select: all; -webkit-user-select: all }
.digest { font-size: .8rem; color: var(--quiet) }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--panel); border: 1px solid var(--line);
border-radius: .5rem; padding: .75rem 1rem; margin: .5rem 0; line-height: 1.6 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--quiet); padding: 0 0 .5rem }
.unseen { position: absolute; width: 1px; height: 1px; overflow: clip; clip-path: inset(50%); padding: 0 }
th, td { text-align: left; padding: .55rem 1rem .55rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
thead th { color: var(--quiet); font-size: .875rem; font-weight: 600; overflow-wrap: normal }
tbody th { font-weight: 600 }
.number { text-align: right; white-space: nowrap }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.5rem; margin: .5rem 0 }
dt { color: var(--quiet) }
dd { margin: 0 }
nav ul, .files { list-style: none; margin: 0; padding: 0 }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
.files li { margin: 0 0 .15rem }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: .75rem; padding: .25rem 1.5rem 1.25rem;
margin: 1.25rem 0 }
.panel h2 { margin: 1rem 0 .25rem }
.panel tr:last-child > * { border-bottom: 0 }
.badge { display: inline-block; background: var(--good-panel); color: var(--good); border-radius: 1rem;
padding: .1rem .65rem; font-size: .8rem; font-weight: 600; line-height: 1.4; letter-spacing: 0; vertical-align: .2em;
white-space: nowrap }
.main { font-weight: 600 }
.failed, .blocked { color: var(--bad); font-weight: 600 }
.badge.failed { background: var(--page) }
.passed, .released, .ok, .mirrored, .published { color: var(--good) }
.building, .queued, .waiting, .built, .running { color: var(--busy) }
.wide { overflow-x: auto }
.wide table { width: auto }
.wide td { white-space: nowrap }
button { font: inherit; color: inherit; border: 0; background: none; padding: 0; text-align: left; cursor: pointer }
button::after { content: " ↕" }
[aria-sort=ascending] button::after { content: " ↑" }
[aria-sort=descending] button::after { content: " ↓" }
footer { color: var(--quiet); border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1rem; font-size: .9rem }
@media screen and (max-width: 44rem) {
.panel { padding: .25rem 1rem 1rem }
dl { grid-template-columns: 1fr; gap: 0 }
dd { margin-bottom: .6rem }
.rows, .rows tbody, .rows tr, .rows th, .rows td, .rows caption { display: block }
.rows thead { position: absolute; width: 1px; height: 1px; overflow: clip; clip-path: inset(50%) }
.rows caption.unseen { position: absolute }
.rows tr { border-bottom: 1px solid var(--line); padding: .6rem 0 }
.rows tr:last-child { border-bottom: 0 }
.rows th, .rows td { border: 0; padding: .1rem 0; text-align: left }
.rows td[data-label] { display: flow-root; padding-left: 7.5rem }
.rows td[data-label]::before { content: attr(data-label); float: left; width: 7rem; margin-left: -7.5rem;
color: var(--quiet); font-weight: normal }
.rows td:empty { display: none }
.rows .number { white-space: normal }
}
@media print {
:root { --text: #000; --quiet: #333; --page: #fff; --panel: #fff; --line: #999; --link: #000 }
body { margin: 0; padding: 0; max-width: none; font-size: 9pt }
.wide { overflow: visible }
.wide td { white-space: normal }
nav { display: none }
button::after { content: "" }
a { color: inherit; text-decoration: none }
a[href^=http]::after { content: " (" attr(href) ")" }
li, section, tr { break-inside: avoid }
thead { display: table-header-group }
}
"""
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
    """A table of cells that are HTML. On a narrow screen each stands below the one before, after its column's name.

    A column whose name begins with ``#`` is one of numbers.
    """
    head = "".join(
        f'<th scope="col" class="number">{column[1:]}</th>'
        if column.startswith("#")
        else f'<th scope="col">{column}</th>'
        for column in columns
    )
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
    return cell.replace("<td", f'<td data-label="{escape_html(column.removeprefix("#"))}"', 1)
