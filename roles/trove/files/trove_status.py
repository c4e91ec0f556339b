# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status page of a Trove: what is there, what is waited for, what failed.

This file runs on the Trove's host, with the ground of the collection's logic beside it, and needs git.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import json
import os
import re
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slipway import statuspage
from slipway.http import FAILURES, explain_failure, fetch_url
from slipway.process import Completed, run
from slipway.statuspage import render_cell, render_state, render_time, render_time_cell

MIRRORED, QUEUED, FAILED, PUBLISHED = "mirrored", "queued", "failed", "published"
#: The order in which people want to see them.
ORDER = (FAILED, QUEUED, MIRRORED, PUBLISHED)
MANIFEST = "manifest.js.gz"
#: How much of grokmirror's log is looked at.
TAIL = 1 << 20
LARGEST = 64 << 20
#: Seconds for what the upstream Trove says of itself.
TIMEOUT = 120
LINE = re.compile(r"\w+\[\d+\] (?P<time>[0-9-]+ [0-9:]+),\d+ - (?P<level>[A-Z]+) - (?P<text>.*)\Z")


@dataclass(frozen=True)
class Repository:
    """One repository and how it stands; times are seconds since 1970."""

    path: str
    state: str
    changed: int | None
    mirrored: int | None
    fingerprint: str | None
    branches: int
    message: str = ""


@dataclass(frozen=True)
class Refs:
    """What a repository has: grokmirror's fingerprint of it, the number of its branches, and when a ref last moved."""

    fingerprint: str | None
    branches: int
    moved: int | None


def make_status(settings: Mapping[str, Any], before: Mapping[str, Any], *, now: int) -> dict[str, Any]:
    """The whole status, out of what is on this machine and what the upstream Trove says of itself."""
    toplevel = Path(settings["toplevel"])
    upstream, trouble = settings.get("upstream") or "", ""
    if upstream:
        try:
            wanted = parse_manifest(_fetch(f"{upstream}/{MANIFEST}"))
        except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
            wanted, trouble = read_manifest(toplevel), f"{upstream} cannot be asked: {error}"
    else:
        wanted = read_manifest(toplevel)
    failures = parse_log(read_tail(Path(settings["log"])), toplevel) if settings.get("log") else {}
    earlier = {one["path"]: one for one in before.get("repositories", [])}
    found = [
        judge_repository(
            path,
            entry,
            read_refs(toplevel / f"{path}.git"),
            earlier.get(path),
            failures,
            mirror=bool(upstream),
            now=now,
        )
        for path, entry in wanted.items()
    ]
    found.sort(key=lambda one: (ORDER.index(one.state), one.path))
    services = {name: _read_service_state(name) for name in settings.get("services", [])}
    return {
        "name": settings["name"],
        "time": now,
        "upstream": upstream,
        "trouble": [trouble] * bool(trouble) + [f"{name} is {it}" for name, it in services.items() if it != "active"],
        "services": services,
        "counts": {state: sum(one.state == state for one in found) for state in ORDER},
        "repositories": [asdict(one) for one in found],
    }


def judge_repository(
    path: str,
    entry: Mapping[str, Any],
    have: Refs,
    before: Mapping[str, Any] | None,
    failures: Mapping[str, str],
    *,
    mirror: bool,
    now: int,
) -> Repository:
    """The state of one repository. It counts as mirrored since it was first seen equal to the upstream's."""
    changed = entry.get("modified")
    changed = int(changed) if isinstance(changed, int | float) else None
    if not mirror:
        return Repository(path, PUBLISHED, changed, None, have.fingerprint, have.branches)
    known = dict(before or {})
    if have.fingerprint is not None and have.fingerprint == entry["fingerprint"]:
        same = known.get("fingerprint") == have.fingerprint and known.get("state") == MIRRORED
        since = known.get("mirrored") if same else have.moved or now
        return Repository(path, MIRRORED, changed, since, have.fingerprint, have.branches)
    message = failures.get(path, "")
    state = FAILED if message else QUEUED
    return Repository(path, state, changed, known.get("mirrored"), have.fingerprint, have.branches, message)


def parse_manifest(packed: bytes) -> dict[str, dict[str, Any]]:
    """The entries of a manifest's bytes, by path without ``.git``; what is not a path of a repository is left out."""
    entries = json.loads(gzip.decompress(packed))
    if not isinstance(entries, dict):
        raise TypeError("its manifest is not an object")
    found = {}
    for name, entry in entries.items():
        parts = name.removeprefix("/").split("/")
        plain = not any(part.startswith(".") or not part for part in parts)
        if name.endswith(".git") and isinstance(entry, dict) and plain:
            found[name.removeprefix("/").removesuffix(".git")] = {"fingerprint": None, **entry}
    return found


