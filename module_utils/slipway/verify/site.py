# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A download server or a mirror, as a reader sees it who has its address and a key, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import read_regular
from ..publish.directory import SUMS
from ..publish.feed import FEED, LISTING
from ..publish.links import CURRENT, SHARED
from ..publish.pages import TOP
from ..publish.releases import KEY
from ..release.names import VERSION, extract_version, version_key
from ..release.tombstone import REMOVED, name_tombstone, name_tombstone_signature, parse_tombstone
from ..trust.dsse import Envelope
from ..trust.keys import NAME as KEYS
from ..trust.latest import read_latest
from .again import verify_release_again
from .current import ASK, LATEST, Latest, choose_time, convert_latest, verify_freshness, verify_serial
from .files import FETCH_AGAIN, LAG, Look
from .pages import Known, list_releases, read_listing, verify_feed, verify_index, verify_listing
from .release import Pinned, Verified
from .signers import list_signers, verify_signers
from .trusted import Given, Trusted, follow_keys, is_about_key, read_object, trust_given

#: So many releases, files and keys are in no list that is ours.
MOST_LISTING = 64 << 20
LABEL = re.compile(r"(?P<project>[A-Za-z0-9][A-Za-z0-9._-]*)-(?P<version>[^/-][^/]*)\Z")


@dataclass(frozen=True)
class Request:
    """What is to be looked at: one ``version``, ``every`` one, or else the current one.

    ``serials`` are those of the last look, by project, which the present one is compared with. With ``read_links`` what
    other names lead to is read again even where the server says that it is the same file. ``signer_keys`` are public
    keys of those who attest releases.
    """

    given: Given
    version: str | None = None
    every: bool = False
    read_links: bool = False
    serials: Mapping[str, int] = field(default_factory=dict)
    signer_keys: Sequence[bytes] = ()


@dataclass
class Seen:
    """What was there: which release is current, its serial, and the releases that were looked at.

    ``at`` is the time at which all was judged.
    """

    latest: Latest | None = None
    releases: dict[str, Verified] = field(default_factory=dict)
    listing: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0

    def serials(self) -> dict[str, int]:
        """The serial by project, to be remembered."""
        return {self.latest.project: self.latest.serial} if self.latest is not None else {}


def read_remembered(path: Path) -> dict[str, int]:
    """The serials of the last look; an absent file remembers none."""
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return {}
    found = read_object(data)
    if not found or not all(isinstance(serial, int) for serial in found.values()):
        raise SlipwayError(
            "read what was seen before in",
            str(path),
            "it does not hold a serial for each project",
            do_next="Remove it, which forgets what was seen, and run again.",
        )
    return {str(project): int(serial) for project, serial in found.items()}


def verify_site(look: Look, request: Request) -> Seen:
    """Look at all that was asked for; what is wrong is in the look's report."""
    now = look.reader.clock()
    seen = Seen(at=now)
    envelope, latest = _read_latest(look)
    seen.latest = latest
    if latest is None and any(finding.kind == "unreachable" for finding in look.report.findings):
        return seen  # whoever does not answer this will not answer the rest
    if latest is not None:
        seen.at = choose_time(
            look.report, own=now, skew=look.reader.skew, date=latest.date, believe_until=latest.believe_until
        )
    key_file = look.read(KEY)
    published = None if key_file is None else key_file.data
    with trust_given(request.given, published, at=seen.at, report=look.report, subject=KEY) as trusted:
        key_list = look.read(KEYS)
        if key_list is not None:
            follow_keys(
                trusted,
                key_list.data,
                published or b"",
                given=request.given,
                project=latest.project if latest else None,
                report=look.report,
                subject=KEYS,
            )
        counts, keys = False, [*request.signer_keys, published or b""]
        if envelope is not None and latest is not None:
            counts = _verify_latest(look, trusted, envelope, latest, request.serials.get(latest.project))
        _verify_releases(
            look, trusted, request, seen, signers=list_signers(latest.attestations) if counts and latest else set()
        )
        if counts and latest is not None and latest.label in seen.releases:
            verify_signers(look, latest.attestations, seen.releases[latest.label], keys=keys)
    return seen


