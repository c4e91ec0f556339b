# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page of the excuses: plain HTML for a screen of any size and for paper. Its script only sorts tables."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import count_of
from ..escape import escape_html, escape_line
from ..statuspage import STYLE
from .excuses_words import join_words

#: How many stacks "What to do first" shows; all that have something to be done are further down.
MOST_FIRST = 25
#: How many names are listed in a sentence, and in a cell.
MOST_NAMED = 5
MOST_IN_CELL = 1
#: How many builds are shown; all are in the file for programs.
MOST_BUILDS = 200
#: What every state looks like, besides its word: colours are not for everybody, nor on every printer.
MARKS = {"released": "✔", "built": "●", "building": "…", "blocked": "✘", "excluded": "◌", "unreleased": "○"}
#: What is not there as it should be, and the reasons that say no more than that.
LACKING = ("old", "missing", "regressed")
PLAIN_CODES = ("outdated", "missing", "not-built")
PLAIN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII)

SCRIPT = """
document.querySelectorAll("table.sortable").forEach(function (table) {
  table.querySelectorAll("thead th").forEach(function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    button.addEventListener("click", function () {
      var turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      var body = table.tBodies[0];
      function key(row) {
        var cell = row.cells[column];
        return cell.dataset.sort === undefined ? cell.textContent : cell.dataset.sort;
      }
      var rows = Array.from(body.rows).sort(function (one, other) {
        return turn * key(one).localeCompare(key(other), "en", {numeric: true});
      });
      table.querySelectorAll("thead th").forEach(function (each) { each.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
      body.append.apply(body, rows);
    });
  });
});
"""
#: Nothing is loaded from anywhere, and no other script runs, whatever words from outside are on the page.
_DIGEST = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_DIGEST}'"
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Slipway deb_excuses">
<link rel="alternate" type="application/atom+xml" title="Builds of {distribution}" href="excuses.atom">
<title>What holds up {distribution}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>What holds up {distribution}</h1>
<p>For each stack of the distribution {distribution}: where it is released, what keeps it from being released, \
since when, and what helps.</p>
<p><strong>{summary}</strong></p>
<nav><p><a href="#first">What to do first</a> · <a href="#coverage">Coverage</a> · \
<a href="#stacks">All stacks</a> · <a href="#builds">Builds</a> · <a href="#details">Details</a> · \
<a href="#legend">What the words mean</a></p></nav>
</header>
<main>
<h2 id="first">What to do first</h2>
{first}
<h2 id="coverage">Coverage</h2>
{coverage}
<h2 id="stacks">All stacks</h2>
{table}
<h2 id="builds">Builds</h2>
{builds}
<h2 id="details">Details</h2>
{details}
{remarks}<h2 id="legend">What the words mean</h2>
{legend}
</main>
<footer>
<p>The same for programs: <a href="excuses.json">excuses.json</a>. Results of builds as a feed: \
<a href="excuses.atom">excuses.atom</a></p>
</footer>
<script>{script}</script>
</body>
</html>
"""


def render_page(excuses: Mapping[str, Any], *, has_queue: bool = False) -> str:
    """The page of what :func:`excuses.build_excuses` made; ``has_queue`` if a run says beside it what it does now."""
    return PAGE.format(
        policy=escape_html(POLICY),
        style=STYLE,
        script=SCRIPT,
        coverage=_render_coverage(excuses),
        builds=_render_builds(excuses["builds"], has_queue=has_queue),
        distribution=_show(excuses["distribution"]),
        summary=_summarise(excuses["counts"]),
        first=_render_first(excuses),
        table=_render_table(excuses),
        details=_render_details(excuses),
        remarks=_render_remarks(excuses["remarks"]),
        legend=_render_legend(excuses["legend"]),
    )


def _show(text: object) -> str:
    """A text from outside, as one line."""
    return escape_html(escape_line(str(text)))


def make_anchor(stack: str) -> str:
    """The name of a stack's place on the page; of one that is no plain word, a digest."""
    if PLAIN_ID.fullmatch(stack):
        return f"stack-{stack}"
    return f"stack:{hashlib.sha256(stack.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _link(stack: str) -> str:
    return f'<a href="#{make_anchor(stack)}">{_show(stack)}</a>'


def _summarise(counts: Mapping[str, int]) -> str:
    words = {
        "blocked": "blocked",
        "building": "being built",
        "built": "built, but not in a release yet",
        "released": "released",
        "excluded": "excluded everywhere",
        "unreleased": "without a version yet",
    }
    parts = [f"{counts[state]} {text}" for state, text in words.items() if counts[state]]
    return f"{count_of(counts['stacks'], 'stack')}: {'; '.join(parts)}." if parts else "There are no stacks."


