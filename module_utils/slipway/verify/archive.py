# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An archive of debs, as a client sees it who has its address and a key: every suite, every index, every package."""

from __future__ import annotations

import gzip
import io
import lzma
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..apt.signed import (
    INRELEASE,
    RELEASE,
    SIGNATURE,
    VALID_UNTIL,
    Entry,
    extract_signed,
    parse_entries,
    read_date,
    read_fields,
)
from ..errors import count_of
from ..trust.moments import format_moment
from .current import ASK, DAY, LEEWAY, choose_time, verify_freshness
from .files import FETCH_AGAIN, LAG, Look, Wanted
from .trusted import Given, Trusted, is_about_key, trust_given

KEY = "key.asc"
#: Where a site of ours has its archives, below the address.
PLACES = ("", "fixed", "shadow")
#: Of a Release file, and of an index as it is when it is not compressed any more.
MOST_RELEASE, MOST_INDEX = 16 << 20, 1 << 30
#: So deep directories of a pool are looked into.
MOST_DEPTH = 8
#: The forms of an index, the one that is read first.
FORMS = ("", ".xz", ".gz")
SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*(?:/[A-Za-z0-9][A-Za-z0-9._+~-]*)*\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
PHASED = "Phased-Update-Percentage"
_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)$", re.MULTILINE)
NOTHING_THERE = "Give the address of an archive, or the names of its suites if it does not list them."


@dataclass(frozen=True)
class ArchiveRequest:
    """What is to be looked at: these ``suites``, or all that the archive lists, its snapshots among them.

    ``seen`` has the dates of the last look, by suite, which are compared. Without ``pool`` no package is read.
    """

    given: Given
    suites: Sequence[str] = ()
    seen: Mapping[str, int] = field(default_factory=dict)
    pool: bool = True


@dataclass
class ArchiveSeen:
    """The date of each suite that was looked at, by its path, in seconds since the epoch.

    ``keys`` are those that signed, by their fingerprints, and ``at`` is the time at which all was judged.
    """

    dates: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    at: float = 0.0


@dataclass(frozen=True)
class _Named:
    """A file of the pool as an index names it."""

    path: str
    sha256: str
    size: int
    index: str


def is_archive(look: Look) -> bool:
    """Whether an address has archives of debs, as far as it lists its directories."""
    return any(look.list_directory(_join(place, "dists")) for place in PLACES)


def verify_archives(look: Look, request: ArchiveRequest) -> ArchiveSeen:
    """Look at all archives at an address; what is wrong is in the look's report."""
    seen = ArchiveSeen()
    suites = _find_suites(look, request)
    body = look.read(KEY)
    now = seen.at = _choose_time(look, suites)
    published = body.data if body is not None else request.given.key
    with trust_given(request.given, published, at=now, report=look.report, subject=KEY) as trusted:
        named = [entry for suite in suites for entry in _verify_suite(look, trusted, request, seen, suite)]
    places = sorted({suite.partition("dists/")[0] for suite in suites})
    wanted = _choose_files(look, named)
    if request.pool:
        look.verify_files([Wanted(each.path, each.sha256, each.size) for each in wanted.values()])
        for place in places:
            if "snapshots/" not in place:
                _verify_extra(look, place, wanted, whole=not request.suites)
    return seen


def _choose_time(look: Look, suites: Sequence[str]) -> float:
    """The time at which all is judged: this machine's, unless the server has another one that fits what is there."""
    now, skew = look.reader.clock(), look.reader.skew
    if skew is None or abs(skew) < DAY:
        return now
    spans = []
    for suite in suites:
        body = look.read(f"{suite}/{INRELEASE}", size=MOST_RELEASE)
        text = None if body is None else extract_signed(body.data.decode("utf-8", "surrogateescape"))
        fields = read_fields(text or "")
        date, end = read_date(fields, "Date"), read_date(fields, VALID_UNTIL)
        if date is not None:
            spans.append((date, math.inf if end is None else end))
    begun, ends = max(spans, default=(0, math.inf))
    return choose_time(look.report, own=now, skew=skew, date=begun, believe_until=ends)


