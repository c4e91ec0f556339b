# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The property ``svn:externals``: read as Subversion reads it, and pointed to other versions without losing a byte.

An external belongs to a stack if its URL, or a directory above it, is the stack's development line, its distro tag, or
its release tag of any version: that is the rule's own URL where each occurrence of the stack's version is another one,
the same everywhere. What follows that root in the external's URL stays. Of several stacks that an external may belong
to it is that with the longest root, then that with the shortest version.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import refuse
from ..escape import redacted
from .source import find_address_fault, normalise_url

PROPERTY = "svn:externals"
#: What may stand for another version of a stack.
_ANY_VERSION = r"[0-9][A-Za-z0-9.+~-]*"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REVISION = re.compile(r"(?:HEAD|[0-9]+|\{[^}]*\})\Z", re.IGNORECASE)
#: The values of a rule of Subversion.
_URLS = tuple(prefix + name for prefix in ("", "anon-") for name in ("dev", "distro-tag", "release-tag"))
#: What a backslash keeps from ending a word.
_ESCAPED = re.compile(r"\\[ \t\"']")


@dataclass(frozen=True)
class Base:
    """Where a property is: the URL of its directory and that of the repository's root, which it may begin from."""

    url: str
    root: str


@dataclass(frozen=True)
class Word:
    """A word of a line, and where it stands there with its quotation marks."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class External:
    """An external as a line says it; ``pin`` is where a revision given as ``-rN`` stands.

    Behind the URL of the old form, ``@`` begins no revision.
    """

    target: str
    url: Word
    pin: tuple[int, int] | None
    new_form: bool


@dataclass(frozen=True)
class StackTags:
    """A stack with a version, and the URLs of its rule; the ``anon-`` twins are for who has no account."""

    name: str
    version: str
    values: Mapping[str, str | None]


@dataclass(frozen=True)
class Change:
    """An external that named another version than it should: the whole URLs before and after."""

    stack: str
    target: str
    before: str
    after: str


@dataclass(frozen=True)
class Update:
    """The property's new text, what changed in it, and the targets of externals that belong to no stack."""

    text: str
    changes: list[Change]
    others: list[str]


@dataclass(frozen=True)
class _Root:
    """Where externals of a stack are: the pattern has the groups ``root`` and perhaps ``version``."""

    stack: str
    pattern: re.Pattern[str]
    after: str


def read_stacks(given: Mapping[str, object]) -> list[StackTags]:
    """The stacks that have a version and URLs of Subversion, from what a distro file says of all: a mapping of names to
    ``version`` and ``values``. Values that are no URLs are refused.
    """
    stacks, faults = [], []
    for name, stack in sorted(given.items()):
        values = stack.get("values") if isinstance(stack, Mapping) else None
        version = stack.get("version") if isinstance(stack, Mapping) else None
        if not isinstance(stack, Mapping) or not isinstance(values or {}, Mapping):
            faults.append(f"{name}: it is not a mapping with version and values")
        elif version is not None and values and "dev" in values:
            urls = {key: values.get(key) for key in _URLS}
            wrong = [key for key, url in urls.items() if url is not None and _find_url_fault(url) is not None]
            faults += [
                f"{name}.{key}: {redacted(str(urls[key]))!r} cannot be used: {_find_url_fault(urls[key])}"
                for key in wrong
            ]
            stacks.append(StackTags(name, str(version), urls))
    refuse("use", "the stacks", faults, do_next="Correct the distro file and run again.")
    return stacks


