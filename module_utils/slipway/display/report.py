# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page beside the records of a release, for whoever asks what it was made of, how long that took, and what is left.

It is one file that needs no other, made of the records and logs alone, so that the same ones give the same page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import SlipwayError
from ..escape import escape_html
from ..files import read_regular, write_atomic
from ..progress import Step, parse_line
from ..release.durations import ORDER, find_last_records, list_stages, measure_stages, name_stage
from ..release.records import Record, load_records
from ..statuspage import STYLE, render_table, render_time
from .text import count, format_seconds, format_size

NAME = "report.html"
#: A release has a record of one of these; others are of packages.
FIRST = {"preflight", "branch"}
#: What is shown of a console, from its beginning and from its end.
END_OF_CONSOLE = 1 << 16
#: The part of a log that is read; its last line is what counts.
END_OF_LOG = 1 << 16
#: What this page has besides that of all pages: the bars of stages.
BARS = """\
.bar { position: relative; height: .8rem; min-width: 8rem; margin-top: .35rem }
.bar div { position: absolute; height: .8rem; min-width: 2px; background: var(--link); border-radius: 2px;
print-color-adjust: exact }
"""


@dataclass(frozen=True)
class Sent:
    """What one progress log says of what was done last."""

    name: str
    size: int
    step: Step | None


def write_report(release: Path) -> bool:
    """Write the page of the release in this directory, if it would say something else; return whether it did.

    It is only read by people: what is in its way does not keep a release from going on.
    """
    try:
        records = load_records(release / "records")
        if not FIRST & records.keys():
            return False
        begun = min(str(record["started"]) for record in records.values())
        last = find_last_records(release.parent, version=release.name, before=begun)
        page = format_report(records, last, list_logs(release / "logs"), read_consoles(release / "logs")).encode()
        path = release / NAME
        if path.is_file() and read_regular(path) == page:
            return False
        write_atomic(path, page)
    except (KeyError, OSError, SlipwayError):
        return False
    return True


def list_logs(directory: Path) -> list[Sent]:
    """The logs of a release, and where each step came to."""
    found = []
    for path in sorted(directory.glob("*.log")):
        if path.is_file() and not path.is_symlink():
            found.append(Sent(path.name, path.stat().st_size, _read_last_step(path)))
    return found


def read_consoles(directory: Path) -> dict[str, str]:
    """What was said on the consoles of systems that gates started, by the log's name; of a long one its two ends."""
    found = {}
    for path in sorted(directory.glob("gate-*.log")):
        if path.is_file() and not path.is_symlink():
            text = read_regular(path).decode(errors="replace")
            left_out = len(text) - 2 * END_OF_CONSOLE
            gap = f"\n[... {left_out} characters are left out here ...]\n"
            found[path.name] = text if left_out <= 0 else text[:END_OF_CONSOLE] + gap + text[-END_OF_CONSOLE:]
    return found


def _read_last_step(path: Path) -> Step | None:
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - END_OF_LOG))
        lines = stream.read().decode(errors="replace").splitlines()
    return next((step for line in reversed(lines) if (step := parse_line(line)) is not None), None)


def format_report(
    records: Mapping[str, Record],
    last: Mapping[str, Record] | None = None,
    logs: Sequence[Sent] = (),
    consoles: Mapping[str, str] | None = None,
) -> str:
    """The whole page."""
    some = next(iter(records.values()), {})
    label = f"{some.get('project', '')}-{some.get('version', '')}"
    body = [
        f"<h1>{escape_html(label)}</h1>",
        f"<p><strong>{escape_html(_tell_state(records))}</strong></p>",
        _format_facts(records),
        _format_timeline(records, last or {}),
        _format_files(records, last or {}),
        _format_builds(records),
        _format_gates(records),
        _format_judged(records),
        _format_consoles(consoles or {}),
        _format_pages(records),
        _format_uploads(logs),
        _format_logs(logs),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape_html(label)}: how it was made</title>\n<style>\n{STYLE}{BARS}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(part for part in body if part) + "\n</main>\n</body>\n</html>\n"
    )


def _tell_state(records: Mapping[str, Record]) -> str:
    withdrawal = _read(records, "withdrawal")
    if withdrawal.get("withdrawn"):
        return f"Withdrawn on {withdrawal['date'][:10]} by {withdrawal['by']}: {withdrawal['reason']}"
    done = {name_stage(name) for name in records}
    left = [stage for stage in list_stages(records) if stage not in done]
    if not left:
        return "Released: every stage is done."
    return f"{'Public' if 'publish' in done else 'Not public'}; not done: {', '.join(left)}."