def read_manifest(toplevel: Path) -> dict[str, dict[str, Any]]:
    """The entries of a manifest on this machine; of an absent or broken one, none."""
    try:
        return parse_manifest((toplevel / MANIFEST).read_bytes())
    except (OSError, EOFError, ValueError, TypeError, zlib.error):
        return {}


def read_refs(repository: Path) -> Refs:
    """What a repository has; of an absent one, nothing."""
    if not (repository / "HEAD").exists():
        return Refs(None, 0, None)
    refs = _run("git", f"--git-dir={repository}", "show-ref").raw
    if not refs:
        return Refs(None, 0, None)
    names = [line.split(b" ", 1)[1] for line in refs.splitlines()]
    branches = sum(name.startswith(b"refs/heads/") for name in names)
    return Refs(hashlib.sha1(refs, usedforsecurity=False).hexdigest(), branches, _find_last_change(repository))


def parse_log(lines: Iterable[str], toplevel: Path) -> dict[str, str]:
    """What grokmirror's log complains of, by path: the last words about each repository since it was last begun."""
    failures: dict[str, str] = {}
    current = ""
    for line in lines:
        match = LINE.match(line)
        if match is None:
            # git's complaints have several lines; the one that says why is marked.
            if current and line.startswith(("fatal: ", "error: ")):
                failures[current] = line
            continue
        text, current = match["text"].strip(), ""
        if text.startswith("fetch: "):
            failures.pop(_extract_path(text.removeprefix("fetch: ")), None)
        elif text.startswith("Stderr (") and match["level"] == "WARNING":
            where, _unused, words = text.removeprefix("Stderr (").partition("): ")
            current = _extract_path(where.strip().removeprefix(os.path.realpath(toplevel)))
            failures[current] = words
    return failures


def read_tail(path: Path) -> list[str]:
    """The last lines of a file, if there is one."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL))
            return stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def render_page(found: Mapping[str, Any]) -> str:
    """The status as a page for people."""
    mirror = bool(found["upstream"])
    counts = ", ".join(f"{count} {state}" for state, count in found["counts"].items() if count) or "no repositories"
    intro = f"<p>As of {render_time(_format_time(found['time']))}: {counts}.</p>"
    if mirror:
        intro += f"\n<p>It mirrors <code>{html.escape(found['upstream'])}</code>.</p>"
    return statuspage.render_page(
        found["name"],
        intro=intro,
        trouble=found["trouble"],
        columns=["Repository", "State", "Changed", *(["Mirrored"] if mirror else []), "Branches"],
        rows=(_render_row(one, mirror=mirror) for one in found["repositories"]),
    )


def _render_row(one: Mapping[str, Any], *, mirror: bool) -> list[str]:
    return [
        render_cell(one["path"]),
        render_state(one["state"], one["message"]),
        render_time_cell(_format_time(one["changed"])),
        *([render_time_cell(_format_time(one["mirrored"]))] if mirror else []),
        render_cell(one["branches"]),
    ]


def _format_time(seconds: int | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _extract_path(gitdir: str) -> str:
    return gitdir.strip().removeprefix("/").removesuffix(".git")


def _find_last_change(repository: Path) -> int | None:
    newest = 0.0
    for parent, _directories, files in os.walk(repository / "refs"):
        for path in [parent, *(os.path.join(parent, name) for name in files)]:
            newest = max(newest, _read_mtime(path))
    return int(max(newest, _read_mtime(repository / "packed-refs"))) or None


def _read_mtime(path: str | Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _fetch(url: str) -> bytes:
    try:
        return fetch_url(url, size=LARGEST, timeout=TIMEOUT, proxies=False)
    except FAILURES as error:
        raise OSError(explain_failure(error)) from error


def _read_service_state(service: str) -> str:
    return _run("systemctl", "is-active", "--", service).stdout.strip() or "unknown"


def _run(*words: str) -> Completed:
    return run(words, attempt="ask", on=words[-1], timeout=60, ok_codes=range(256))


def main(words: list[str] | None = None) -> int:
    """Write ``index.html`` and ``status.json`` into the directory that the settings name."""
    parser = argparse.ArgumentParser(description="Write the status page of a Trove.")
    parser.add_argument("settings", type=Path, help="a JSON file, as the provisioning writes it")
    settings = json.loads(parser.parse_args(words).settings.read_text(encoding="utf-8"))
    directory = Path(settings["directory"])
    try:
        before = json.loads((directory / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    found = make_status(settings, before, now=int(time.time()))
    statuspage.publish_status(directory, found, render_page(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
