# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What pages, list and feed say of releases, compared with what was signed. They are not signed themselves."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlsplit

from ..publish.directory import SUMS
from ..publish.package import SIGNATURE
from ..publish.releases import SEAL, SIDECAR
from .finding import Report
from .trusted import read_object

DIGEST = re.compile(r"(?<![0-9a-fA-F])[0-9a-f]{64}(?![0-9a-fA-F])")
FINGERPRINT = re.compile(r"(?<![0-9A-F])(?:[0-9A-F]{4} ?){9}[0-9A-F]{4}(?![0-9A-F])")
#: What makes a browser fetch or run something.
LOADS = {"src", "srcset", "data", "poster", "background", "action", "formaction", "ping"}
LOADING_LINKS = {"stylesheet", "preload", "prefetch", "modulepreload", "icon", "manifest", "dns-prefetch", "preconnect"}
FORBIDDEN = {"script", "iframe", "object", "embed", "base", "form", "frame"}
IN_STYLE = re.compile(r"@import|url\(", re.IGNORECASE)
DO_NEXT = "Go by SHA256SUMS and its signature, and tell the project that the page is not theirs."
MEANING = "Pages are not signed: only what they say of digests, keys and links can be compared."


@dataclass
class Page:
    """What of a page can be compared."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True)
class OfRelease:
    """What a page may say: the digests of its files by name, and of which keys, pages and files it may tell.

    ``digests`` and ``fingerprints`` are all that a page of the site may show. With ``had_signers`` a key that is none
    of those may be of somebody who attested it then, and attests no more: that is noted.
    """

    label: str
    sums: Mapping[str, str]
    digests: frozenset[str]
    fingerprints: frozenset[str]
    had_signers: bool = False


@dataclass
class Known:
    """What pages of the site may show, see :class:`OfRelease`."""

    fingerprints: frozenset[str] = frozenset()
    had_signers: bool = False

    def of_release(self, label: str, sums: Mapping[str, str]) -> OfRelease:
        """What the page of a release may show."""
        return OfRelease(label, sums, frozenset(sums.values()), self.fingerprints, self.had_signers)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._style = False
        self._texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._style = tag == "style"
        if tag == "a" and "href" in values:
            self.page.links.append(values["href"])
        if tag == "link" and LOADING_LINKS & {*values.get("rel", "").lower().split()}:
            self.page.loads.append(f"link {values.get('href', '')}")
        if tag in FORBIDDEN:
            self.page.loads.append(f"the element {tag}")
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh" and "url" in values["content"].lower():
            self.page.loads.append(f"another page, {values['content']}")
        self.page.loads += [f"{name} {values[name]}" for name in sorted(LOADS & values.keys())]
        self.page.loads += [f"a script, {name}" for name in sorted(values) if name.startswith("on")]
        if IN_STYLE.search(values.get("style", "")):
            self.page.loads.append("something in a style")

    def handle_data(self, data: str) -> None:
        if self._style and IN_STYLE.search(data):
            self.page.loads.append("something in a style")
        if not self._style:
            self._texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def close(self) -> None:
        super().close()
        self.page.text = " ".join(self._texts)


def read_page(text: str) -> Page:
    """Links, loads and text of a page."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.page


def verify_page(report: Report, name: str, data: bytes, known: OfRelease) -> None:
    """The page of a release: all files with their digests, and nothing that is not of it."""
    text = data.decode("utf-8", "replace")
    page = read_page(text)
    report.count("pages")
    _verify_general(report, name, text, page, known.fingerprints, is_sealed=True, had_signers=known.had_signers)
    shown = {*DIGEST.findall(page.text)}
    # Digests may be of something else in notes, such as commits; what counts is that the files' own are shown.
    for file, digest in sorted(known.sums.items()):
        if digest not in shown:
            _add(report, name, f"sha256 {digest} of {file}", "not this digest")
    targets = {unquote(link) for link in page.links}
    for file in sorted(known.sums):
        if f"{known.label}/{file}" not in targets:
            _add(report, name, f"a link to {known.label}/{file}", "none")
    for link in page.links:
        _verify_link(report, name, link, known)
    for digest in sorted(_list_listed_digests(text) - known.digests):
        _add(report, name, "only digests that SHA256SUMS has", digest)


def _verify_link(report: Report, name: str, link: str, known: OfRelease) -> None:
    """A link that looks like one to a file of the release leads to it here."""
    parts = urlsplit(link)
    path = unquote(parts.path)
    file = path.rpartition("/")[2]
    ours = file in known.sums or file.startswith(f"{known.label}-")
    if ours and (parts.scheme or parts.netloc or not path.startswith(f"{known.label}/")):
        _add(report, name, f"links to {known.label}/{file}", link)
    elif path.startswith(f"{known.label}/") and file.removesuffix(SIDECAR) not in {*known.sums, SUMS, SIGNATURE, ""}:
        _add(report, name, f"links to files that {SUMS} names", link)