def _format_facts(records: Mapping[str, Record]) -> str:
    preflight, tag = records.get("preflight", {}), records.get("tag", {})
    publication, notes, mail = (_read(records, name) for name in ("publication", "notes", "announcement"))
    files = _list_files(publication)
    rows = [
        ("definitions", _code(preflight.get("inputs", {}).get("definitions"))),
        ("commit", _code(preflight.get("inputs", {}).get("commit"))),
        ("cluster", _code(preflight.get("inputs", {}).get("cluster"))),
        ("branch", _code(_read(records, "branch").get("branch"))),
        ("public", f"{count(len(files), 'file')}, {format_size(_sum(files))}" if files else ""),
        ("signed by", _code(_read(records, "package").get("signed_by"))),
        ("attested by", escape_html(_tell_attestation(_read(records, "attestation")))),
        ("made again by", escape_html(str(_read(records, "reproduction").get("by") or ""))),
        ("tag", _code(tag.get("outputs", {}).get("tag"))),
        ("notes", _code(notes.get("path") or notes.get("page"))),
        ("announced to", escape_html(", ".join(map(str, mail.get("recipients") or [])))),
        ("refused by", escape_html(", ".join(map(str, mail.get("refused") or [])))),
        ("message", _code(mail.get("message_id"))),
        *(("message", _code(each.get("message_id"))) for each in mail.get("mails") or []),
    ]
    return _format_list("", [(name, value) for name, value in rows if value])


def _tell_attestation(outputs: Mapping[str, Any]) -> str:
    """Who got the same, of how many of whom it had to be."""
    agreed, signers = outputs.get("agreed") or [], outputs.get("signers") or {}
    needed = f" ({outputs.get('threshold')} of {', '.join(map(str, signers))} must)" if signers else ""
    return f"{', '.join(map(str, agreed))}{needed}" if agreed else ""


def _format_timeline(records: Mapping[str, Record], last: Mapping[str, Record]) -> str:
    took, before = measure_stages(records), measure_stages(last)
    begins = {stage: begun for stage, begun in _find_begins(records).items() if stage in ORDER}
    if not begins:
        return ""
    first = min(begins.values())
    # A release that was resumed the next day has no bars of a day.
    whole = max(max(begins[stage] - first + took[stage] for stage in begins), 1.0)
    drawn = whole <= 2 * sum(took.values()) + 60
    rows = []
    for stage in (stage for stage in ORDER if stage in took):
        left, width = 100 * (begins[stage] - first) / whole, 100 * took[stage] / whole
        drawing = f'<div class="bar"><div style="left:{left:.1f}%;width:{width:.1f}%"></div></div>' if drawn else ""
        was = format_seconds(before[stage]) if stage in before else ""
        rows.append((stage, _format_time(begins[stage]), drawing, format_seconds(took[stage]), was))
    version = escape_html(str(next(iter(last.values()))["version"])) if last else ""
    return _format_table("Stages", ("stage", "began (UTC)", "", "#took", f"#{version} took" if version else "#"), rows)


def _find_begins(records: Mapping[str, Record]) -> dict[str, float]:
    begins: dict[str, float] = {}
    measured = measure_stages(records)
    for name, record in records.items():
        if (stage := name_stage(name)) in measured:
            begun = datetime.fromisoformat(str(record["started"])).timestamp()
            begins[stage] = min(begun, begins.get(stage, begun))
    return begins


def _format_files(records: Mapping[str, Record], last: Mapping[str, Record]) -> str:
    outputs = _read(records, "publication") or _read(records, "package")
    version, version_before = (_find_version(some) for some in (records, last))
    before = {
        str(file["name"]).replace(version_before, "", 1): file.get("size")
        for file in _list_files(_read(last, "publication"))
    }
    rows = []
    for file in sorted(_list_files(outputs), key=lambda file: str(file["name"])):
        size, was = file.get("size"), before.get(str(file["name"]).replace(version, "", 1))
        change = "" if not before else "new" if was is None else _format_change(int(size or 0), int(was))
        rows.append((_code(file["name"]), format_size(size or 0), change, _digest(file.get("sha256"))))
    return _format_table("Files", ("name", "#size", "#change" if before else "#", "SHA-256"), rows)


def _format_change(size: int, before: int) -> str:
    if size == before:
        return "same size"
    return f"{'+' if size > before else '-'}{format_size(abs(size - before))}"


def _format_builds(records: Mapping[str, Record]) -> str:
    planned = {f"build-{system['name']}": system for system in _read(records, "preflight").get("systems") or []}
    rows = []
    for name in sorted({*planned, *(name for name in records if name.startswith("build-"))}):
        inputs, outputs = records.get(name, {}).get("inputs", {}), _read(records, name)
        architecture = inputs.get("architecture") or planned.get(name, {}).get("architecture")
        artifact = _code(outputs["artifact"]) if "artifact" in outputs else '<span class="failed">not built</span>'
        tools = ", ".join(f"{tool} {version}" for tool, version in (records.get(name, {}).get("tools") or {}).items())
        rows.append((_code(name.removeprefix("build-")), escape_html(str(architecture)), artifact, escape_html(tools)))
    return _format_table("Builds", ("system", "architecture", "artifact", "made with"), rows)