def _render_first(excuses: Mapping[str, Any]) -> str:
    entries = excuses["first"]
    if not entries:
        return "<p>Nothing: no stack is blocked.</p>"
    items = "\n".join(f"<li>{_render_step(entry)}</li>" for entry in entries[:MOST_FIRST])
    more = f"\n<p>{count_of(len(entries[MOST_FIRST:]), 'further stack')} below.</p>" if entries[MOST_FIRST:] else ""
    intro = "Stacks that are blocked by themselves; those that hold up the most others come first."
    return f"<p>{intro}</p>\n<ol>\n{items}\n</ol>{more}"


def _render_step(entry: Mapping[str, Any]) -> str:
    count = entry["blocks"]
    blocks = f"holds up {count_of(count, 'other stack')}" if count else "holds up no other stack"
    others = entry["reasons"] - 1
    more = f" See also {count_of(others, 'other reason')} there." if others else ""
    return (
        f"<strong>{_link(entry['stack'])}</strong> {blocks}, since {_show(entry['since'])}.<br>"
        f"{_show(entry['what'])} {_show(entry['why'])} {_show(entry['helps'])}{more}{_render_command(entry['command'])}"
    )


def _render_command(command: str | None) -> str:
    return f"<pre>{escape_html(command)}</pre>" if command else ""


def _render_wide(label: str, caption: str, columns: Iterable[str], rows: Iterable[str]) -> str:
    """A table that scrolls where it is wider than the screen, and can be sorted."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "\n".join(rows)
    return (
        f'<div class="wide" role="region" aria-label="{label}" tabindex="0">\n<table class="sortable">\n'
        f"<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _render_coverage(excuses: Mapping[str, Any]) -> str:
    if not excuses["stacks"] or not excuses["coverage"]:
        return "<p>There are no stacks.</p>"
    words = list(excuses["legend"]["coverage"])
    rows = []
    for place, counts in excuses["coverage"].items():
        asked = sum(counts.values())
        share = f"{100 * counts['current'] // asked} %" if asked else ""
        cells = "".join(f"<td>{counts[word]}</td>" for word in words)
        rows.append(f'<tr><th scope="row">{_show(place)}</th><td>{share}</td>{cells}</tr>')
    caption = "How many stacks the shadow archive has, by platform and architecture"
    return _render_wide("Coverage", caption, ["Where", "Current", *words], rows)


def _render_builds(builds: Sequence[Mapping[str, Any]], *, has_queue: bool) -> str:
    queue = '<p><a href="now/index.html">What runs and waits now, and on which hosts</a></p>\n' if has_queue else ""
    if not builds:
        return f"{queue}<p>No build of these versions is known.</p>"
    shown = builds[:MOST_BUILDS]
    more = (
        f"\n<p>{count_of(len(builds) - len(shown), 'older build')} in excuses.json.</p>" if builds[MOST_BUILDS:] else ""
    )
    more += _render_differences([build for build in builds if build["differ"]])
    caption = "The last build of each stack in each place, the newest first; times in minutes and seconds"
    columns = ["Stack", "Version", "Where", "Became", "Ended", "Took", "Steps", "Host"]
    return f"{queue}{_render_wide('Builds', caption, columns, map(_render_build, shown))}{more}"


def _render_build(build: Mapping[str, Any]) -> str:
    state, steps = build["state"], build["seconds"]
    took = sum(steps.values())
    word = f"{state} at {build['stage']}" if state == "failed" and build["stage"] else state
    became = f'<a href="{escape_html(build["link"])}">{_show(word)}</a>' if build["link"] else _show(word)
    each = ", ".join(f"{name} {format_seconds(seconds)}" for name, seconds in steps.items())
    version, place, at, host = (_show(build[name] or "") for name in ("version", "place", "at", "host"))
    return (
        f'<tr><th scope="row">{_link(build["stack"])}</th><td>{version}</td><td>{place}</td>'
        f'<td class="{state}">{became}</td><td>{at}</td>'
        f'<td data-sort="{took:.0f}">{format_seconds(took)}</td><td>{_show(each)}</td><td>{host}</td></tr>'
    )


def _render_differences(builds: Sequence[Mapping[str, Any]]) -> str:
    items = [
        f"<li>{_link(build['stack'])} for {_show(build['place'])}: {_show(name)} ({_show(why)})</li>"
        for build in builds
        for name, why in build["differ"].items()
    ]
    if not items:
        return ""
    rows = "\n".join(items)
    return f"\n<h3>Other bytes</h3>\n<p>These packages were built twice, and not the same.</p>\n<ul>\n{rows}\n</ul>"


def format_seconds(seconds: float) -> str:
    """``75:03`` for a time of 75 minutes."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def _render_table(excuses: Mapping[str, Any]) -> str:
    rows = (_render_row(stack, row) for stack, row in excuses["stacks"].items())
    columns = ["Stack", "Wanted", *map(_show, excuses["places"])]
    return (
        "<p>How each stack stands on each platform and architecture. Below that: what is there of it unless the reason "
        "says it, the version in the fixed archive, if there is one, and that in the shadow "
        "archive, if it is not the wanted one.</p>\n"
        f"{_render_wide('All stacks', 'Stacks by platform and architecture', columns, rows)}"
    )