def _list_listed_digests(text: str) -> set[str]:
    """The digests that the page shows as those of its files."""
    return {*re.findall(r'<code class="digest">([0-9a-f]{64})</code>', text)}


def _verify_general(
    report: Report,
    name: str,
    text: str,
    page: Page,
    fingerprints: frozenset[str],
    *,
    is_sealed: bool = False,
    had_signers: bool = False,
) -> None:
    """What holds for all pages: nothing is loaded, keys are known ones, and the page is as it was written."""
    for load in dict.fromkeys(page.loads):
        _add(report, name, "a page that loads and runs nothing", load[:200])
    shown = {"".join(found.split()) for found in FINGERPRINT.findall(page.text)}
    for fingerprint in sorted(shown - fingerprints) if fingerprints else []:
        if had_signers:
            report.notes.append(f"{name}: it names the key {fingerprint}, which is of nobody who attests releases now")
        else:
            _add(report, name, "only keys of release-key.asc, and of signers", f"the key {fingerprint}")
    sealed = SEAL.search(text)
    if sealed is None and is_sealed:
        _add(report, name, "a last line that says what is before it", "none")
    if sealed is not None:
        digest = hashlib.sha256(text[: sealed.start()].encode("utf-8", "surrogatepass")).hexdigest()
        if digest != sealed["text"]:
            _add(report, name, f"the text with sha256 {sealed['text']}, which its last line names", digest)


def verify_index(report: Report, name: str, data: bytes, *, fingerprints: frozenset[str], labels: set[str]) -> None:
    """The page that lists releases: it loads nothing, and lists those that there are."""
    text = data.decode("utf-8", "replace")
    page = read_page(text)
    report.count("pages")
    _verify_general(report, name, text, page, fingerprints)
    targets = {unquote(link) for link in page.links}
    for label in sorted(labels):
        if f"{label}.html" not in targets:
            _add(report, name, f"a link to {label}.html", "none")


def verify_listing(
    report: Report,
    name: str,
    listing: Mapping[str, Any],
    *,
    current: str | None,
    withdrawn: set[str],
    seen: Mapping[str, Mapping[str, str]],
) -> None:
    """``releases.json``: the digests of the releases that were looked at (``seen``), and which one is current."""
    if current is not None and listing.get("current") != current:
        _add(report, name, f"{current} as the current release, as latest.json says", str(listing.get("current")))
    entries = {str(each.get("label")): each for each in list_releases(listing)}
    for label, sums in sorted(seen.items()):
        entry = entries.get(label)
        if entry is None:
            _add(report, name, f"the release {label}", "nothing of it")
            continue
        said = {str(file.get("name")): file.get("sha256") for file in _list_files(entry)}
        for file, digest in sorted(sums.items()):
            if said.get(file) != digest:
                _add(report, name, f"{file} with sha256 {digest}", str(said.get(file, "nothing of it")))
        for file in sorted(said.keys() - sums.keys() - {SUMS, SIGNATURE}):
            _add(report, name, f"only files that SHA256SUMS of {label} names", file)
        for listed in _list_files(entry):
            url, path = unquote(str(listed.get("url"))), f"{label}/{listed.get('name')}"
            if url != path:
                _add(report, name, path, url)
    for entry in entries.values():
        told, is_withdrawn = entry.get("withdrawn") is not None, entry.get("version") in withdrawn
        if told != is_withdrawn and current is not None:
            expected = f"{entry.get('label')} {'withdrawn' if is_withdrawn else 'not withdrawn'}, as latest.json says"
            _add(report, name, expected, "withdrawn" if told else "nothing of that", kind="withdrawn")


def list_releases(listing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The releases in ``releases.json``."""
    listed = listing.get("releases")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _list_files(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = entry.get("files")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def verify_feed(report: Report, name: str, data: bytes, labels: set[str]) -> None:
    """The feed: each of its entries leads to the page of a release that there is."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # neither is in any feed, and entities may expand without end
        _add(report, name, "a feed", "a document type")
        return
    try:
        top = ET.fromstring(data)  # noqa: S314  # without document type and entities
    except ET.ParseError as error:
        _add(report, name, "a feed in Atom's format", str(error))
        return
    report.count("pages")
    for link in _list_entry_links(top):
        if link.removesuffix(".html") not in labels:
            _add(report, name, "entries that lead to the pages of releases", link)


def _list_entry_links(top: ET.Element) -> Iterator[str]:
    atom = "{http://www.w3.org/2005/Atom}"
    for entry in top.iter(f"{atom}entry"):
        for link in entry.iter(f"{atom}link"):
            yield unquote(link.get("href", ""))


def read_listing(report: Report, name: str, data: bytes) -> dict[str, Any]:
    """``releases.json`` as a mapping."""
    found = read_object(data)
    if not list_releases(found):
        _add(report, name, "a list of releases", "none")
    return found


def _add(report: Report, name: str, expected: str, seen: str, *, kind: str = "page") -> None:
    report.add(kind, name, expected=expected, seen=seen[:300], do_next=DO_NEXT, meaning=MEANING)