def _find_suites(look: Look, request: ArchiveRequest) -> list[str]:
    """The paths of the suites, such as ``fixed/snapshots/cturtle-r1/dists/bookworm``."""
    bad = [suite for suite in request.suites if not SUITE.match(suite) or ".." in suite]
    for suite in bad:
        look.report.add("missing", suite, expected="the name of a suite", seen="something else", do_next="Correct it.")
    found = []
    for place in PLACES:
        named = sorted(set(request.suites) - set(bad)) or _list_suites(look, place)
        found += [_join(place, "dists", suite) for suite in named if _has_suite(look, request, place, suite)]
        if not request.suites:
            snapshots = look.list_directory(_join(place, "snapshots")) or set()
            for label in sorted(name for name in snapshots if name.endswith("/") and not name.startswith(".")):
                below = _join(place, "snapshots", label.rstrip("/"))
                found += [_join(below, "dists", suite) for suite in _list_suites(look, below)]
    for suite in sorted(set(request.suites) - set(bad)):
        if not any(path.endswith(f"dists/{suite}") for path in found):
            look.report.add("missing", f"dists/{suite}", expected=INRELEASE, seen="nothing", do_next=ASK, meaning=LAG)
    if not found and not request.suites:
        look.report.add("missing", "dists", expected="an archive", seen="none that it lists", do_next=NOTHING_THERE)
    return found


def _has_suite(look: Look, request: ArchiveRequest, place: str, suite: str) -> bool:
    return not request.suites or look.is_there(_join(place, "dists", suite, INRELEASE))


def _list_suites(look: Look, place: str) -> list[str]:
    """The suites that a ``dists`` lists, with those that reprepro made snapshots of."""
    suites = []
    for name in sorted(look.list_directory(_join(place, "dists")) or ()):
        suite = name.rstrip("/")
        if not name.endswith("/") or not SUITE.match(suite):
            continue
        suites.append(suite)
        below = look.list_directory(_join(place, "dists", suite, "snapshots")) or ()
        kept = sorted(each.rstrip("/") for each in below if each.endswith("/"))
        suites += [f"{suite}/snapshots/{each}" for each in kept if SUITE.match(each)]
    return suites


def _verify_suite(
    look: Look, trusted: Trusted, request: ArchiveRequest, seen: ArchiveSeen, suite: str
) -> Iterator[_Named]:
    body = look.require(f"{suite}/{INRELEASE}", size=MOST_RELEASE)
    if body is None:
        return
    subject = f"{suite}/{INRELEASE}"
    text = extract_signed(body.data.decode("utf-8", "surrogateescape"))
    if text is None:
        look.report.add("signature", subject, expected="one signed text", seen="something else", do_next=FETCH_AGAIN)
        return
    look.report.count("suites")
    judged = trusted.judge_text(body.data)
    seen.keys |= {judged.fingerprint} - {""}
    _tell_judged(look, subject, judged.fault, trusted)
    _verify_other_form(look, trusted, suite, text)
    fields = read_fields(text)
    if (
        suite.rpartition("/")[2] not in {fields.get("Codename"), fields.get("Suite")}
        and "/snapshots/" not in f"/{suite}"
    ):
        name = fields.get("Codename") or fields.get("Suite") or "nothing"
        look.report.add(
            "index", subject, expected=f"the suite {suite.rpartition('/')[2]}", seen=name, do_next=FETCH_AGAIN
        )
    _verify_dates(look, subject, fields, trusted, seen=request.seen.get(suite), dates=seen.dates, suite=suite)
    yield from _verify_indexes(look, suite, text, fields)


def _tell_judged(look: Look, subject: str, fault: str | None, trusted: Trusted) -> None:
    look.report.count("signatures")
    if fault is not None:
        kind = "key" if is_about_key(fault) else "signature"
        expected = f"a signature by the key {trusted.given}"
        look.report.add(kind, subject, expected=expected, seen=fault, do_next=FETCH_AGAIN)


def _verify_other_form(look: Look, trusted: Trusted, suite: str, text: str) -> None:
    """Release and its detached signature, which tools that mirror archives read: both or none are there."""
    release, signature = (look.read(f"{suite}/{name}", size=MOST_RELEASE) for name in (RELEASE, SIGNATURE))
    if release is None and signature is None:
        return
    for name, body in ((RELEASE, release), (SIGNATURE, signature)):
        if body is None:
            look.report.add("missing", f"{suite}/{name}", expected="a file", seen="nothing", do_next=FETCH_AGAIN)
    if release is None or signature is None:
        return
    if release.data.decode("utf-8", "surrogateescape") != text:
        look.report.add(
            "index",
            f"{suite}/{RELEASE}",
            expected=f"the text of {INRELEASE}",
            seen="another one",
            do_next=FETCH_AGAIN,
            meaning="Either it was read while a new state was published, or somebody changed one of them.",
        )
    _tell_judged(look, f"{suite}/{SIGNATURE}", trusted.judge(release.data, signature.data).fault, trusted)


