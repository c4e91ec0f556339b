# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One published release: what was signed, its files, and whether all that is said of them is the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..publish.directory import SUMS
from ..publish.package import MANIFEST, SIGNATURE
from ..publish.releases import SIDECAR, name_page
from ..release.artifact import find_name_fault
from .files import FETCH_AGAIN, LAG, Look, Wanted
from .finding import Report
from .pages import Known, verify_page
from .reader import Digest
from .statements import name_statements, verify_statements
from .trusted import Trusted, is_about_key, read_object

SUM = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](?P<name>.+)\Z")
BILLS = {".spdx.json": ("spdxVersion", "SPDX"), ".cdx.json": ("bomFormat", "CycloneDX")}
#: A list of a hundred thousand files.
MOST_SUMS = 32 << 20
MOST_BILL = 32 << 20
NOT_LISTED = "the files of {}: its directory is not shown, so that one too many is not seen"


@dataclass(frozen=True)
class Pinned:
    """What a signed text says of a release: the digests of its SHA256SUMS and its statements, where it names them."""

    sums: str | None = None
    statements: str | None = None


@dataclass
class Verified:
    """What is known of a release that was looked at: the digests that were signed, and the sizes that were seen."""

    label: str
    project: str
    version: str
    sums: dict[str, str] = field(default_factory=dict)
    sums_sha256: str = ""
    sums_data: bytes = b""
    sizes: dict[str, int] = field(default_factory=dict)
    made: int | None = None

    def wanted(self, name: str) -> Wanted:
        """A file of it."""
        return Wanted(f"{self.label}/{name}", self.sums[name], self.sizes.get(name))


def verify_release(
    look: Look,
    trusted: Trusted,
    *,
    project: str,
    version: str,
    pinned: Pinned,
    read_links: bool = False,
    pages: Known | None = None,
) -> Verified:
    """Look at all of a release; what is wrong is in the look's report."""
    label = f"{project}-{version}"
    found = Verified(label, project, version)
    if not _verify_sums(look, trusted, found, pinned):
        return found
    manifest = _read_manifest(look, found)
    digests = look.verify_files([found.wanted(name) for name in sorted(found.sums)])
    found.sizes = {path.partition("/")[2]: digest.size for path, digest in digests.items()}
    _compare_manifest(look.report, found, manifest, digests)
    names = look.list_directory(label)
    if names is None:
        look.report.notes.append(NOT_LISTED.format(label))
    _verify_names(look.report, found, names)
    _verify_sidecars(look, found)
    _verify_flat_links(look, found, read=read_links)
    _verify_bills(look, found)
    statements = look.read(name_statements(label))
    verify_statements(
        look.report,
        trusted,
        name_statements(label),
        None if statements is None else statements.data,
        sums={**found.sums, SUMS: found.sums_sha256},
        pinned=pinned.statements,
    )
    page = look.read(name_page(label))
    if page is not None and pages is not None:
        verify_page(look.report, name_page(label), page.data, pages.of_release(label, found.sums))
    return found


def _verify_sums(look: Look, trusted: Trusted, found: Verified, pinned: Pinned) -> bool:
    """Read what was signed; whether there is anything to go by."""
    path = f"{found.label}/{SUMS}"
    sums, signature = look.require(path, size=MOST_SUMS), look.require(f"{found.label}/{SIGNATURE}")
    if sums is None:
        return False
    found.sums_data, found.sums_sha256 = sums.data, sums.sha256
    if pinned.sums is not None and pinned.sums != sums.sha256:
        look.report.add(
            "sums",
            path,
            expected=f"sha256 {pinned.sums}, which latest.json names",
            seen=sums.sha256,
            do_next=FETCH_AGAIN,
            meaning=LAG,
        )
    if signature is not None:
        judged = trusted.judge(sums.data, signature.data)
        look.report.count("signatures")
        found.made = judged.made if judged.fault is None else None
        if judged.fault is not None:
            look.report.add(
                "key" if is_about_key(judged.fault) else "signature",
                f"{found.label}/{SIGNATURE}",
                expected=f"a signature of {SUMS} by the key {trusted.given}, or one that it leads to",
                seen=judged.fault,
                do_next=FETCH_AGAIN,
            )
    found.sums = parse_strictly(look.report, path, sums.data)
    return bool(found.sums)


def parse_strictly(report: Report, path: str, data: bytes) -> dict[str, str]:
    """The digests by name; a line that is none, or that has a name that is not usable, is a finding."""
    found: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        parts = SUM.match(line)
        fault = f"line {number}, {line[:80]!r}" if parts is None else find_name_fault(parts["name"])
        if fault is None and parts is not None and found.setdefault(parts["name"], parts["sha256"]) != parts["sha256"]:
            fault = f"two digests of {parts['name']}"
        if fault is not None:
            wanted = "lines of a SHA-256 and a name, each name once"
            report.add("sums", path, expected=wanted, seen=fault, do_next=FETCH_AGAIN)
    if not found:
        report.add("sums", path, expected="files with their digests", seen="none", do_next=FETCH_AGAIN)
    return found