def update_externals(text: str, base: Base, stacks: Sequence[StackTags]) -> Update:
    """Point every external that belongs to a stack to its release tag; all other bytes of the property stay.

    A revision of the external (``-rN``, ``@N``) was one of the old URL and goes; an external that is right keeps its.
    Lines that Subversion would refuse are refused.
    """
    roots = [root for stack in stacks for root in _list_roots(stack)]
    lines = re.split(r"(\r\n|\n|\r)", text)
    changes: list[Change] = []
    others: list[str] = []
    faults: list[str] = []
    for place in range(0, len(lines), 2):
        try:
            external = parse_line(lines[place])
            if external is None:
                continue
            before = resolve_url(external.url.text, base, peg=external.new_form)
            found = _find_wanted(before, roots)
        except ValueError as error:
            faults.append(f"line {place // 2 + 1}: {error}")
            continue
        if found is None:
            others.append(external.target)
        elif found[1] != before:
            lines[place] = _replace_url(lines[place], external, _shorten_url(found[1], external.url.text, base))
            changes.append(Change(found[0], external.target, before, found[1]))
    refuse("update", f"{PROPERTY} of {base.url}", faults, do_next="Correct the property and run again.")
    return Update("".join(lines), changes, others)


def parse_line(line: str) -> External | None:
    """The external of a line, in the old or the new form; ``None`` for a comment or a blank line.

    ``ValueError`` says what Subversion would refuse.
    """
    if not line.strip() or line.lstrip().startswith("#"):
        return None
    words, pin, pin_is_first = _take_pin(list(split_words(line)))
    if len(words) != 2:
        raise ValueError(f"{line.strip()!r} is not a URL and a directory")
    absolute = [bool(_ABSOLUTE.match(word.text)) for word in words]
    if all(absolute):
        raise ValueError(f"{line.strip()!r} has two URLs")
    new_form = pin_is_first or absolute[0] or not absolute[1]
    url, target = words if new_form else reversed(words)
    if target.text.startswith("/") or ".." in target.text.split("/") or _ABSOLUTE.match(target.text):
        raise ValueError(f"{target.text!r} is not a directory below the one with the property")
    return External(target.text, url, pin, new_form)


def split_words(line: str) -> Iterator[Word]:
    """The words of a line, by APR's rules for quotation marks and backslashes, which Subversion uses."""
    at = 0
    while True:
        while at < len(line) and line[at] in " \t":
            at += 1
        if at >= len(line):
            return
        start, quote = at, line[at] if line[at] in "\"'" else ""
        at += len(quote)
        inner = at
        while at < len(line) and (line[at] != quote if quote else line[at] not in " \t"):
            at += 2 if _ESCAPED.match(line, at) else 1
        text = re.sub(r"\\(.?)", r"\1", line[inner:at])
        at = min(at + len(quote), len(line))
        yield Word(text, start, at)


def resolve_url(url: str, base: Base, *, peg: bool) -> str:
    """The whole URL of an external in its normal form, without the revision behind ``@`` if it may have one.

    ``ValueError`` if it is none.
    """
    above, slash, last = url.rpartition("/")
    name, at, revision = last.rpartition("@")
    if peg and at and slash:
        if revision and not _REVISION.match(revision):
            raise ValueError(f"{revision!r} behind the @ of {url!r} is not a revision")
        url = f"{above}/{name}"
    scheme, host = urlsplit(base.root)[:2]
    if url.startswith("^/"):
        whole = f"{base.root}{url[1:]}"
    elif url.startswith("//"):
        whole = f"{scheme}:{url}"
    elif url.startswith("/"):
        whole = f"{scheme}://{host}{url}"
    elif url.startswith("../"):
        whole = f"{base.url}/{url}"
    else:
        whole = url
    fault = find_address_fault("svn", whole)
    if fault is not None:
        raise ValueError(f"{redacted(url)!r} cannot be used: {fault}")
    parts = urlsplit(normalise_url(whole))
    return f"{parts.scheme}://{parts.netloc}{posixpath.normpath(parts.path)}"


def _find_url_fault(url: object) -> str | None:
    return find_address_fault("svn", url) if isinstance(url, str) else "it is not text"