def _read_latest(look: Look, name: str = LATEST) -> tuple[Envelope | None, Latest | None]:
    body = look.require(name, size=1 << 20, do_next=ASK) if name == LATEST else look.read(name, size=1 << 20)
    if body is None:
        return None, None
    try:
        envelope, said = read_latest(body.data, attempt="read", on=name)
        return envelope, convert_latest(said)
    except SlipwayError as error:
        look.report.add("signature", name, expected="what was signed", seen=error.came_back, do_next=FETCH_AGAIN)
        return None, None


def _verify_latest(
    look: Look, trusted: Trusted, envelope: Envelope, latest: Latest, serial: int | None, name: str = LATEST
) -> bool:
    """Its signature and its dates; whether it counts."""
    (judged,) = trusted.judge_envelopes([envelope])
    look.report.count("signatures")
    if judged.fault is not None:
        look.report.add(
            "key" if is_about_key(judged.fault) else "signature",
            name,
            expected=f"a signature by the key {trusted.given}, or one that it leads to",
            seen=judged.fault,
            do_next=FETCH_AGAIN,
        )
    verify_freshness(look.report, name, at=trusted.at, believe_until=latest.believe_until, skew=look.reader.skew)
    verify_serial(look.report, name, latest.serial, seen=serial)
    return judged.fault is None


def _verify_releases(look: Look, trusted: Trusted, request: Request, seen: Seen, *, signers: set[str]) -> None:
    names = look.list_directory("")
    body = look.read(LISTING, size=MOST_LISTING)
    seen.listing = {} if body is None else read_listing(look.report, LISTING, body.data)
    project = _find_project(seen, names)
    if project is None:
        _tell_nothing(look)
        return
    known = _list_versions(seen, project, names)
    withdrawn = _verify_withdrawn(look, trusted, seen, project, known, names)
    _verify_order(look, seen, known, withdrawn)
    prints = frozenset(trusted.list_keys() | signers)
    for version in _choose_versions(request, seen, known, withdrawn):
        label = f"{project}-{version}"
        pinned, is_past = Pinned(), bool(signers)
        if seen.latest is not None and version == seen.latest.version:
            pinned, is_past = Pinned(seen.latest.sums, seen.latest.statements), False
        seen.releases[label] = verify_release_again(
            look,
            trusted,
            project=project,
            version=version,
            pinned=pinned,
            read_links=request.read_links,
            pages=Known(prints, had_signers=is_past),
        )
        look.report.count("releases")
    _verify_current(look, seen, request, project)
    _verify_top_pages(look, trusted, seen, project, known, withdrawn, body is not None)
    verify_products(look, trusted, seen, withdrawn, read=request.read_links)


def _tell_nothing(look: Look) -> None:
    if not any(finding.subject == LATEST for finding in look.report.findings):
        look.report.add("missing", LATEST, expected="a release", seen="nothing that says one", do_next=ASK)


def _find_project(seen: Seen, names: set[str] | None) -> str | None:
    if seen.latest is not None:
        return seen.latest.project
    if isinstance(seen.listing.get("project"), str):
        return str(seen.listing["project"])
    for name in sorted(names or ()):
        found = LABEL.match(name.rstrip("/"))
        if name.endswith("/") and found and VERSION.match(found["version"]):
            return found["project"]
    return None


def _list_versions(seen: Seen, project: str, names: set[str] | None) -> set[str]:
    """All versions that something names."""
    said = {str(each.get("version")) for each in list_releases(seen.listing)}
    there = {extract_version(name[:-1], project) for name in names or () if name.endswith("/")}
    mine = {seen.latest.version} if seen.latest is not None and seen.latest.version else set()
    return {version for version in said | there | mine if version is not None and VERSION.match(version)}