def _read_manifest(look: Look, found: Verified) -> Mapping[str, Any]:
    """What the manifest says; with it the sizes of files are known before they are read."""
    path = f"{found.label}/{MANIFEST}"
    if MANIFEST not in found.sums:
        look.report.add(
            "manifest", path, expected=f"a digest of it in {SUMS}", seen="none", do_next="Tell the project."
        )
        return {}
    body = look.read(path)  # that it is missing is seen with the other files
    manifest = {} if body is None else read_object(body.data)
    for entry in _list_entries(manifest):
        if isinstance(entry.get("name"), str) and isinstance(entry.get("size"), int):
            found.sizes[entry["name"]] = entry["size"]
    return manifest


def _list_entries(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = manifest.get("files")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _compare_manifest(
    report: Report, found: Verified, manifest: Mapping[str, Any], digests: Mapping[str, Digest]
) -> None:
    path = f"{found.label}/{MANIFEST}"
    seen = digests.get(path)
    if seen is None or (seen.sha256 != found.sums.get(MANIFEST) and not manifest):
        return
    entries = {str(entry.get("name")): entry for entry in _list_entries(manifest)}
    files = {name: digest for name, digest in found.sums.items() if name != MANIFEST}
    for name in sorted(files.keys() | entries.keys()):
        listed = entries.get(name, {}).get("sha256")
        if listed != files.get(name):
            report.add(
                "manifest",
                path,
                expected=f"{name} with sha256 {files.get(name)}, as {SUMS} says" if name in files else f"no {name}",
                seen=f"sha256 {listed}" if name in entries else "nothing of it",
                do_next=FETCH_AGAIN,
            )
        size = digests[f"{found.label}/{name}"].size if f"{found.label}/{name}" in digests else None
        said = entries.get(name, {}).get("size")
        if size is not None and isinstance(said, int) and said != size and listed == files.get(name):
            report.add(
                "manifest", path, expected=f"{name} with {size} bytes", seen=f"{said} bytes", do_next=FETCH_AGAIN
            )
    for name, value in (("project", found.project), ("version", found.version)):
        if name in manifest and manifest[name] != value:
            said = str(manifest[name])[:100]
            report.add("manifest", path, expected=f"{name} {value}", seen=said, do_next=FETCH_AGAIN)


def _verify_names(report: Report, found: Verified, names: set[str] | None) -> None:
    """A file that is there and nobody signed."""
    mine = {*found.sums, SUMS, SIGNATURE, *(f"{name}{SIDECAR}" for name in found.sums)}
    for name in sorted((names or set()) - mine):
        report.add(
            "extra",
            f"{found.label}/{name}",
            expected=f"only what {SUMS} names, and nothing else",
            seen="something that nobody signed",
            do_next="Do not use it, and tell whoever keeps the mirror.",
        )


def _verify_sidecars(look: Look, found: Verified) -> None:
    wanted = {name: f"{digest}  {name}\n".encode() for name, digest in found.sums.items() if name != MANIFEST}
    paths = [f"{found.label}/{name}{SIDECAR}" for name in sorted(wanted)]
    bodies = look.read_all(paths, required=True)
    for name, body in zip(sorted(wanted), bodies, strict=True):
        if body is not None and body.data != wanted[name]:
            look.report.add(
                "sums",
                f"{found.label}/{name}{SIDECAR}",
                expected=f"sha256 {found.sums[name]}, as {SUMS} says",
                seen=body.data[:200].decode("utf-8", "replace").strip(),
                do_next=FETCH_AGAIN,
            )


def _verify_flat_links(look: Look, found: Verified, *, read: bool) -> None:
    """The same files beside the release; a site may have none of these names."""
    flat = [name for name in sorted(found.sums) if name.startswith(f"{found.label}-")]
    if any(look.is_there(name) for name in {*flat[:1], *flat[-1:]}):
        look.verify_links([(name, found.wanted(name)) for name in flat], read=read)


def _verify_bills(look: Look, found: Verified) -> None:
    for name in sorted(found.sums):
        for suffix, (member, what) in BILLS.items():
            if not name.endswith(suffix):
                continue
            look.report.count("bills")
            if found.sizes.get(name, 0) > MOST_BILL:
                look.report.notes.append(f"{found.label}/{name}: its digest is right, and it is too large to be read")
                continue
            body = look.read(f"{found.label}/{name}", size=MOST_BILL)
            if body is not None and member not in read_object(body.data):
                look.report.add(
                    "bill",
                    f"{found.label}/{name}",
                    expected=f"a bill of materials in the format {what}",
                    seen=f"no {member}",
                    do_next="Tell the project.",
                )