def _take_pin(words: list[Word]) -> tuple[list[Word], tuple[int, int] | None, bool]:
    """The words without ``-rN`` or ``-r N`` among the first two; where that stands with the blanks behind it, and
    whether it is the first word, which only the new form has.
    """
    for place, word in enumerate(words[:2]):
        if not word.text.startswith("-r"):
            continue
        joined = bool(word.text[2:])
        rest = words[place + 1 if joined else place + 2 :]
        number = word.text[2:] if joined else "".join(each.text for each in words[place + 1 : place + 2])
        if not _REVISION.match(number):
            raise ValueError(f"{number!r} is not a revision")
        return words[:place] + rest, (word.start, rest[0].start if rest else word.end), place == 0
    return words, None, False


def _find_wanted(url: str, roots: Sequence[_Root]) -> tuple[str, str] | None:
    """The stack that an external's URL belongs to, and the URL that it should have; ``None`` if it is of no stack."""
    ranked: list[tuple[tuple[int, int], str, str]] = []
    for root in roots:
        found = root.pattern.fullmatch(url)
        if found is not None:
            version = found.groupdict().get("version") or ""
            wanted = root.after + url[found.end("root") :]
            ranked.append(((len(found["root"]), -len(version)), root.stack, wanted))
    if not ranked:
        return None
    best = max(rank for rank, _stack, _wanted in ranked)
    stacks = {stack: wanted for rank, stack, wanted in reversed(ranked) if rank == best}
    if len(stacks) > 1:
        raise ValueError(f"{url} belongs to {' and '.join(sorted(stacks))} alike")
    return next(iter(stacks.items()))


def _replace_url(line: str, external: External, url: str) -> str:
    edits = [(external.url.start, external.url.end, url)]
    if external.pin is not None:
        edits.append((*external.pin, ""))
    for start, end, text in sorted(edits, reverse=True):
        line = line[:start] + text + line[end:]
    return line


def _shorten_url(url: str, like: str, base: Base) -> str:
    """A URL from the same beginning as the one that it replaces, where that leads to it; else in full."""
    parts, root = urlsplit(url), urlsplit(base.root)
    within = f"{url}/".startswith(f"{base.root}/")
    short = url
    if like.startswith("^/") and within:
        short = f"^{url.removeprefix(base.root)}"
    elif like.startswith("//"):
        short = url.removeprefix(f"{root.scheme}:")
    elif like.startswith("/"):
        short = url.removeprefix(f"{root.scheme}://{root.netloc}")
    elif like.startswith("../") and within:
        relative = posixpath.relpath(parts.path, urlsplit(base.url).path)
        short = relative if relative.startswith("../") else url
    return short


def _list_roots(stack: StackTags) -> Iterator[_Root]:
    for prefix in ("", "anon-"):
        release = stack.values.get(f"{prefix}release-tag")
        if release is None:
            continue
        after = normalise_url(release)
        yield _Root(stack.name, _match_any_version(after, stack.version), after)
        for name in ("dev", "distro-tag"):
            root = stack.values.get(prefix + name)
            if root is not None:
                yield _Root(stack.name, re.compile(f"(?P<root>{re.escape(normalise_url(root))})(?:/.*)?"), after)


def _match_any_version(url: str, version: str) -> re.Pattern[str]:
    """What matches a release tag's URL with any version where this one has its own.

    A version between other letters, as in ``v1.0``, is one if there is none that stands by itself.
    """
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc}"
    path = url.removeprefix(host)
    pieces = re.split(rf"(?<![A-Za-z0-9.+~]){re.escape(version)}(?![A-Za-z0-9.+~])", path)
    first, *others = pieces if len(pieces) > 1 else path.split(version)
    pattern = re.escape(host + first)
    for number, piece in enumerate(others):
        pattern += (f"(?P<version>{_ANY_VERSION})" if number == 0 else "(?P=version)") + re.escape(piece)
    return re.compile(f"(?P<root>{pattern})(?:/.*)?")