def _choose_versions(request: Request, seen: Seen, known: set[str], withdrawn: Mapping[str, bool]) -> list[str]:
    """The newest first; of withdrawn releases whose files are gone none is looked at unless it is asked for."""
    if request.version is not None:
        return [request.version]
    if request.every:
        there = {version for version in known if withdrawn.get(version) is not False}
        return sorted(there, key=version_key, reverse=True)
    if seen.latest is not None:
        return [seen.latest.version] if seen.latest.version else []
    current = seen.listing.get("current")
    return [current] if isinstance(current, str) and current in known else []


def _verify_withdrawn(
    look: Look, trusted: Trusted, seen: Seen, project: str, known: set[str], names: set[str] | None
) -> dict[str, bool]:
    """The withdrawn versions, and whether their files are still there; each has a tombstone that was signed."""
    said = set(seen.latest.withdrawn) if seen.latest is not None else set()
    listed = {str(each.get("version")) for each in list_releases(seen.listing) if each.get("withdrawn") is not None}
    there = {version for version in known if names is not None and name_tombstone(f"{project}-{version}") in names}
    found = {}
    for version in sorted(version for version in said | listed | there if VERSION.match(version)):
        label = f"{project}-{version}"
        name = name_tombstone(label)
        body, signature = look.require(name, size=1 << 20), look.require(name_tombstone_signature(label), size=1 << 20)
        look.report.count("tombstones")
        found[version] = True
        if body is None or signature is None:
            continue
        tombstone = parse_tombstone(body.data.decode("utf-8", "replace"), label)
        judged = trusted.judge(body.data, signature.data)
        if tombstone is None or judged.fault is not None:
            look.report.add(
                "withdrawn",
                name,
                expected=f"why {label} was withdrawn, signed by the key {trusted.given}, or one that it leads to",
                seen=judged.fault or "something else",
                do_next=FETCH_AGAIN,
            )
        found[version] = tombstone is None or tombstone.files != REMOVED
        if seen.latest is not None and version not in said:
            look.report.add(
                "withdrawn", LATEST, expected=f"{version} among what is withdrawn", seen="not", do_next=ASK, meaning=LAG
            )
    return found


def _verify_order(look: Look, seen: Seen, known: set[str], withdrawn: Mapping[str, bool]) -> None:
    """Nothing newer is there than what is current."""
    if seen.latest is None or seen.latest.product is not None:
        return
    standing = [version for version in known if version not in withdrawn]
    newest = max(standing, key=version_key, default=seen.latest.version)
    if newest and (not seen.latest.version or version_key(newest) > version_key(seen.latest.version)):
        look.report.add(
            "rollback",
            LATEST,
            expected=f"{newest}, which is there, as the current release",
            seen=seen.latest.version or "none",
            do_next=ASK,
            meaning="Either that one is about to become current, or somebody gives an older one as the current one.",
        )
    if seen.latest.version in withdrawn:
        look.report.add(
            "withdrawn", LATEST, expected="a release that is not withdrawn", seen=seen.latest.version, do_next=ASK
        )


def _verify_current(look: Look, seen: Seen, request: Request, project: str) -> None:
    """The links that lead to the current release: each gives the bytes that it has."""
    latest = seen.latest
    if latest is None or not latest.version:
        return
    release = seen.releases.get(latest.label)
    links = [f"{CURRENT}/{SUMS}", *SHARED]
    bodies = dict(zip(links, look.read_all(links), strict=True))
    for name, body in bodies.items():
        wanted = f"{latest.label}/{name.rpartition('/')[2]}"
        if name.endswith(SUMS):
            digest = latest.sums or (release.sums_sha256 if release else None)
        else:
            right = look.read(wanted)
            digest = None if right is None else right.sha256
        if digest is None:
            continue
        look.report.count("links")
        if body is None or body.sha256 != digest:
            look.report.add(
                "link",
                name,
                expected=f"the bytes of {wanted} (sha256 {digest})",
                seen="nothing" if body is None else _name_release(seen, project, body.sha256),
                do_next=ASK,
                meaning="Either the mirror is behind, or somebody leads readers to something else.",
            )
    if release is not None and release.sums:
        prefix = f"{release.label}-"
        files = {name: f"{project}-{CURRENT}-{name[len(prefix) :]}" for name in release.sums if name.startswith(prefix)}
        look.verify_links(
            [(link, release.wanted(name)) for name, link in sorted(files.items())], read=request.read_links
        )


