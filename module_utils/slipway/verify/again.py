# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that was looked at before: if nothing of it changed, it is as it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from .files import Look
from .finding import Report
from .memory import FileMemory, KeptRelease
from .pages import Known
from .release import Pinned, Verified, verify_release
from .trusted import Trusted


def verify_release_again(
    look: Look,
    trusted: Trusted,
    *,
    project: str,
    version: str,
    pinned: Pinned,
    read_links: bool = False,
    pages: Known | None = None,
) -> Verified:
    """Look at a release, or find that all of it has the marks that it had when nothing was wrong.

    What is to be read again in this round is, whether it changed or not.
    """
    label, memory = f"{project}-{version}", look.memory
    seal = _make_seal(trusted, pinned, pages)
    known = memory.releases.get(label) if isinstance(memory, FileMemory) else None
    if isinstance(memory, FileMemory) and known is not None and known.seal == seal and _is_same(look, label, known):
        return _recall(look, memory, known, project, version)
    report, before = look.report, look.late
    look.report, look.trail = Report(), {}
    try:
        found = verify_release(
            look, trusted, project=project, version=version, pinned=pinned, read_links=read_links, pages=pages
        )
        if isinstance(memory, FileMemory):
            memory.releases.pop(label, None)
            if not look.report.findings and look.late == before:
                memory.releases[label] = _keep(look, found, seal)
    finally:
        report.merge(look.report)
        look.report = report
    return found


def _make_seal(trusted: Trusted, pinned: Pinned, pages: Known | None) -> str:
    """The digest of all that a release is judged by."""
    judged = [trusted.describe(), asdict(pinned), sorted(pages.fingerprints) if pages else None]
    return hashlib.sha256(json.dumps(judged, sort_keys=True).encode()).hexdigest()


def _is_same(look: Look, label: str, known: KeptRelease) -> bool:
    names = look.list_directory(label)
    return (None if names is None else frozenset(names)) == known.names and look.is_unchanged(known.trail)


def _recall(look: Look, memory: FileMemory, known: KeptRelease, project: str, version: str) -> Verified:
    found = Verified(f"{project}-{version}", project, version)
    found.sums, found.sums_sha256, found.sizes = dict(known.sums), known.sums_sha256, dict(known.sizes)
    memory.skip(known.trail)
    due = set(memory.list_due(known.trail))
    mine = [found.wanted(name) for name in found.sums if f"{found.label}/{name}" in due]
    for what, count in known.counts.items():
        look.report.count(what, count)
    if mine:
        seen = look.verify_files(mine)
        look.report.count("files", -len(seen))
        look.report.count("bytes", -sum(digest.size for digest in seen.values()))
        look.report.count("read again", len(seen))
    return found


def _keep(look: Look, found: Verified, seal: str) -> KeptRelease:
    names = look.list_directory(found.label)
    return KeptRelease(
        seal,
        dict(look.trail),
        None if names is None else frozenset(names),
        found.sums,
        found.sums_sha256,
        found.sizes,
        dict(look.report.counts),
    )