def _verify_dates(
    look: Look,
    subject: str,
    fields: Mapping[str, str],
    trusted: Trusted,
    *,
    seen: int | None,
    dates: dict[str, int],
    suite: str,
) -> None:
    date = read_date(fields, "Date")
    if date is None:
        look.report.add("index", subject, expected="a date", seen="none", do_next=FETCH_AGAIN)
        return
    dates[suite] = date
    if date > trusted.at + LEEWAY:
        look.report.add(
            "clock",
            subject,
            expected=f"a date before {format_moment(trusted.at)}, which it is here",
            seen=format_moment(date),
            do_next="Set this machine's clock (timedatectl), and run again.",
            meaning="Either this machine's clock is behind, or that of the signer was ahead.",
        )
    if seen is not None and date < seen:
        look.report.add(
            "rollback",
            subject,
            expected=f"the state of {format_moment(seen)}, which was seen before, or a later one",
            seen=f"that of {format_moment(date)}",
            do_next=ASK,
            meaning="Either this mirror is behind the one that was looked at before, or somebody gives what is old.",
        )
    if VALID_UNTIL in fields:
        end = read_date(fields, VALID_UNTIL)
        if end is None:
            seen_end = fields[VALID_UNTIL]
            look.report.add("index", subject, expected=f"a date in {VALID_UNTIL}", seen=seen_end, do_next=FETCH_AGAIN)
        else:
            verify_freshness(look.report, subject, at=trusted.at, believe_until=end, skew=look.reader.skew)


def _verify_indexes(look: Look, suite: str, text: str, fields: Mapping[str, str]) -> Iterator[_Named]:
    """The digest of every index in every form, by its digest too; what the indexes name."""
    entries = {path: entry for path, entry in parse_entries(text).items() if _is_below(path)}
    if not entries:
        look.report.add(
            "index", f"{suite}/{INRELEASE}", expected="indexes with SHA256", seen="none", do_next=FETCH_AGAIN
        )
        return
    by_hash = fields.get("Acquire-By-Hash", "").strip().lower() == "yes"
    there = [path for path in sorted(entries) if not _is_left_out(look, suite, path, entries)]
    wanted = {path: Wanted(f"{suite}/{path}", entries[path].sha256, entries[path].size) for path in there}
    good = {
        path: digest
        for path, digest in look.verify_files(list(wanted.values()), kind="index").items()
        if digest.sha256 == entries[path.removeprefix(f"{suite}/")].sha256
    }
    look.report.count("indexes", len(wanted))
    if by_hash:
        links = [(_name_by_hash(file), file) for file in wanted.values()]
        look.verify_links(links, read=False)
    for plain in sorted({_strip_form(path) for path in entries}):
        if plain.rpartition("/")[2] in ("Packages", "Sources"):
            yield from _read_index(look, suite, plain, entries, set(good))


def _is_left_out(look: Look, suite: str, path: str, entries: Mapping[str, Entry]) -> bool:
    """Archives name the plain form of an index and keep only those that are compressed."""
    forms = [f"{path}{form}" for form in (".xz", ".gz", ".bz2", ".zst", ".lz4") if f"{path}{form}" in entries]
    return bool(forms) and not look.is_there(f"{suite}/{path}")


def _name_by_hash(file: Wanted) -> str:
    return f"{file.path.rpartition('/')[0]}/by-hash/SHA256/{file.sha256}"


def _strip_form(path: str) -> str:
    return next((path.removesuffix(form) for form in FORMS if form and path.endswith(form)), path)


def _read_index(look: Look, suite: str, plain: str, entries: Mapping[str, Entry], good: set[str]) -> Iterator[_Named]:
    """What an index names; one that has other bytes than was signed is told already, and not read."""
    form = next((form for form in FORMS if f"{suite}/{plain}{form}" in good), None)
    if form is None:
        return
    name = f"{suite}/{plain}{form}"
    body = look.read(name, size=MOST_INDEX)
    if body is None or body.sha256 != entries[f"{plain}{form}"].sha256:
        return  # it changed since it was hashed a moment ago: the next look tells what it is
    try:
        text = _unpack(body.data, form).decode("utf-8", "surrogateescape")
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        look.report.add("index", name, expected="a compressed index", seen=str(error), do_next=FETCH_AGAIN)
        return
    top = suite.partition("dists/")[0]
    listed = _list_sources if plain.endswith("Sources") else _list_packages
    for paragraph in text.split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if fields:
            yield from _check_named(look, name, top, fields, list(listed(fields)))