def _name_release(seen: Seen, project: str, digest: str) -> str:
    """Those of an older release, if they are known."""
    for label, release in seen.releases.items():
        if release.sums_sha256 == digest:
            return f"those of {label} ({digest})"
    for entry in list_releases(seen.listing):
        files = entry.get("files")
        for file in files if isinstance(files, list) else []:
            if isinstance(file, dict) and file.get("sha256") == digest:
                return f"those of {entry.get('label')} ({digest})"
    return f"sha256 {digest}, of no release of {project} that is known here"


def _verify_top_pages(
    look: Look,
    trusted: Trusted,
    seen: Seen,
    project: str,
    known: set[str],
    withdrawn: Mapping[str, bool],
    listed: bool,
) -> None:
    labels = {f"{project}-{version}" for version in known}
    sums = {label: release.sums for label, release in seen.releases.items() if release.sums}
    current = seen.latest.version or None if seen.latest is not None else None
    if listed:
        look.report.count("pages")
        verify_listing(look.report, LISTING, seen.listing, current=current, withdrawn={*withdrawn}, seen=sums)
    feed, top = look.read(FEED), look.read(TOP)
    if feed is not None:
        verify_feed(look.report, FEED, feed.data, labels)
    if top is not None:
        shown = {label for label in labels if label in seen.releases}
        verify_index(look.report, TOP, top.data, fingerprints=frozenset(trusted.list_keys()), labels=shown)


def verify_products(look: Look, trusted: Trusted, seen: Seen, withdrawn: Mapping[str, bool], *, read: bool) -> None:
    """``latest-<product>.json`` of the products that the list names: signed, fresh, of a release that stands."""
    listed = seen.listing.get("products")
    names: Iterable[str] = (
        (str(each.get("name")) for each in listed if isinstance(each, dict)) if isinstance(listed, list) else ()
    )
    for product in sorted(names):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", product):
            continue
        name = f"latest-{product}.json"
        envelope, latest = _read_latest(look, name)
        if envelope is None or latest is None:
            continue
        _verify_latest(look, trusted, envelope, latest, None, name)
        if latest.product != product or latest.version in withdrawn:
            look.report.add(
                "rollback" if latest.product != product else "withdrawn",
                name,
                expected=f"a release of {product} that is not withdrawn",
                seen=f"{latest.label} of {latest.product}",
                do_next=ASK,
            )
        _verify_product_links(look, seen, latest, read=read)


def _verify_product_links(look: Look, seen: Seen, latest: Latest, *, read: bool) -> None:
    """The links of a product whose last release is not the current one, as far as that release was looked at."""
    release = seen.releases.get(latest.label)
    if release is None or seen.latest is None or latest.label == seen.latest.label:
        return
    entries = [each for each in list_releases(seen.listing) if each.get("label") == latest.label]
    files = [file for entry in entries for file in entry.get("files", []) if isinstance(file, dict)]
    prefix = f"{latest.label}-"
    mine = [str(file.get("name")) for file in files if file.get("product") == latest.product]
    look.verify_links(
        [
            (f"{latest.project}-{CURRENT}-{name[len(prefix) :]}", release.wanted(name))
            for name in sorted(mine)
            if name.startswith(prefix) and name in release.sums
        ],
        read=read,
    )
