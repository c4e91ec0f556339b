# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How all pages look, by day and by night, on a telephone, a screen and paper: one text, which each page has in itself.

A table of the class ``rows`` becomes a list on a narrow screen: each cell has its column's name in ``data-label``.
One of the class ``wide`` scrolls by itself instead. Nothing is loaded from anywhere.
"""

from __future__ import annotations

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
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 3rem; max-width: 76rem }
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
.digest, .key { user-select: all; -webkit-user-select: all }
.digest { font-size: .8rem; color: var(--quiet) }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--panel); border: 1px solid var(--line);
border-radius: .5rem; padding: .75rem 1rem; margin: .5rem 0; line-height: 1.6 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--quiet); padding: 0 0 .5rem }
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
.badge { display: inline-block; background: var(--good-panel); color: var(--good); border-radius: 1rem; font-size: .8rem;
font-weight: 600; line-height: 1.4; letter-spacing: 0; padding: .1rem .65rem; vertical-align: .2em; white-space: nowrap }
.main { font-weight: 600 }
.failed, .blocked { color: var(--bad); font-weight: 600 }
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
.rows tr { border-bottom: 1px solid var(--line); padding: .6rem 0 }
.rows tr:last-child { border-bottom: 0 }
.rows th, .rows td { border: 0; padding: .1rem 0; text-align: left }
.rows td[data-label] { position: relative; padding-left: 7.5rem }
.rows td[data-label]::before { content: attr(data-label); position: absolute; left: 0; width: 7rem; color: var(--quiet);
font-weight: normal }
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