def _unpack(data: bytes, form: str) -> bytes:
    """The text of an index, of limited size."""
    if not form:
        return data
    with io.BytesIO(data) as packed, lzma.open(packed) if form == ".xz" else gzip.open(packed) as stream:
        text = stream.read(MOST_INDEX + 1)
    if len(text) > MOST_INDEX:
        raise ValueError(f"it has more than {MOST_INDEX} bytes")
    return text


def _list_packages(fields: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    yield fields.get("Filename", ""), fields.get("SHA256", ""), fields.get("Size", "")


def _list_sources(fields: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for line in fields.get("Checksums-Sha256", "").split("\n"):
        words = line.split()
        if len(words) == 3:
            yield f"{fields.get('Directory', '')}/{words[2]}", words[0], words[1]


def _check_named(
    look: Look, index: str, top: str, fields: Mapping[str, str], listed: Sequence[tuple[str, str, str]]
) -> Iterator[_Named]:
    package = fields.get("Package", "a package without a name")
    if not listed:
        look.report.add("index", index, expected=f"files of {package}", seen="none", do_next=FETCH_AGAIN)
    for path, digest, size in listed:
        if not _is_below(path) or not SHA256.match(digest) or not size.isdecimal():
            seen = f"{path[:200]!r}, {digest[:80]!r}, {size[:20]!r}"
            expected = f"path, SHA-256 and size of {package}"
            look.report.add("index", index, expected=expected, seen=seen, do_next=FETCH_AGAIN)
            continue
        yield _Named(f"{top}{path}", digest, int(size), index)
    phased = fields.get(PHASED)
    if phased is not None and not (phased.isdecimal() and int(phased) <= 100):
        expected = f"a number to 100 as {PHASED} of {package}"
        look.report.add("index", index, expected=expected, seen=phased[:50], do_next=FETCH_AGAIN)


def _choose_files(look: Look, named: Iterable[_Named]) -> dict[str, _Named]:
    """Each file of the pool once; a name that two indexes give different content is told.

    The pool of a snapshot is that of its archive.
    """
    chosen: dict[str, _Named] = {}
    for each in named:
        path = re.sub(r"(?:^|(?<=/))snapshots/[^/]+/(?=pool/)", "", each.path)
        known = chosen.setdefault(path, _Named(path, each.sha256, each.size, each.index))
        if (known.sha256, known.size) != (each.sha256, each.size):
            look.report.add(
                "index",
                path,
                expected=f"sha256 {known.sha256} ({known.size} bytes), as {known.index} says",
                seen=f"{each.sha256} ({each.size} bytes) in {each.index}",
                do_next=FETCH_AGAIN,
                meaning="A name of the pool never changes its content.",
            )
    return chosen


def _verify_extra(look: Look, place: str, wanted: Mapping[str, _Named], *, whole: bool) -> None:
    """Files of a pool that no index names, where it lists its directories and all suites were looked at."""
    found = set(_walk(look, _join(place.rstrip("/"), "pool"), MOST_DEPTH)) if whole else set()
    extra = sorted(found - wanted.keys())
    if extra and look.list_directory(_join(place.rstrip("/"), "snapshots")) is None:
        look.report.notes.append(
            f"no index names {count_of(len(extra), 'file')} of {place}pool, such as {extra[0]}: what was taken out of "
            "an archive stays there for a time."
        )
        return
    for path in extra:
        look.report.add("extra", path, expected="nothing", seen="a file that no index names", do_next=FETCH_AGAIN)


def _walk(look: Look, directory: str, depth: int) -> Iterator[str]:
    for name in sorted(look.list_directory(directory) or ()):
        path = f"{directory}/{name.rstrip('/')}"
        if name.startswith("."):
            continue
        if not name.endswith("/"):
            yield path
        elif depth:
            yield from _walk(look, path, depth - 1)


def _is_below(path: str) -> bool:
    """Whether a path that was read leads to no other place."""
    return bool(path) and not path.startswith("/") and not {"", ".", ".."} & set(path.split("/")) and "\\" not in path


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