def _format_gates(records: Mapping[str, Record]) -> str:
    outputs = _read(records, "preflight")
    rows = [
        ("left out", escape_html(f"{each.get('architecture')}: {each.get('reason')}"))
        for each in outputs.get("skipped") or []
    ]
    for mason in outputs.get("masons") or []:
        said = mason.items() if isinstance(mason, Mapping) else [("said", mason)]
        rows.append(("mason", escape_html(", ".join(f"{name} {value}" for name, value in said))))
    if "preflight" in records:
        rows.insert(0, ("preflight", "passed"))
    return _format_list("Gates", rows)


def _format_judged(records: Mapping[str, Record]) -> str:
    rows = []
    for each in _read(records, "gate").get("gates") or []:
        facts = each.get("facts") or {}
        came = str(each.get("result"))
        result = came if came == "passed" else f'<span class="failed">{escape_html(came)}</span>'
        why = [str(each[key]) for key in ("fault", "reason") if each.get(key)]
        why += [f"until {each['until']}"] if each.get("until") else []
        why += [str(facts["said"])] if "said" in facts else []
        subject = _code(each.get("subject")) + escape_html(f" {facts.get('firmware', '')}".rstrip())
        seconds = format_seconds(float(each.get("seconds") or 0))
        rows.append((escape_html(str(each.get("gate"))), subject, result, seconds, escape_html("; ".join(why))))
    return _format_table("Judged", ("gate", "file", "result", "#took", "because"), rows)


def _format_consoles(consoles: Mapping[str, str]) -> str:
    if not consoles:
        return ""
    parts = [
        f"<details><summary>{escape_html(name)}</summary>\n<pre>{escape_html(text)}</pre>\n</details>"
        for name, text in consoles.items()
    ]
    return "\n".join(["<h2>Consoles</h2>", *parts])


def _format_pages(records: Mapping[str, Record]) -> str:
    """Which pages were moved to this release, and which lines still name the one before."""
    rows = []
    for place in _read(records, "notes").get("pages") or []:
        where = _code(place.get("repository"))
        rows += [(where, _code(path), "moved") for path in place.get("paths") or []]
        rows += [
            (where, _code(f"{each.get('path')}:{each.get('line')}"), escape_html(f"not moved: {each.get('text')}"))
            for each in place.get("findings") or []
        ]
        more = int(place.get("total") or 0) - len(place.get("findings") or [])
        rows += [(where, "", f"{count(more, 'more line')} not moved")] if more > 0 else []
        rows += [(where, _code(each), "no page is called so") for each in place.get("idle") or []]
    return _format_table("Pages that named the release before", ("repository", "page", ""), rows)


def _format_uploads(logs: Iterable[Sent]) -> str:
    rows = []
    for log in logs:
        host = log.name.removeprefix("upload-").removesuffix(".log")
        if log.name.startswith("upload-") and log.step is not None:
            sent = format_size(log.step.done_bytes) if log.step.total_bytes else ""
            rows.append((escape_html(host), f"{log.step.done} of {count(log.step.total, 'file')}", sent))
    return _format_table("Uploads", ("host", "#files", "#size"), rows)


def _format_logs(logs: Iterable[Sent]) -> str:
    rows = []
    for log in logs:
        name = f'<a href="logs/{escape_html(quote(log.name))}">{escape_html(log.name)}</a>'
        end = f"{log.step.done}/{log.step.total} {log.step.text}" if log.step is not None else ""
        rows.append((name, format_size(log.size), escape_html(end)))
    return _format_table("Logs", ("log", "#size", "ends with"), rows)


def _format_list(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    """Names and what is to be said of each; nothing without rows."""
    if not rows:
        return ""
    lines = [f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows]
    return "\n".join([*([f"<h2>{heading}</h2>"] if heading else []), "<dl>", *lines, "</dl>"])


def _format_table(heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, of which the columns whose name begins with # are numbers; nothing without rows."""
    if not rows:
        return ""
    kinds = [' class="number"' if column.startswith("#") else "" for column in columns]
    cells = [[f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)] for row in rows]
    return f"<h2>{heading}</h2>\n{render_table(columns, cells)}"


def _read(records: Mapping[str, Record], name: str) -> dict[str, Any]:
    return dict(records.get(name, {}).get("outputs") or {})


def _list_files(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*(outputs.get("files") or []), *(outputs.get("sidecars") or [])]


def _find_version(records: Mapping[str, Record]) -> str:
    some = next(iter(records.values()), None)
    return "" if some is None else str(some["version"])


def _sum(files: Iterable[Mapping[str, Any]]) -> int:
    return sum(int(file.get("size") or 0) for file in files)


def _code(value: object) -> str:
    return "" if value in (None, "") else f"<code>{escape_html(str(value))}</code>"


def _digest(value: object) -> str:
    return "" if value in (None, "") else f'<code class="digest">{escape_html(str(value))}</code>'


def _format_time(timestamp: float) -> str:
    return render_time(datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S"))