def _render_row(stack: str, row: Mapping[str, Any]) -> str:
    has_details = bool(row["reasons"])
    name = _link(stack) if has_details else _show(stack)
    anchor = "" if has_details else f' id="{make_anchor(stack)}"'
    cells = "".join(map(_render_place, row["places"].values()))
    return f'<tr{anchor}><th scope="row">{name}</th><td>{_show(row["version"] or "none")}</td>{cells}</tr>'


def _render_place(place: Mapping[str, Any]) -> str:
    state, codes = place["state"], place["codes"]
    more = f": {codes[0]}" if state == "blocked" else ""
    if (waits := place["waits"]) and codes[0] == "dependency-unreleased":
        more = f" by {_show(join_words(waits[:MOST_IN_CELL], more=len(waits[MOST_IN_CELL:])))}"
    coverage = place["coverage"]
    versions = [coverage] if coverage in LACKING and codes[0] not in PLAIN_CODES else []
    versions += [f"fixed {place['fixed']}"] if place["fixed"] else []
    if place["shadow"] not in (None, place["wanted"]):
        versions.append(f"shadow {place['shadow']}")
    small = "".join(f"<br><small>{_show(version)}</small>" for version in versions)
    return f'<td class="{state}">{MARKS[state]} {state}{more}{small}</td>'


def _render_details(excuses: Mapping[str, Any]) -> str:
    parts = [_render_stack(stack, row) for stack, row in excuses["stacks"].items() if row["reasons"]]
    return "\n".join(parts) or "<p>There is nothing to be told of any stack.</p>"


def _render_stack(stack: str, row: Mapping[str, Any]) -> str:
    version = f" {_show(row['version'])}" if row["version"] else ""
    reasons = "\n".join(map(_render_reason, row["reasons"]))
    return (
        f'<section id="{make_anchor(stack)}">\n<h3>{_show(stack)}{version}: {row["state"]}</h3>\n'
        f"{_render_blocks(row['blocks'])}<ul>\n{reasons}\n</ul>\n</section>"
    )


def _render_blocks(blocks: Mapping[str, Any]) -> str:
    if not blocks["count"]:
        return ""
    names = [_link(name) for name in blocks["names"][:MOST_NAMED]]
    listed = join_words(names, more=blocks["count"] - len(names))
    return f"<p>It holds up {count_of(blocks['count'], 'other stack')}: {listed}.</p>\n"


def _render_reason(reason: Mapping[str, Any]) -> str:
    roots = [_link(stack) for stack in reason["roots"][:MOST_NAMED]]
    more = len(reason["roots"]) - len(roots) + reason["more_roots"]
    # Who waits is led to where something can be done, and the command is there.
    helps = f"Begin with {join_words(roots, more=more)}." if roots else _show(reason["helps"])
    logs = "".join(map(_render_log, reason["logs"]))
    return (
        f"<li><strong>{reason['code']}</strong> since {_show(reason['since'])}. {_show(reason['what'])} "
        f"{_show(reason['why'])} {helps}{logs}{'' if roots else _render_command(reason['command'])}</li>"
    )


def _render_log(log: Mapping[str, Any]) -> str:
    place, when = _show(log["place"]), f", {_show(log['at'])}" if log["at"] else ""
    if log["link"]:
        return f'<br>Log of <a href="{escape_html(log["link"])}">{place}</a>{when}'
    return f"<br>Log of {place}{when}: {_show(log['log'] or 'none was kept')}"


def _render_remarks(remarks: Sequence[str]) -> str:
    if not remarks:
        return ""
    items = "\n".join(f"<li>{_show(remark)}</li>" for remark in remarks)
    return f'<h2 id="remarks">Remarks</h2>\n<ul>\n{items}\n</ul>\n'


def _render_legend(legend: Mapping[str, Mapping[str, str]]) -> str:
    states = {f"{MARKS[state]} {state}": meaning for state, meaning in legend["states"].items()}
    archives = {
        "shadow": "The archive that packages are built into, one by one.",
        "fixed": "The archive of releases, from which people install.",
        "since": "The day (in Greenwich) on which the reason was first seen.",
    }
    return "\n".join(
        f"<h3>{title}</h3>\n<dl>\n{_render_terms(terms.items())}\n</dl>"
        for title, terms in (
            ("States", states),
            ("Coverage", legend["coverage"]),
            ("Reasons", legend["codes"]),
            ("Categories, in excuses.json", legend["categories"]),
            ("Other words", archives),
        )
    )


def _render_terms(terms: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"<dt>{name}</dt><dd>{meaning}</dd>" for name, meaning in terms)
